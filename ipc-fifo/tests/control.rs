//! A manager's control FIFO: commands from whoever comes, and no end.

use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use ipc_fifo::{Error, Fifo, FifoOptions, FifoReceiver, Inherit, Receiver, Result, Sender, Wait};
use ipc_process::{Child, fork};
use tempfile::TempDir;

const SOON: Duration = Duration::from_millis(20);

fn control() -> FifoOptions {
    FifoOptions::new().control()
}

fn made() -> (TempDir, PathBuf, Fifo) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("control");
    let fifo = control().create(&path).unwrap();
    (directory, path, fifo)
}

/// A process that gives one command, and ends.
fn client(path: &PathBuf, command: &'static [u8]) -> Child {
    let (child, ()) = fork(((), ()), |()| -> Result<()> {
        control().open_sender(path, Wait::Never)?.send(command)
    })
    .unwrap();
    child
}

fn commands_come_and_no_end_does() {
    let (_directory, path, fifo) = made();
    let mut rx = fifo.receiver().unwrap();
    for _ in 0..50 {
        client(&path, b"reload").join().unwrap();
        assert_eq!(rx.recv().unwrap(), b"reload");
        assert!(matches!(rx.try_recv(), Err(Error::WouldBlock)));
    }
    assert!(matches!(rx.recv_timeout(SOON), Err(Error::TimedOut)));
    rx.reconnect().unwrap(); // there is no need
    client(&path, b"stop").join().unwrap();
    assert_eq!(rx.recv().unwrap(), b"stop");
}

fn several_clients_at_once_are_heard() {
    let (_directory, path, fifo) = made();
    let mut rx = fifo.receiver().unwrap();
    let clients: Vec<_> = (0..8).map(|_| client(&path, &[7; 4092])).collect();
    for _ in 0..8 {
        assert_eq!(rx.recv().unwrap(), [7; 4092]);
    }
    for client in clients {
        client.join().unwrap();
    }
    let mut tx = control().open_sender(&path, Wait::Never).unwrap();
    let refused = tx.send(&[7; 4093]);
    assert!(
        matches!(
            refused,
            Err(Error::TooLarge {
                limit: "PIPE_BUF",
                ..
            })
        ),
        "{refused:?}"
    );
}

/// As with listen(2): whoever comes before the manager receives is received later.
fn a_manager_can_be_reached_from_the_start() {
    for _ in 0..50 {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("control");
        let waiting = thread::spawn({
            let path = path.clone();
            move || -> Result<()> {
                loop {
                    match control().open_sender(&path, Wait::Forever) {
                        Err(Error::Os { .. }) => thread::yield_now(), // not made yet
                        opened => return opened?.send(b"reload"),
                    }
                }
            }
        });
        let fifo = control().create(&path).unwrap();
        waiting.join().unwrap().unwrap();
        client(&path, b"status").join().unwrap();
        let mut rx = fifo.receiver().unwrap();
        assert_eq!(rx.recv().unwrap(), b"reload");
        assert_eq!(rx.recv().unwrap(), b"status");
        drop(rx);
        let refused = control().open_sender(&path, Wait::Never);
        assert!(
            matches!(refused, Err(Error::Disconnected)),
            "the first receiver ended that"
        );
    }
}

fn nobody_reads_is_an_error_of_its_own() {
    let (_directory, path, fifo) = made();
    drop(fifo.receiver().unwrap());
    let open = |wait| control().open_sender(&path, wait);
    assert!(matches!(open(Wait::Never), Err(Error::Disconnected)));
    assert!(matches!(fifo.sender(Wait::Never), Err(Error::Disconnected)));
    assert!(matches!(open(SOON.into()), Err(Error::TimedOut)));
    // As when the manager ends later: it is a process of its own here.
    let (child, ()) = fork(((), ()), |()| -> Result<()> {
        let mut rx = control().open_receiver(&path)?;
        assert_eq!(rx.recv()?, b"hello");
        loop {
            let _ = rx.recv(); // until it is killed
        }
    })
    .unwrap();
    let mut tx = open(Wait::Forever).unwrap();
    tx.send(b"hello").unwrap();
    child.kill().unwrap();
    assert!(child.join().is_err());
    assert!(matches!(tx.send(b"hello"), Err(Error::Disconnected)));
    assert!(matches!(open(Wait::Never), Err(Error::Disconnected)));
}

/// Between an old manager and the new one, and to a child of the manager's.
fn a_receiver_that_was_handed_over_meets_no_end_either() {
    let (_directory, path, fifo) = made();
    let (fds, state) = fifo.receiver().unwrap().into_parts().unwrap();
    let mut rx = FifoReceiver::from_parts(fds, &state).unwrap();
    client(&path, b"status").join().unwrap();
    assert_eq!(rx.recv().unwrap(), b"status");
    assert!(matches!(rx.recv_timeout(SOON), Err(Error::TimedOut)));
    let (child, ()) = fork(((), rx), |mut rx| assert_eq!(rx.recv().unwrap(), b"stop")).unwrap();
    client(&path, b"stop").join().unwrap();
    child.join().unwrap();
}

fn the_manager_takes_the_path_along() {
    let (_directory, path, fifo) = made();
    let rx = fifo.receiver().unwrap();
    drop(fifo);
    client(&path, b"stop").join().unwrap();
    assert!(path.exists(), "a client removes nothing");
    drop(rx);
    assert!(!path.exists());
    let refused = control().open_sender(&path, Wait::Forever);
    assert!(matches!(refused, Err(Error::Os { .. })));
}

fn a_private_one_meets_no_end() {
    let (tx, mut rx) = control().channel().unwrap();
    drop(tx);
    assert!(matches!(rx.recv_timeout(SOON), Err(Error::TimedOut)));
}

ipc_core::cases! {
    commands_come_and_no_end_does,
    a_manager_can_be_reached_from_the_start,
    several_clients_at_once_are_heard,
    nobody_reads_is_an_error_of_its_own,
    a_receiver_that_was_handed_over_meets_no_end_either,
    the_manager_takes_the_path_along,
    a_private_one_meets_no_end,
}
