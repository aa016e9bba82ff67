//! Either side first, in one process: who waits for whom, and for how long.

use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use ipc_fifo::{
    Error, Fifo, FifoOptions, FifoReceiver, FifoSender, Receiver, Select, Sender, Spin, Wait,
};
use tempfile::TempDir;

const SOON: Duration = Duration::from_millis(20);

fn made() -> (TempDir, PathBuf, Fifo) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("fifo");
    let fifo = Fifo::create(&path).unwrap();
    (directory, path, fifo)
}

/// The processor time that this process has used, in clock ticks.  `proc_pid_stat(5)`
fn ticks() -> u64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let fields = stat.rsplit_once(") ").unwrap().1.split(' ');
    fields
        .skip(11)
        .take(2)
        .map(|field| field.parse::<u64>().unwrap())
        .sum()
}

fn nobody_yet_is_no_end() {
    for spin in [Spin::Adaptive, Spin::Never, Spin::Always] {
        let (_directory, path, _fifo) = made();
        let mut rx = FifoOptions::new().spin(spin).open_receiver(&path).unwrap();
        assert!(matches!(rx.try_recv(), Err(Error::WouldBlock)));
        assert!(matches!(rx.recv_timeout(SOON), Err(Error::TimedOut)));
        let mut tx = FifoSender::open(&path, Wait::Never).unwrap();
        assert!(matches!(rx.try_recv(), Err(Error::WouldBlock)));
        tx.send(b"hello").unwrap();
        assert_eq!(rx.recv().unwrap(), b"hello");
        drop(tx);
        assert!(matches!(rx.recv(), Err(Error::Disconnected)));
        // And it stays so, though somebody else comes.
        let _other = FifoSender::open(&path, Wait::Never).unwrap();
        assert!(matches!(rx.recv(), Err(Error::Disconnected)));
    }
}

fn what_came_and_went_before_the_first_look_is_received() {
    let (_directory, path, _fifo) = made();
    let mut rx = FifoReceiver::open(&path).unwrap();
    FifoSender::open(&path, Wait::Never)
        .unwrap()
        .send(b"hello")
        .unwrap();
    assert_eq!(rx.recv().unwrap(), b"hello");
    assert!(matches!(rx.recv(), Err(Error::Disconnected)));

    let mut rx = FifoReceiver::open(&path).unwrap();
    drop(FifoSender::open(&path, Wait::Never).unwrap());
    assert!(matches!(rx.try_recv(), Err(Error::Disconnected)));
}

/// The sender may come between the receiver's look and its question whether nobody is there.
fn what_comes_at_that_moment_is_received() {
    let (_directory, path, fifo) = made();
    let options = FifoOptions::new().spin(Spin::Always);
    for _ in 0..300 {
        let mut rx = options.open_receiver(&path).unwrap();
        let quick = thread::spawn({
            let path = path.clone();
            move || FifoSender::open(&path, Wait::Never).unwrap().send(b"hello")
        });
        assert_eq!(rx.recv().unwrap(), b"hello");
        assert!(matches!(rx.recv(), Err(Error::Disconnected)));
        quick.join().unwrap().unwrap();
    }
    drop(fifo);
}

fn a_receiver_sleeps_until_the_first_sender() {
    for spin in [Spin::Adaptive, Spin::Never] {
        let (_directory, path, _fifo) = made();
        let mut rx = FifoOptions::new().spin(spin).open_receiver(&path).unwrap();
        let before = ticks();
        let late = thread::spawn(move || {
            thread::sleep(Duration::from_millis(300));
            let mut tx = FifoSender::open(&path, Wait::Never).unwrap();
            tx.send(b"hello").unwrap();
        });
        assert_eq!(rx.recv().unwrap(), b"hello");
        late.join().unwrap();
        assert!(ticks() - before < 10, "it did not sleep");
    }
}

fn a_receiver_is_told_of_a_sender_that_said_nothing() {
    for spin in [Spin::Adaptive, Spin::Never] {
        let (_directory, path, _fifo) = made();
        let mut rx = FifoOptions::new().spin(spin).open_receiver(&path).unwrap();
        let silent = thread::spawn(move || {
            thread::sleep(SOON);
            let tx = FifoSender::open(&path, Wait::Never).unwrap();
            thread::sleep(SOON);
            drop(tx);
        });
        assert!(matches!(rx.recv(), Err(Error::Disconnected)));
        silent.join().unwrap();
    }
}

fn a_select_waits_for_the_first_sender() {
    let (_directory, path, fifo) = made();
    let mut rx = fifo.receiver().unwrap();
    let mut select = Select::new();
    let wait = Wait::from(SOON);
    assert!(matches!(
        select.wait(&mut [&mut rx], wait),
        Err(Error::TimedOut)
    ));
    let mut tx = FifoSender::open(&path, Wait::Never).unwrap();
    tx.send(b"hello").unwrap();
    assert_eq!(select.wait(&mut [&mut rx], Wait::Forever).unwrap(), 0);
    assert_eq!(rx.try_recv().unwrap(), b"hello");
}

fn a_sender_waits_for_a_receiver() {
    let (_directory, path, _fifo) = made();
    assert!(matches!(
        FifoSender::open(&path, Wait::Never),
        Err(Error::WouldBlock)
    ));
    let start = Instant::now();
    assert!(matches!(
        FifoSender::open(&path, SOON.into()),
        Err(Error::TimedOut)
    ));
    assert!(start.elapsed() >= SOON);
    let late = {
        let path = path.clone();
        thread::spawn(move || {
            thread::sleep(Duration::from_millis(300));
            let mut rx = FifoReceiver::open(&path).unwrap();
            rx.recv().unwrap().to_vec()
        })
    };
    let before = ticks();
    let mut tx = FifoSender::open(&path, Wait::Forever).unwrap();
    assert!(ticks() - before < 10, "it did not sleep");
    tx.send(b"hello").unwrap();
    assert_eq!(late.join().unwrap(), b"hello");
}

fn a_sender_that_waits_notices_that_the_path_is_gone() {
    let (_directory, path, fifo) = made();
    let waiting = {
        let path = path.clone();
        thread::spawn(move || FifoSender::open(&path, Wait::Forever))
    };
    thread::sleep(SOON);
    drop(fifo);
    assert!(matches!(waiting.join().unwrap(), Err(Error::Os { .. })));
}

/// A reader such as `cat`, asleep in its own open, which no event tells of.
fn a_sender_meets_a_foreign_reader_that_blocks_in_open() {
    let (_directory, path, _fifo) = made();
    let waiting = {
        let path = path.clone();
        thread::spawn(move || FifoSender::open(&path, Wait::Forever).unwrap().send(b"hi"))
    };
    thread::sleep(SOON);
    assert_eq!(fs::read(&path).unwrap(), b"\0\0\0\x02hi");
    waiting.join().unwrap().unwrap();
}

fn a_foreign_writer_is_received() {
    let (_directory, path, _fifo) = made();
    let mut rx = FifoReceiver::open(&path).unwrap();
    fs::write(&path, b"\0\0\0\x02hi").unwrap();
    assert_eq!(rx.recv().unwrap(), b"hi");
    assert!(matches!(rx.recv(), Err(Error::Disconnected)));
}

ipc_core::cases! {
    nobody_yet_is_no_end,
    what_came_and_went_before_the_first_look_is_received,
    what_comes_at_that_moment_is_received,
    a_receiver_sleeps_until_the_first_sender,
    a_receiver_is_told_of_a_sender_that_said_nothing,
    a_select_waits_for_the_first_sender,
    a_sender_waits_for_a_receiver,
    a_sender_that_waits_notices_that_the_path_is_gone,
    a_sender_meets_a_foreign_reader_that_blocks_in_open,
    a_foreign_writer_is_received,
}
