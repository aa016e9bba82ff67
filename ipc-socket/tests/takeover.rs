//! Socket files that killed servers left are taken over, and live ones never.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::path::{Path, PathBuf};
use std::process;
use std::thread;
use std::time::Duration;

use ipc_process::{Child, fork};
use ipc_socket::{Error, Kind, Listener, Receiver, Sender, SocketOptions, connect, listen};
use nix::fcntl::{Flock, FlockArg};
use nix::sys::ptrace;
use nix::sys::signal::{Signal, raise};
use nix::sys::socket::Backlog;
use nix::sys::stat::{Mode, umask};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;

const RACERS: usize = 64;

/// A directory of one's own, gone with this.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("ipc-socket-takeover-{}", process::id()));
        fs::create_dir(&path).unwrap();
        Directory(path)
    }

    fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.0).unwrap();
        let name = |entry: io::Result<fs::DirEntry>| entry.unwrap().file_name();
        entries
            .map(|entry| name(entry).to_string_lossy().into())
            .collect()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

/// What a killed server leaves.
fn leave(path: &Path) {
    drop(UnixListener::bind(path).unwrap());
}

fn is_taken(listened: ipc_socket::Result<Listener>) -> bool {
    listened.is_err_and(|error| error.kind() == io::ErrorKind::AddrInUse)
}

fn a_killed_servers_file_is_taken_over() {
    let directory = Directory::new();
    let path = directory.join("socket");
    for kind in [Kind::Unix, Kind::Seqpacket] {
        let options = SocketOptions::new().kind(kind);
        let (child, mut told) = fork(ipc_socket::pair().unwrap(), |mut tell| {
            let _listener = options.listen(path.as_path()).unwrap();
            tell.send(b"listening").unwrap();
            tell.recv().map(drop)
        })
        .unwrap();
        told.recv().unwrap();
        child.kill().unwrap();
        let _ = child.join();
        assert_eq!(directory.names(), ["socket"]);
        let listener = options.listen(path.as_path()).unwrap();
        let mut ours = options.connect(path.as_path()).unwrap();
        let mut theirs = listener.accept().unwrap();
        ours.send(b"hello").unwrap();
        assert_eq!(theirs.recv().unwrap(), b"hello");
        drop(listener);
        assert!(directory.names().is_empty());
    }
}

/// Nor does it notice: no connection that says nothing is left in its queue.
fn a_live_one_is_never_stolen() {
    let directory = Directory::new();
    let path = directory.join("socket");
    for (kind, other) in [(Kind::Unix, Kind::Seqpacket), (Kind::Seqpacket, Kind::Unix)] {
        let listener = SocketOptions::new()
            .kind(kind)
            .listen(path.as_path())
            .unwrap();
        for kind in [kind, other] {
            assert!(is_taken(
                SocketOptions::new().kind(kind).listen(path.as_path())
            ));
        }
        assert!(matches!(listener.try_accept(), Err(Error::WouldBlock)));
        // Not even with a full queue.
        nix::sys::socket::listen(&listener, Backlog::new(0).unwrap()).unwrap();
        let _waits = SocketOptions::new()
            .kind(kind)
            .connect(path.as_path())
            .unwrap();
        assert!(is_taken(listen(path.as_path())));
    }
    // Somebody else's are live, too.
    let _datagrams = UnixDatagram::bind(&path).unwrap();
    assert!(is_taken(listen(path.as_path())));
}

/// The parent is gone, its child still listens.
fn one_that_a_child_has_is_live() {
    let directory = Directory::new();
    let path = directory.join("socket");
    let listener = UnixListener::bind(&path).unwrap();
    let (child, mut told) = fork(ipc_socket::pair().unwrap(), |mut tell| {
        let _copy = listener.try_clone().unwrap();
        tell.send(b"copied").unwrap();
        tell.recv().map(drop)
    })
    .unwrap();
    told.recv().unwrap();
    drop(listener);
    assert!(is_taken(listen(path.as_path())));
    told.send(b"").unwrap();
    child.join().unwrap();
    listen(path.as_path()).unwrap();
}

fn what_is_no_socket_stays() {
    let directory = Directory::new();
    let (file, link, stale) = (
        directory.join("file"),
        directory.join("link"),
        directory.join("stale"),
    );
    fs::write(&file, "precious").unwrap();
    leave(&stale);
    symlink(&stale, &link).unwrap();
    for path in [&file, &link] {
        assert!(is_taken(listen(path.as_path())));
    }
    assert_eq!(fs::read(&file).unwrap(), b"precious");
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(directory.names().len(), 3, "a lock was left");
}

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

/// Kills a process after so many stops at system calls of what it does; false if it had ended.
fn killed_after<F: FnOnce() -> bool>(steps: usize, prepare: impl FnOnce() -> F) -> bool {
    let start = prepare();
    let (mut child, ()) = fork(((), ()), |()| {
        ptrace::traceme().unwrap();
        raise(Signal::SIGSTOP).unwrap();
        assert!(start());
        process::exit(0); // what it listened at is dropped by then
    })
    .unwrap();
    let pid = Pid::from_raw(child.pid().try_into().unwrap());
    assert_eq!(
        waitpid(pid, None).unwrap(),
        WaitStatus::Stopped(pid, Signal::SIGSTOP)
    );
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
    let lock = fs::File::create(directory.join("socket.lock")).unwrap();
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

ipc_core::cases! {
    a_killed_servers_file_is_taken_over,
    a_live_one_is_never_stolen,
    one_that_a_child_has_is_live,
    what_is_no_socket_stays,
    of_64_racers_one_wins,
    a_kill_at_any_step_leaves_what_is_taken_over,
    a_lock_is_waited_for,
}
