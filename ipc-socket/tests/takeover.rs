//! Socket files that killed servers left are taken over, and live ones never.

mod support;

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::os::unix::net::{UnixDatagram, UnixListener};

use ipc_process::fork;
use ipc_socket::{Error, Kind, Listener, Receiver, Sender, SocketOptions, listen};
use nix::sys::socket::Backlog;
use support::{Directory, leave};

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

ipc_core::cases! {
    a_killed_servers_file_is_taken_over,
    a_live_one_is_never_stolen,
    one_that_a_child_has_is_live,
    what_is_no_socket_stays,
}
