//! Listening: by path, by abstract name, by TCP.

mod support;

use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};
use std::time::Duration;

use ipc_process::fork;
use ipc_socket::{
    Address, Error, Kind, Ready, Receiver, Select, Sender, SocketOptions, Wait, connect, listen,
};
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::stat::{Mode, umask};
use support::{Directory, abstract_name, kind_of, leave, loopback};

const SOON: Duration = Duration::from_millis(30);

fn every_address_is_listened_at_and_connected_to() {
    let directory = Directory::new();
    let unix = [directory.join("socket").into(), abstract_name()];
    let mut all: Vec<(Kind, Address)> = Vec::new();
    for kind in [Kind::Unix, Kind::Seqpacket] {
        all.extend(unix.iter().map(|address| (kind, address.clone())));
    }
    all.push((Kind::Tcp, loopback()));
    all.push((Kind::Tcp, "[::1]:0".parse().unwrap()));
    all.push((Kind::Unix, loopback())); // the address says it
    for (kind, address) in all {
        let options = SocketOptions::new().kind(kind);
        let listener = match options.listen(&address) {
            // Not every machine has IPv6.
            Err(error) if error.kind() == io::ErrorKind::AddrNotAvailable => continue,
            listener => listener.unwrap(),
        };
        let mut ours = options.connect(listener.address()).unwrap();
        let mut theirs = listener.accept().unwrap();
        for len in [0, 1, 100_000] {
            ours.send(&vec![1; len]).unwrap();
            assert_eq!(theirs.recv().unwrap(), vec![1; len]);
            theirs.send(&vec![2; len]).unwrap();
            assert_eq!(ours.recv().unwrap(), vec![2; len]);
        }
        drop(listener); // its connections stay
        ours.send(b"still").unwrap();
        assert_eq!(theirs.recv().unwrap(), b"still");
        drop(ours);
        assert!(matches!(theirs.recv(), Err(Error::Disconnected)));
    }
}

fn a_socket_file_has_mode_0600_under_any_umask() {
    let directory = Directory::new();
    let path = directory.join("socket");
    for mask in [0, 0o22, 0o77, 0o200, 0o777] {
        let before = umask(Mode::from_bits(mask).unwrap());
        let listener = listen(path.as_path()).unwrap();
        let made = fs::symlink_metadata(&path).unwrap();
        assert!(made.file_type().is_socket());
        assert_eq!(made.permissions().mode() & 0o7777, 0o600, "umask {mask:o}");
        drop(listener);
        assert!(!path.exists());
        let after = umask(before);
        assert_eq!(after.bits(), mask, "the umask was touched");
    }
}

fn a_socket_file_is_removed_by_its_maker_only() {
    let directory = Directory::new();
    let path = directory.join("socket");
    let mut listener = Some(listen(path.as_path()).unwrap());
    let (child, ()) = fork(((), ()), |()| {
        drop(listener.take()); // the child's copy
        assert!(path.exists());
    })
    .unwrap();
    child.join().unwrap();
    assert!(path.exists());
    connect(path.as_path()).unwrap();
    // Not by its name alone, either.
    let moved = directory.join("moved");
    fs::rename(&path, &moved).unwrap();
    let second = listen(path.as_path()).unwrap();
    drop(listener);
    assert!(path.exists());
    drop(second);
    assert!(!path.exists());
}

fn a_relative_path_is_removed_from_elsewhere() {
    let directory = Directory::new();
    std::env::set_current_dir(&directory.0).unwrap();
    let listener = listen("./socket".parse::<Address>().unwrap()).unwrap();
    std::env::set_current_dir("/").unwrap();
    assert!(directory.join("socket").exists());
    drop(listener);
    assert!(!directory.join("socket").exists());
}

fn a_name_that_is_taken_is_refused() {
    let directory = Directory::new();
    let (taken, file, link) = (
        directory.join("taken"),
        directory.join("file"),
        directory.join("link"),
    );
    let _listener = listen(taken.as_path()).unwrap();
    fs::write(&file, "precious").unwrap();
    symlink(directory.join("nowhere"), &link).unwrap();
    for path in [&taken, &file, &link] {
        let (kind, told) = kind_of(listen(path.as_path()));
        assert_eq!(kind, io::ErrorKind::AddrInUse);
        assert!(
            told.contains(&format!("bind on unix socket {}", path.display())),
            "{told}"
        );
        // Nobody is told to remove what is precious.
        let advice = if *path == taken {
            "a server is there"
        } else {
            "no socket"
        };
        assert!(told.contains(advice), "{told}");
        assert!(!told.contains("rm "), "{told}");
    }
    assert_eq!(fs::read(&file).unwrap(), b"precious");
    connect(taken.as_path()).unwrap(); // the first still listens

    let _listener = listen(abstract_name()).unwrap();
    assert_eq!(kind_of(listen(abstract_name())).0, io::ErrorKind::AddrInUse);
    let listener = listen(loopback()).unwrap();
    let (kind, told) = kind_of(listen(listener.address()));
    assert_eq!(kind, io::ErrorKind::AddrInUse);
    assert!(told.contains(&listener.address().to_string()), "{told}");
}

/// The port is free again, though its last connection was closed a moment ago.
fn a_tcp_listener_restarts_at_once() {
    let listener = listen(loopback()).unwrap();
    let address = listener.address().clone();
    let ours = connect(&address).unwrap();
    let mut theirs = listener.accept().unwrap();
    theirs.sender().shutdown(Wait::Forever).unwrap();
    drop((theirs, listener, ours));
    listen(address).unwrap();
}

fn accepting_keeps_its_deadline() {
    for address in [abstract_name(), loopback()] {
        let listener = listen(address).unwrap();
        assert!(matches!(listener.try_accept(), Err(Error::WouldBlock)));
        assert!(matches!(
            listener.accept_timeout(SOON),
            Err(Error::TimedOut)
        ));
        let _ours = connect(listener.address()).unwrap();
        listener.accept_timeout(SOON).unwrap();
        assert!(matches!(listener.try_accept(), Err(Error::WouldBlock)));
    }
}

/// However few descriptors there are: with two, one of which is the lock's, listening works; with
/// fewer it leaves nothing.
fn a_listener_without_descriptors_leaves_no_file() {
    let directory = Directory::new();
    let path = directory.join("socket");
    setrlimit(Resource::RLIMIT_NOFILE, 64, 64).unwrap();
    let mut held: Vec<_> = std::iter::from_fn(|| fs::File::open("/dev/null").ok()).collect();
    for _ in 0..2 {
        kind_of(listen(path.as_path()));
        assert!(!path.exists());
        held.pop();
    }
    let listener = listen(path.as_path()).unwrap();
    assert!(path.exists());
    drop((listener, held));
    assert!(!path.exists());
    // A mode can be mended by a descriptor only.
    umask(Mode::from_bits(0o777).unwrap());
    let mut held: Vec<_> = std::iter::from_fn(|| fs::File::open("/dev/null").ok()).collect();
    held.pop();
    kind_of(listen(path.as_path()));
    assert!(!path.exists());
    drop(held);
    assert_eq!(fs::read_dir(&directory.0).unwrap().count(), 0, "a lock");
}

fn a_listener_is_selected() {
    let (mut one, mut other) = (
        listen(abstract_name()).unwrap(),
        listen(loopback()).unwrap(),
    );
    let mut select = Select::new();
    let members: &mut [&mut dyn Ready] = &mut [&mut one, &mut other];
    assert!(matches!(
        select.wait(members, SOON.into()),
        Err(Error::TimedOut)
    ));
    let _ours = connect(other.address()).unwrap();
    let members: &mut [&mut dyn Ready] = &mut [&mut one, &mut other];
    assert_eq!(select.wait(members, Wait::Forever).unwrap(), 1);
    other.try_accept().unwrap();
}

/// A frame that is none ends its own connection only.
fn a_bad_peer_harms_nobody_else() {
    use std::io::Write;
    let listener = listen(loopback()).unwrap();
    let Address::Tcp(address) = *listener.address() else {
        panic!()
    };
    let mut good = connect(listener.address()).unwrap();
    let mut to_good = listener.accept().unwrap();
    let mut bad = std::net::TcpStream::connect(address).unwrap();
    let mut to_bad = listener.accept().unwrap();
    bad.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    let error = to_bad.recv().unwrap_err();
    let name = format!("tcp socket {}", bad.local_addr().unwrap());
    assert!(error.to_string().contains(&name), "{error}");
    good.send(b"hello").unwrap();
    assert_eq!(to_good.recv().unwrap(), b"hello");
    connect(listener.address()).unwrap();
    listener.accept().unwrap();
}

/// An accepted connection, too; and the lock and its probe are closed.
fn every_descriptor_is_closed_on_exec() {
    let directory = Directory::new();
    let path = directory.join("socket");
    leave(&path);
    let listener = listen(path.as_path()).unwrap();
    let ours = connect(path.as_path()).unwrap();
    let theirs = listener.accept().unwrap();
    let flags = |fd: BorrowedFd<'_>| fcntl(fd, FcntlArg::F_GETFD).unwrap();
    let ends = [ours.split().0, theirs.split().0];
    for fd in [listener.as_fd(), ends[0].as_fd(), ends[1].as_fd()] {
        assert_eq!(flags(fd), FdFlag::FD_CLOEXEC.bits(), "{fd:?}");
    }
}

ipc_core::cases! {
    every_descriptor_is_closed_on_exec,
    every_address_is_listened_at_and_connected_to,
    a_socket_file_has_mode_0600_under_any_umask,
    a_socket_file_is_removed_by_its_maker_only,
    a_relative_path_is_removed_from_elsewhere,
    a_name_that_is_taken_is_refused,
    a_tcp_listener_restarts_at_once,
    accepting_keeps_its_deadline,
    a_listener_without_descriptors_leaves_no_file,
    a_listener_is_selected,
    a_bad_peer_harms_nobody_else,
}
