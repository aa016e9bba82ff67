//! Connecting, to somebody and to nobody.

mod support;

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use ipc_socket::{Address, Error, Kind, SocketOptions, connect, listen};
use nix::sys::socket::Backlog;
use support::{Directory, abstract_name, kind_of, loopback};

const SOON: Duration = Duration::from_millis(30);

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

ipc_core::cases! {
    nobody_there_is_said,
    nobody_is_not_oneself,
    kinds_do_not_mix,
    names_that_cannot_be_are_refused,
    connecting_keeps_its_deadline,
    a_connect_deadline_is_forgotten,
}
