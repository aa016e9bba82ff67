//! A manager's control FIFO that was left behind, and one that was not.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use ipc_fifo::{Error, Fifo, FifoOptions, Receiver, Result, Sender, Wait};
use ipc_process::fork;
use nix::sys::stat::Mode;
use nix::sys::wait::wait;
use nix::unistd::mkfifo;

const SOON: Duration = Duration::from_millis(20);

fn control() -> FifoOptions {
    FifoOptions::new().control()
}

/// A process that gives one command, and ends.
fn client(path: &PathBuf, command: &'static [u8]) {
    let (child, ()) = fork(((), ()), |()| -> Result<()> {
        control().open_sender(path, Wait::Never)?.send(command)
    })
    .unwrap();
    child.join().unwrap();
}

/// A manager in a process of its own, that is killed with its FIFO open.
fn killed_manager(path: &PathBuf) {
    let (child, mut ours) = fork(ipc_pipe::pair().unwrap(), |mut theirs| -> Result<()> {
        let fifo = control().create(path)?;
        let mut rx = fifo.receiver()?;
        theirs.send(b"ready")?;
        loop {
            rx.recv()?;
        }
    })
    .unwrap();
    assert_eq!(ours.recv().unwrap(), b"ready");
    child.kill().unwrap();
    assert!(child.join().is_err());
}

fn a_killed_managers_is_taken_over() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("control");
    for _ in 0..20 {
        killed_manager(&path);
        assert!(path.exists());
        let refused = Fifo::create(&path); // which is no manager
        assert!(matches!(refused, Err(Error::Os { .. })));
        let reader = control().open_receiver(&path).unwrap(); // whoever that is
        control().create(&path).unwrap_err();
        drop(reader);
        let fifo = control().create(&path).unwrap();
        client(&path, b"reload");
        let mut rx = fifo.receiver().unwrap();
        assert_eq!(rx.recv().unwrap(), b"reload");
        client(&path, b"status");
        assert_eq!(rx.recv().unwrap(), b"status");
        assert!(matches!(rx.recv_timeout(SOON), Err(Error::TimedOut)));
        drop((fifo, rx));
        assert!(!path.exists());
    }
}

/// With a receiver and before, by the same process and by another, and by a child of the manager's.
fn a_live_managers_is_not() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("control");
    let fifo = control().create(&path).unwrap();
    let refused = || {
        let (child, ()) = fork(((), ()), |()| {
            let told = control().create(&path).unwrap_err().to_string();
            assert!(told.contains("its manager lives"), "{told}");
        })
        .unwrap();
        child.join().unwrap();
        let told = control().create(&path).unwrap_err();
        assert_eq!(told.kind(), ErrorKind::AlreadyExists, "{told}");
    };
    refused();
    let mut copy = Some(fifo);
    let (child, ()) = fork(((), ()), |()| drop(copy.take())).unwrap();
    child.join().unwrap();
    refused();
    let fifo = copy.unwrap();
    let mut rx = fifo.receiver().unwrap();
    refused();
    client(&path, b"one");
    assert_eq!(rx.recv().unwrap(), b"one");
    drop(rx);
    refused();
    // The manager has handed its receiver on, and is killed.
    drop(fifo);
    let (manager, mut ours) = fork(ipc_pipe::pair().unwrap(), |theirs| -> Result<()> {
        let fifo = control().create(&path)?;
        let ends = (fifo.receiver()?, theirs);
        let (_child, ()) = fork(((), ends), |(mut rx, mut theirs)| {
            theirs.send(b"ready").unwrap();
            assert_eq!(rx.recv().unwrap(), b"stop");
            theirs.send(b"stopped").unwrap();
        })
        .unwrap();
        loop {
            thread::park();
        }
    })
    .unwrap();
    assert_eq!(ours.recv().unwrap(), b"ready");
    manager.kill().unwrap();
    assert!(manager.join().is_err());
    refused();
    client(&path, b"stop");
    assert_eq!(ours.recv().unwrap(), b"stopped");
    wait().unwrap(); // a grandchild, which has come to us
    control().create(&path).unwrap();
}

/// Of several that start at once one gets it; what it then makes of it stays.
fn one_of_several_takes_it_over() {
    const RACERS: usize = 6;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("control");
    for round in 0..60 {
        if round % 3 > 0 {
            killed_manager(&path);
        }
        let mut racers = Vec::new();
        for _ in 0..RACERS {
            let (child, ours) = fork(ipc_pipe::pair().unwrap(), |mut theirs| -> Result<()> {
                theirs.recv()?;
                let Ok(fifo) = control().create(&path) else {
                    return theirs.send(b"lost");
                };
                let mut rx = fifo.receiver()?;
                theirs.send(b"won")?;
                let command = rx.recv()?;
                theirs.send(command)
            })
            .unwrap();
            racers.push((child, ours));
        }
        for (_, racer) in &mut racers {
            racer.send(b"go").unwrap();
        }
        let mut won = Vec::new();
        for (at, (_, racer)) in racers.iter_mut().enumerate() {
            if racer.recv().unwrap() == b"won" {
                won.push(at);
            }
        }
        assert_eq!(won.len(), 1, "round {round}: {won:?}");
        client(&path, b"stop");
        assert_eq!(racers[won[0]].1.recv().unwrap(), b"stop");
        for (child, _) in racers {
            child.join().unwrap();
        }
        assert!(
            !path.exists(),
            "the losers take nothing along, the winner does"
        );
    }
}

/// It may be removed at any moment, and who has it has it by its name.
fn managers_come_and_go() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("control");
    let mut managers = Vec::new();
    for _ in 0..3 {
        let (child, ()) = fork(((), ()), |()| {
            let mut had = 0;
            while had < 500 {
                match control().create(&path) {
                    Ok(fifo) => {
                        let found = fifo.sender(Wait::Never);
                        let named = !matches!(found, Err(Error::Removed { .. }));
                        assert!(named, "it has lost its name");
                        had += 1;
                    }
                    Err(error) => assert_eq!(error.kind(), ErrorKind::AlreadyExists, "{error}"),
                }
            }
        })
        .unwrap();
        managers.push(child);
    }
    for manager in managers {
        manager.join().unwrap();
    }
}

/// A client that outlives a manager is heard by the next; what lay there for the one before is not.
fn what_was_left_for_the_one_before_is_forgotten() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("control");
    let (child, mut ours) = fork(ipc_pipe::pair().unwrap(), |mut theirs| -> Result<()> {
        let fifo = control().create(&path)?;
        let _rx = fifo.receiver()?;
        theirs.send(b"ready")?;
        loop {
            thread::park(); // and receives nothing
        }
    })
    .unwrap();
    ours.recv().unwrap();
    let mut tx = control().open_sender(&path, Wait::Never).unwrap();
    for _ in 0..10 {
        tx.send(&[1; 4000]).unwrap();
    }
    child.kill().unwrap();
    assert!(child.join().is_err());
    assert!(matches!(tx.send(b"nobody"), Err(Error::Disconnected)));
    let fifo = control().create(&path).unwrap();
    tx.send(b"reload").unwrap();
    let mut rx = fifo.receiver().unwrap();
    assert_eq!(rx.recv().unwrap(), b"reload");
    assert!(matches!(rx.try_recv(), Err(Error::WouldBlock)));
}

/// What others could have put there is refused, as it is to be opened.
fn what_is_no_fifo_of_ours_is_not_taken_over() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("control");
    let refused = |reason: &str| {
        let told = control().create(&path).unwrap_err().to_string();
        assert!(told.contains(reason), "{told}");
        assert!(fs::symlink_metadata(&path).is_ok(), "it stays");
        fs::remove_file(&path).unwrap();
    };
    fs::write(&path, b"").unwrap();
    refused("a regular file");
    symlink(directory.path().join("elsewhere"), &path).unwrap();
    refused("a symbolic link");
    drop(UnixListener::bind(&path).unwrap());
    refused("a socket");
    mkfifo(&path, Mode::S_IRWXU).unwrap();
    fs::set_permissions(&path, PermissionsExt::from_mode(0o622)).unwrap();
    refused("lets other users in");
}

ipc_core::cases! {
    a_killed_managers_is_taken_over,
    a_live_managers_is_not,
    one_of_several_takes_it_over,
    managers_come_and_go,
    what_was_left_for_the_one_before_is_forgotten,
    what_is_no_fifo_of_ours_is_not_taken_over,
}
