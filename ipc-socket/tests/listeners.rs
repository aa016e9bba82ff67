//! Listening and connecting: by path, by abstract name, by TCP.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process;
use std::time::Duration;

use ipc_process::fork;
use ipc_socket::{
    Address, Error, Kind, Ready, Receiver, Result, Select, Sender, SocketOptions, Wait, connect,
    listen,
};
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::socket::Backlog;
use nix::sys::stat::{Mode, umask};

const SOON: Duration = Duration::from_millis(30);

/// A directory of one's own, gone with this.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("ipc-socket-{}", process::id()));
        fs::create_dir(&path).unwrap();
        Directory(path)
    }

    fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

fn loopback() -> Address {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()
}

fn abstract_name() -> Address {
    Address::Abstract(format!("ipc-socket-{}", process::id()).into_bytes())
}

fn kind_of<T: std::fmt::Debug>(result: Result<T>) -> (io::ErrorKind, String) {
    let error = result.unwrap_err();
    (error.kind(), error.to_string())
}

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

fn nobody_there_is_said() {
    let directory = Directory::new();
    let (missing, stale) = (directory.join("missing"), directory.join("stale"));
    drop(std::os::unix::net::UnixListener::bind(&stale).unwrap());
    let (kind, told) = kind_of(connect(missing.as_path()));
    assert_eq!(kind, io::ErrorKind::NotFound);
    assert!(
        told.contains("missing") && told.contains("start the server first"),
        "{told}"
    );
    let (kind, told) = kind_of(connect(stale.as_path()));
    assert_eq!(kind, io::ErrorKind::ConnectionRefused);
    assert!(told.contains("nobody listens there"), "{told}");
    let closed = listen(loopback()).unwrap().address().clone();
    let (kind, told) = kind_of(connect(&closed));
    assert_eq!(kind, io::ErrorKind::ConnectionRefused);
    assert!(told.contains(&format!("tcp socket {closed}")), "{told}");
}

/// TCP has a simultaneous open: a socket that is given the port that it looks for meets itself.
fn nobody_is_not_oneself() {
    let range = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap();
    let low: u16 = range.split_whitespace().next().unwrap().parse().unwrap();
    // Those who connect are given the even ones, if the range begins so.  net/ipv4/inet_hashtables.c
    let address = (low..)
        .step_by(2)
        .map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
        .find(|&address| listen(address).is_ok())
        .unwrap();
    for _ in 0..60_000 {
        let (kind, _) = kind_of(connect(address));
        assert_eq!(kind, io::ErrorKind::ConnectionRefused);
    }
}

fn kinds_do_not_mix() {
    let directory = Directory::new();
    let path = directory.join("socket");
    let packets = SocketOptions::new().kind(Kind::Seqpacket);
    let _listener = listen(path.as_path()).unwrap();
    let (_, told) = kind_of(packets.connect(path.as_path()));
    assert!(told.contains("another kind of unix socket"), "{told}");
    let (kind, told) = kind_of(packets.listen(loopback()));
    assert_eq!(kind, io::ErrorKind::InvalidInput);
    assert!(told.contains("seqpacket socket 127.0.0.1:0"), "{told}");
    let (kind, _) = kind_of(
        SocketOptions::new()
            .kind(Kind::Tcp)
            .listen(directory.join("other")),
    );
    assert_eq!(kind, io::ErrorKind::InvalidInput);
    assert!(!directory.join("other").exists());
}

fn names_that_cannot_be_are_refused() {
    let long = format!("/tmp/{}", "x".repeat(103));
    let (_, told) = kind_of(listen(Path::new(&long)));
    assert!(told.contains("at most 107 bytes"), "{told}");
    kind_of(connect(Path::new(&long)));
    assert_eq!(kind_of(listen(Path::new(""))).0, io::ErrorKind::NotFound);
    for text in [
        "",
        "app.sock",
        "localhost:80",
        "127.0.0.1",
        "127.0.0.1:99999",
    ] {
        let (kind, told) = kind_of(text.parse::<Address>());
        assert_eq!(kind, io::ErrorKind::InvalidInput);
        assert!(told.contains(&format!("{text:?}")), "{told}");
    }
    for text in [
        "/run/x",
        "./x",
        "./@x",
        "@x",
        "@",
        "127.0.0.1:80",
        "[::1]:80",
    ] {
        assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
    }
    // As `ss -x` shows the X server's.
    let name = "@/tmp/.X11-unix/X0".parse::<Address>().unwrap();
    assert_eq!(name, Address::Abstract(b"/tmp/.X11-unix/X0".to_vec()));
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

/// A unix listener's queue that is full makes others wait, and TCP drops what knocks.
fn connecting_keeps_its_deadline() {
    let endless = Duration::from_millis(u64::MAX); // for the clock it is a time like any other
    let options = SocketOptions::new();
    for address in [abstract_name(), loopback()] {
        let listener = listen(address).unwrap();
        nix::sys::socket::listen(&listener, Backlog::new(0).unwrap()).unwrap();
        let _first = options
            .connect_timeout(listener.address(), endless)
            .unwrap();
        assert!(matches!(
            options.connect_timeout(listener.address(), SOON),
            Err(Error::TimedOut)
        ));
        assert!(matches!(
            options.try_connect(listener.address()),
            Err(Error::WouldBlock)
        ));
    }
}

/// How long connecting may take is no deadline of what is sent later.
fn a_connect_deadline_is_forgotten() {
    let listener = listen(abstract_name()).unwrap();
    let mut ours = SocketOptions::new()
        .connect_timeout(listener.address(), SOON)
        .unwrap();
    let _theirs = listener.accept().unwrap();
    let fd = std::os::fd::AsFd::as_fd(ours.sender());
    let timeout = nix::sys::socket::getsockopt(&fd, nix::sys::socket::sockopt::SendTimeout);
    let timeout = timeout.unwrap();
    assert_eq!((timeout.tv_sec(), timeout.tv_usec()), (0, 0));
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

ipc_core::cases! {
    every_address_is_listened_at_and_connected_to,
    a_socket_file_has_mode_0600_under_any_umask,
    a_socket_file_is_removed_by_its_maker_only,
    a_relative_path_is_removed_from_elsewhere,
    a_name_that_is_taken_is_refused,
    a_tcp_listener_restarts_at_once,
    nobody_there_is_said,
    nobody_is_not_oneself,
    kinds_do_not_mix,
    names_that_cannot_be_are_refused,
    accepting_keeps_its_deadline,
    a_listener_without_descriptors_leaves_no_file,
    connecting_keeps_its_deadline,
    a_connect_deadline_is_forgotten,
    a_listener_is_selected,
    a_bad_peer_harms_nobody_else,
}
