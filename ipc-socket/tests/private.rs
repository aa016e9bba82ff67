//! Nothing leaks: every descriptor of every kind of end is close-on-exec, and every file is 0600. More of
//! files and umasks is told in `listeners.rs`.

use std::fs;
use std::os::fd::AsFd;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::PathBuf;
use std::process;

use ipc_core::conformance::{descriptors, expect_close_on_exec};
use ipc_socket::{
    Address, Inherit, Kind, Receiver, Sender, SocketOptions, SocketReceiver, SocketSender, Wait,
};
use nix::sys::stat::{Mode, umask};

const KINDS: [Kind; 3] = [Kind::Unix, Kind::Seqpacket, Kind::Tcp];

fn every_end_is_close_on_exec() {
    let before = descriptors();
    for kind in KINDS {
        let options = SocketOptions::new().kind(kind);
        let (mut tx, rx) = options.channel().unwrap();
        tx.send(b"here").unwrap();
        let ends = options.pair().unwrap();
        let (fds, state) = tx.into_parts().unwrap();
        let tx = SocketSender::from_parts(fds, &state).unwrap();
        let (fds, state) = rx.into_parts().unwrap();
        let mut rx = SocketReceiver::from_parts(fds, &state).unwrap();
        assert_eq!(rx.recv().unwrap(), b"here");
        assert_eq!(expect_close_on_exec(&before), 2 + 2, "{kind:?}");
        drop((ends, tx, rx));
    }
    assert_eq!(expect_close_on_exec(&before), 0);
}

fn listeners_and_what_they_accept_close_on_exec() {
    let directory = Directory::new();
    let before = descriptors();
    let mut held = Vec::new();
    for (number, kind) in KINDS.into_iter().enumerate() {
        let address = match kind {
            Kind::Tcp => Address::from(std::net::SocketAddr::from(([127, 0, 0, 1], 0))),
            _ => Address::from(directory.0.join(number.to_string()).as_path()),
        };
        let options = SocketOptions::new().kind(kind);
        let listener = options.listen(address).unwrap();
        let theirs = options.connect(listener.address().clone());
        let mut ours = listener.accept().unwrap();
        let pidfd = (kind != Kind::Tcp).then(|| ours.receiver().pidfd());
        held.push((listener, theirs.unwrap(), ours, pidfd.and_then(Result::ok)));
        assert!(expect_close_on_exec(&before) >= 3 * (number + 1));
    }
    drop(held);
    assert_eq!(expect_close_on_exec(&before), 0);
}

fn descriptors_that_come_close_on_exec() {
    let before = descriptors();
    for kind in [Kind::Unix, Kind::Seqpacket] {
        let (mut tx, mut rx) = SocketOptions::new().kind(kind).fds(16).channel().unwrap();
        let (reader, writer) = nix::unistd::pipe().unwrap();
        tx.send_fds(b"two", &[reader.as_fd(), writer.as_fd()], Wait::Forever)
            .unwrap();
        drop((reader, writer)); // which are not
        assert_eq!(rx.recv().unwrap(), b"two");
        let fds = rx.take_fds();
        assert_eq!((fds.len(), expect_close_on_exec(&before)), (2, 4));
    }
    assert_eq!(expect_close_on_exec(&before), 0);
}

/// The socket, and the lock of its name while it is made.
fn every_file_is_0600_under_umask_0() {
    let directory = Directory::new();
    umask(Mode::empty());
    let mut seen = Vec::new();
    for kind in [Kind::Unix, Kind::Seqpacket] {
        let path = directory.0.join(format!("{kind:?}"));
        // What a killed listener leaves: so that there is a take-over, too.
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let listener = SocketOptions::new().kind(kind).listen(path.as_path());
        let entries = fs::read_dir(&directory.0).unwrap().map(Result::unwrap);
        for entry in entries {
            let mode = entry.metadata().unwrap().permissions().mode() & 0o7777;
            assert_eq!(mode, 0o600, "{}", entry.path().display());
            seen.push(entry.file_name());
        }
        drop(listener.unwrap());
    }
    assert!(seen.len() >= 2, "{seen:?}");
}

/// A directory of this process's own, removed at the end.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("ipc-socket-private-{}", process::id()));
        fs::DirBuilder::new().mode(0o700).create(&path).unwrap();
        Directory(path)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

ipc_core::cases! {
    every_end_is_close_on_exec,
    listeners_and_what_they_accept_close_on_exec,
    descriptors_that_come_close_on_exec,
    every_file_is_0600_under_umask_0,
}
