//! Sockets that others made.

use std::fs::File;
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
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, setsockopt, socket, socketpair, sockopt,
};

fn tcp() -> (OwnedFd, OwnedFd) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let ours = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (ours.into(), listener.accept().unwrap().0.into())
}

/// Neither closed on exec nor blocking, and with what others may have set.
fn unix(kind: SockType) -> (OwnedFd, OwnedFd) {
    let flags = SockFlag::SOCK_NONBLOCK;
    let pair = socketpair(AddressFamily::Unix, kind, None, flags).unwrap();
    setsockopt(&pair.1, sockopt::PassCred, &true).unwrap();
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
    halves_are_made_of_descriptors,
    what_is_no_connection_is_refused,
}
