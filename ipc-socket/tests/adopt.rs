//! Sockets that others made.

mod support;

use std::fs::{self, File};
use std::io::Write;
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::PathBuf;
use std::process;

use ipc_socket::{
    Error, Kind, Receiver, Sender, SocketDuplex, SocketOptions, SocketReceiver, SocketSender,
};
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket, socketpair};
use support::sys::{SO_PASSPIDFD, TELL, switch_on};

fn tcp() -> (OwnedFd, OwnedFd) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let ours = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (ours.into(), listener.accept().unwrap().0.into())
}

/// Neither closed on exec nor blocking, and with what others may have set.
fn unix(kind: SockType) -> (OwnedFd, OwnedFd) {
    let flags = SockFlag::SOCK_NONBLOCK;
    let pair = socketpair(AddressFamily::Unix, kind, None, flags).unwrap();
    for option in TELL {
        switch_on(&pair.1, option);
    }
    pair
}

fn every_kind_is_recognised() {
    for (kind, (ours, theirs)) in [
        (Kind::Unix, unix(SockType::Stream)),
        (Kind::Seqpacket, unix(SockType::SeqPacket)),
        (Kind::Tcp, tcp()),
    ] {
        let options = SocketOptions::new().max_len(1 << 20);
        let mut ours = options.endpoint(ours).unwrap();
        let mut theirs = options.endpoint(theirs).unwrap();
        for end in [&mut ours, &mut theirs] {
            assert_eq!((end.sender().kind(), end.receiver().kind()), (kind, kind));
            let flags = fcntl(end.sender().as_fd(), FcntlArg::F_GETFD).unwrap();
            assert!(FdFlag::from_bits_retain(flags).contains(FdFlag::FD_CLOEXEC));
        }
        for len in [0, 1, 200_000] {
            exchange(&mut ours, &mut theirs, len);
            exchange(&mut theirs, &mut ours, len);
        }
        drop(ours);
        assert!(matches!(theirs.recv(), Err(Error::Disconnected)));
    }
}

fn exchange(from: &mut SocketDuplex, to: &mut SocketDuplex, len: usize) {
    let message = vec![b'x'; len];
    from.send(&message).unwrap();
    assert_eq!(to.recv().unwrap(), message);
}

/// What the kernel was asked to tell of each message is not taken for descriptors of the peer's, nor
/// kept if it is one.
fn what_comes_with_messages_is_the_peers() {
    for (kind, max) in [
        (SockType::Stream, 0),
        (SockType::Stream, 4),
        (SockType::SeqPacket, 0),
        (SockType::SeqPacket, 4),
    ] {
        let (theirs, ours) = unix(kind);
        let options = SocketOptions::new().fds(max);
        let mut theirs = options.endpoint(theirs).unwrap();
        let mut ours = options.endpoint(ours).unwrap();
        let before = descriptors();
        for late in [false, true] {
            if late && max > 0 {
                switch_on(&ours.receiver().as_fd(), SO_PASSPIDFD); // by whoever has it, too
            }
            for _ in 0..10 {
                exchange(&mut theirs, &mut ours, 5);
                assert!(ours.receiver().take_fds().is_empty());
            }
            assert_eq!(descriptors(), before);
        }
    }
}

fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

fn halves_are_made_of_descriptors() {
    let (tx, rx) = UnixStream::pair().unwrap();
    let mut tx = SocketSender::try_from(OwnedFd::from(tx)).unwrap();
    let mut rx = SocketReceiver::try_from(OwnedFd::from(rx)).unwrap();
    tx.send(b"hello").unwrap();
    assert_eq!(rx.recv().unwrap(), b"hello");
    // What had arrived before is received.
    let (mut stranger, ours) = UnixStream::pair().unwrap();
    stranger.write_all(b"\0\0\0\x02hi").unwrap();
    drop(stranger);
    let mut ours = SocketOptions::new().receiver(ours).unwrap();
    assert_eq!(ours.recv().unwrap(), b"hi");
    assert!(matches!(ours.recv(), Err(Error::Disconnected)));
}

fn what_is_no_connection_is_refused() {
    let path: PathBuf = std::env::temp_dir().join(format!("ipc-socket-adopt-{}", process::id()));
    let none = SockFlag::empty();
    let unconnected = |family| socket(family, SockType::Stream, none, None).unwrap();
    let others: [OwnedFd; 9] = [
        File::open("/dev/null").unwrap().into(),
        UnixListener::bind(&path).unwrap().into(),
        TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().into(),
        UnixDatagram::pair().unwrap().0.into(),
        UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().into(),
        unconnected(AddressFamily::Unix),
        unconnected(AddressFamily::Inet),
        nix::unistd::pipe().unwrap().0,
        nix::unistd::pipe().unwrap().1,
    ];
    std::fs::remove_file(path).unwrap();
    for (at, fd) in others.into_iter().enumerate() {
        let error = SocketOptions::new().endpoint(fd).unwrap_err();
        assert!(matches!(error, Error::Malformed { .. }), "{at}: {error}");
        assert!(error.to_string().contains("no connected socket"), "{error}");
    }
}

ipc_core::cases! {
    every_kind_is_recognised,
    what_comes_with_messages_is_the_peers,
    halves_are_made_of_descriptors,
    what_is_no_connection_is_refused,
}
