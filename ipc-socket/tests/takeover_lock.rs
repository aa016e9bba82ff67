//! Starts at one path take turns, by a lock on a file beside it.

mod support;

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process;
use std::thread;
use std::time::Duration;

use ipc_process::{Child, fork};
use ipc_socket::{Receiver, Sender, connect, listen};
use nix::fcntl::{Flock, FlockArg};
use nix::sys::ptrace;
use nix::sys::signal::{Signal, raise};
use nix::sys::stat::{Mode, umask};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{Pid, Uid, setuid};
use support::{Directory, leave};

const RACERS: usize = 64;
/// Long enough for a start that does not wait.
const A_WHILE: Duration = Duration::from_millis(50);

/// All start at once, where a stale file lies or none: one listens, and it is the one that is met.
fn of_64_racers_one_wins() {
    let directory = Directory::new();
    let path = directory.join("socket");
    for round in 0..6 {
        if round % 2 == 0 {
            leave(&path);
        }
        let mut racers: Vec<_> = (0..RACERS).map(|_| racer(&path)).collect();
        for (_, end) in &mut racers {
            end.send(b"go").unwrap();
        }
        let wins = |(_, end): &mut (Child, ipc_socket::SocketDuplex)| end.recv().unwrap() == b"won";
        let winners = racers.iter_mut().map(wins).filter(|&won| won).count();
        assert_eq!(winners, 1);
        let mut server = connect(path.as_path()).unwrap();
        assert_eq!(server.recv().unwrap(), b"hello");
        for (child, mut end) in racers {
            end.send(b"end").unwrap();
            child.join().unwrap();
        }
        assert!(directory.names().is_empty(), "{:?}", directory.names());
    }
}

fn racer(path: &Path) -> (Child, ipc_socket::SocketDuplex) {
    fork(ipc_socket::pair().unwrap(), |mut end| {
        end.recv().unwrap();
        let listener = match listen(path) {
            Ok(listener) => Some(listener),
            Err(error) => {
                assert_eq!(error.kind(), io::ErrorKind::AddrInUse, "{error}");
                None
            }
        };
        end.send(if listener.is_some() { b"won" } else { b"not" })?;
        if let Some(listener) = &listener {
            listener.accept()?.send(b"hello")?;
        }
        end.recv().map(drop)
    })
    .unwrap()
}

/// A kill before and after every system call of a start, over a stale file and without one: the next
/// start always takes over, and leaves nothing of either.
fn a_kill_at_any_step_leaves_what_is_taken_over() {
    let directory = Directory::new();
    let path = directory.join("socket");
    for (stale, mask) in [(false, 0o22), (true, 0o22), (true, 0o777)] {
        let mut steps = 0;
        while killed_after(steps, || {
            if stale {
                leave(&path);
            }
            umask(Mode::from_bits_truncate(mask));
            let path = path.clone();
            move || listen(path.as_path()).is_ok()
        }) {
            let listener = listen(path.as_path()).unwrap_or_else(|error| {
                panic!("after {steps} steps: {error}: {:?}", directory.names())
            });
            connect(path.as_path()).unwrap();
            drop(listener);
            assert!(directory.names().is_empty(), "{:?}", directory.names());
            steps += 1;
        }
        assert!(steps > 20, "{steps}");
        let _ = fs::remove_file(&path);
    }
}

/// A start that stops at each of its system calls.
fn traced(start: impl FnOnce() -> bool) -> (Child, Pid) {
    let (child, ()) = fork(((), ()), |()| {
        ptrace::traceme().unwrap();
        raise(Signal::SIGSTOP).unwrap();
        assert!(start());
        process::exit(0); // what it listened at is dropped by then
    })
    .unwrap();
    let pid = Pid::from_raw(child.pid().try_into().unwrap());
    let stopped = WaitStatus::Stopped(pid, Signal::SIGSTOP);
    assert_eq!(waitpid(pid, None).unwrap(), stopped);
    (child, pid)
}

/// Lets such a start go on until `there`.
fn go_on(pid: Pid, there: impl Fn() -> bool) {
    while !there() {
        ptrace::syscall(pid, None).unwrap();
        let stopped = waitpid(pid, None).unwrap();
        assert!(matches!(stopped, WaitStatus::Stopped(..)), "{stopped:?}");
    }
}

/// Kills a process after so many stops at system calls of what it does; false if it had ended.
fn killed_after<F: FnOnce() -> bool>(steps: usize, prepare: impl FnOnce() -> F) -> bool {
    let start = prepare();
    let (mut child, pid) = traced(start);
    for _ in 0..steps {
        ptrace::syscall(pid, None).unwrap();
        if let WaitStatus::Exited(..) = waitpid(pid, None).unwrap() {
            child.detach();
            return false;
        }
    }
    child.kill().unwrap();
    let _ = child.wait();
    true
}

/// A start that was stopped in the middle, say: others wait, then go on.
fn a_lock_is_waited_for() {
    let directory = Directory::new();
    let path = directory.join("socket");
    let lock = File::create(directory.join("socket.lock")).unwrap();
    let lock = Flock::lock(lock, FlockArg::LockExclusive).unwrap();
    thread::scope(|scope| {
        let started = scope.spawn(|| listen(path.as_path()).unwrap());
        thread::sleep(Duration::from_millis(50));
        assert!(!path.exists());
        drop(lock);
        started.join().unwrap();
    });
    assert!(directory.names().is_empty());
}

/// While one start is between taking a stale file away and making its own, another waits.
fn no_two_start_at_once() {
    let directory = Directory::new();
    let path = directory.join("socket");
    leave(&path);
    let (child, pid) = traced(|| listen(path.as_path()).is_ok());
    go_on(pid, || !path.exists());
    let other = thread::spawn({
        let path = path.clone();
        move || listen(path.as_path()).map(|_| assert!(path.exists()))
    });
    thread::sleep(A_WHILE);
    assert!(!other.is_finished() && !path.exists());
    ptrace::detach(pid, None).unwrap();
    child.join().unwrap();
    let _ = other.join().unwrap(); // it found the first, or came after it
    assert!(directory.names().is_empty());
}

/// Between opening and locking the file, another start has ended and removed it, and a third has made
/// and locked a new one: a lock on the old one is none.
fn a_lock_whose_file_is_gone_is_none() {
    let directory = Directory::new();
    let (path, lock) = (directory.join("socket"), directory.join("socket.lock"));
    let (child, pid) = traced(|| listen(path.as_path()).is_ok());
    go_on(pid, || has_open(pid, &lock));
    fs::remove_file(&lock).unwrap();
    let third = File::create(&lock).unwrap();
    let third = Flock::lock(third, FlockArg::LockExclusive).unwrap();
    ptrace::detach(pid, None).unwrap();
    for _ in 0..10 {
        thread::sleep(A_WHILE / 10);
        assert!(!path.exists() && lock.exists(), "it did not wait");
    }
    drop(third);
    child.join().unwrap();
    assert!(directory.names().is_empty());
}

fn has_open(pid: Pid, path: &Path) -> bool {
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
    let target = |entry: io::Result<fs::DirEntry>| fs::read_link(entry.unwrap().path());
    entries
        .map(target)
        .any(|target| target.is_ok_and(|target| target == path))
}

/// Whoever may write to the directory has no say in which file is made.
fn a_link_is_no_lock() {
    let directory = Directory::new();
    let (path, elsewhere) = (directory.join("socket"), directory.join("elsewhere"));
    symlink(&elsewhere, directory.join("socket.lock")).unwrap();
    let error = listen(path.as_path()).unwrap_err();
    assert!(error.to_string().contains("lock file"), "{error}");
    assert!(!elsewhere.exists() && !path.exists());
}

/// A start under a umask that takes everything was killed: what it left is locked all the same. Root
/// opens any file.
fn a_lock_without_a_mode_is_locked() {
    if Uid::effective().is_root() {
        setuid(Uid::from_raw(65_534)).unwrap();
    }
    let directory = Directory::new();
    let (path, lock) = (directory.join("socket"), directory.join("socket.lock"));
    File::create(&lock).unwrap();
    fs::set_permissions(&lock, Permissions::from_mode(0o000)).unwrap();
    listen(path.as_path()).unwrap();
    assert!(directory.names().is_empty());
}

ipc_core::cases! {
    of_64_racers_one_wins,
    a_kill_at_any_step_leaves_what_is_taken_over,
    a_lock_is_waited_for,
    no_two_start_at_once,
    a_lock_whose_file_is_gone_is_none,
    a_link_is_no_lock,
    a_lock_without_a_mode_is_locked,
}
