//! Senders that come after the last one has gone.

use std::fs;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::process::Command;

use ipc_fifo::{
    Duplex, Error, Fifo, FifoOptions, FifoReceiver, FifoSender, Interest, Receiver, Result, Sender,
    Spin, Wait,
};
use ipc_process::{Child, fork};
use tempfile::TempDir;

fn made() -> (TempDir, PathBuf, Fifo) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("fifo");
    let fifo = Fifo::create(&path).unwrap();
    (directory, path, fifo)
}

/// A process that opens the path, sends, and ends.
fn visitor(path: &PathBuf, messages: &'static [&'static [u8]]) -> Child {
    let (child, ()) = fork(((), ()), |()| -> Result<()> {
        let mut tx = FifoSender::open(path, Wait::Forever)?;
        messages.iter().try_for_each(|message| tx.send(message))
    })
    .unwrap();
    child
}

fn one_process_after_another() {
    for spin in [Spin::Adaptive, Spin::Never, Spin::Always] {
        in_a_row(&FifoOptions::new().spin(spin));
    }
}

fn in_a_row(options: &FifoOptions) {
    let (_directory, path, _fifo) = made();
    let mut rx = options.open_receiver(&path).unwrap();
    for _ in 0..100 {
        assert!(
            matches!(rx.try_recv(), Err(Error::WouldBlock)),
            "nobody yet"
        );
        let child = visitor(&path, &[b"one", b"two"]);
        assert_eq!(rx.recv().unwrap(), b"one");
        rx.reconnect().unwrap(); // too early: nothing happens
        assert_eq!(rx.recv().unwrap(), b"two");
        assert!(matches!(rx.recv(), Err(Error::Disconnected)), "all gone");
        assert!(matches!(rx.recv(), Err(Error::Disconnected)));
        rx.reconnect().unwrap();
        child.join().unwrap();
    }
}

fn who_came_in_between_loses_nothing() {
    let (_directory, path, _fifo) = made();
    let mut rx = FifoReceiver::open(&path).unwrap();
    drop(FifoSender::open(&path, Wait::Never).unwrap());
    assert!(matches!(rx.recv(), Err(Error::Disconnected)));
    // Came and went.
    visitor(&path, &[b"quick"]).join().unwrap();
    // Came and stays.
    let mut tx = FifoSender::open(&path, Wait::Never).unwrap();
    tx.send(b"steady").unwrap();
    assert!(matches!(rx.recv(), Err(Error::Disconnected)));
    rx.reconnect().unwrap();
    assert_eq!(rx.recv().unwrap(), b"quick");
    assert_eq!(rx.recv().unwrap(), b"steady");
    assert!(matches!(rx.try_recv(), Err(Error::WouldBlock)));
    drop(tx);
    assert!(matches!(rx.recv(), Err(Error::Disconnected)));
}

fn an_exec_closes_what_reconnected() {
    let open = || Command::new("ls").arg("/proc/self/fd").output().unwrap();
    let before = open().stdout;
    let (_directory, path, fifo) = made();
    let mut rx = fifo.receiver().unwrap();
    let ours = || fs::read_dir("/proc/self/fd").unwrap().count();
    let count = ours();
    for _ in 0..1000 {
        drop(FifoSender::open(&path, Wait::Never).unwrap());
        assert!(matches!(rx.recv(), Err(Error::Disconnected)));
        rx.reconnect().unwrap();
    }
    assert_eq!(ours(), count);
    assert_eq!(open().stdout, before);
}

/// Without a pause: they come and go while the receiver receives and reconnects.
fn many_processes_in_a_row_lose_nothing() {
    const COUNT: u32 = 300;
    let (_directory, path, fifo) = made();
    let mut rx = fifo.receiver().unwrap();
    let (child, ()) = fork(((), ()), |()| -> Result<()> {
        for count in 0..COUNT {
            let mut tx = FifoSender::open(&path, Wait::Forever)?;
            tx.send(&count.to_be_bytes())?;
        }
        Ok(())
    })
    .unwrap();
    let mut next = 0;
    while next < COUNT {
        match rx.recv() {
            Ok(message) => {
                assert_eq!(message, next.to_be_bytes());
                next += 1;
            }
            Err(Error::Disconnected) => rx.reconnect().unwrap(),
            Err(error) => panic!("{error}"),
        }
    }
    child.join().unwrap();
}

fn what_a_killed_sender_left_is_forgotten() {
    let (_directory, path, _fifo) = made();
    let mut rx = FifoReceiver::open(&path).unwrap();
    let (child, ()) = fork(((), ()), |()| -> Result<()> {
        let mut tx = FifoSender::open(&path, Wait::Forever)?;
        tx.send(&vec![1; 1 << 20]) // more than the FIFO holds
    })
    .unwrap();
    // Until the first of it is here: then the rest waits for room.
    ipc_core::poll(rx.as_fd(), Interest::Read, Wait::Forever).unwrap();
    child.kill().unwrap();
    assert!(child.join().is_err());
    assert!(matches!(rx.recv(), Err(Error::Malformed { .. })));
    rx.reconnect().unwrap();
    let child = visitor(&path, &[b"whole"]);
    assert_eq!(rx.recv().unwrap(), b"whole");
    child.join().unwrap();
}

fn what_was_malformed_in_itself_stays_so() {
    let (_directory, path, _fifo) = made();
    let mut rx = FifoReceiver::open(&path).unwrap();
    fs::write(&path, [0xff; 8]).unwrap();
    for _ in 0..2 {
        assert!(matches!(rx.recv(), Err(Error::Malformed { .. })));
        rx.reconnect().unwrap();
    }
}

/// The halves of an endpoint still help each other.
fn an_endpoint_reconnects() {
    let (_directory, path, fifo) = made();
    let (_elsewhere, back, _back) = made();
    let rx = fifo.receiver().unwrap();
    let mut far = FifoReceiver::open(&back).unwrap();
    let tx = FifoSender::open(&back, Wait::Never).unwrap();
    let mut end = Duplex::new(tx, rx);
    drop(FifoSender::open(&path, Wait::Never).unwrap());
    assert!(matches!(end.recv(), Err(Error::Disconnected)));
    end.receiver().reconnect().unwrap();
    let large = vec![5; 1 << 20];
    let other = std::thread::spawn(move || {
        let mut tx = FifoSender::open(&path, Wait::Forever).unwrap();
        tx.send(&large).unwrap();
        far.recv().unwrap().len()
    });
    end.send(&vec![6; 1 << 20]).unwrap();
    assert_eq!(end.recv().unwrap(), vec![5; 1 << 20]);
    end.flush(Wait::Forever).unwrap();
    assert_eq!(other.join().unwrap(), 1 << 20);
}

ipc_core::cases! {
    one_process_after_another,
    who_came_in_between_loses_nothing,
    an_exec_closes_what_reconnected,
    many_processes_in_a_row_lose_nothing,
    what_a_killed_sender_left_is_forgotten,
    what_was_malformed_in_itself_stays_so,
    an_endpoint_reconnects,
}
