//! Descriptors that nobody wants: they are closed, and whoever sent them is dropped.

mod support;

use std::fs::{self, File};
use std::io::{ErrorKind, IoSlice, Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process;
use std::time::Duration;

use ipc_socket::{
    Error, Inherit, Kind, Receiver, Sender, SocketDuplex, SocketOptions, SocketReceiver,
    SocketSender, Wait,
};
use nix::errno::Errno;
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
use support::sys::{SO_PASSRIGHTS, forget};

const SOON: Duration = Duration::from_millis(20);
const UNIX: [Kind; 2] = [Kind::Unix, Kind::Seqpacket];

fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

/// A peer that says what it wants: `bytes` in one call, and copies of `fd` with the first.
fn say(peer: &impl AsRawFd, bytes: &[u8], fds: &[RawFd]) {
    assert_eq!(try_to_say(peer, bytes, fds), Ok(bytes.len()));
}

fn try_to_say(peer: &impl AsRawFd, bytes: &[u8], fds: &[RawFd]) -> nix::Result<usize> {
    let control = [ControlMessage::ScmRights(fds)];
    let control = if fds.is_empty() { &[][..] } else { &control };
    let bufs = [IoSlice::new(bytes)];
    sendmsg::<()>(peer.as_raw_fd(), &bufs, control, MsgFlags::empty(), None)
}

fn path() -> PathBuf {
    std::env::temp_dir().join(format!("ipc-socket-fds-{}.s", process::id()))
}

/// A listener's peer and a stranger at its other end.
fn stranger(options: &SocketOptions) -> (UnixStream, SocketDuplex) {
    let listener = options.listen(path().as_path()).unwrap();
    let stranger = UnixStream::connect(path()).unwrap();
    (stranger, listener.accept().unwrap())
}

fn is_dropped(peer: &mut SocketDuplex, mut stranger: &UnixStream, reason: &str) {
    let error = peer.recv().unwrap_err();
    assert!(matches!(error, Error::Malformed { .. }), "{error}");
    assert!(error.to_string().contains(reason), "{error}");
    assert!(peer.message().is_empty());
    assert!(peer.receiver().take_fds().is_empty());
    assert!(matches!(peer.try_recv(), Err(Error::Malformed { .. })));
    assert!(
        matches!(stranger.read(&mut [0]), Ok(0) | Err(_)),
        "it is hung up on"
    );
    assert!(stranger.write_all(b"more").is_err());
}

fn too_many_are_closed_and_the_peer_dropped() {
    let null = File::open("/dev/null").unwrap();
    let null = null.as_raw_fd();
    for (max, sent) in [(1, 2), (3, 4), (16, 17), (16, 253), (99, 17)] {
        let (stranger, mut peer) = stranger(&SocketOptions::new().fds(max));
        let before = descriptors();
        say(
            &stranger,
            b"\0\0\0\x01a",
            &vec![null; max.min(16).min(sent - 1)],
        );
        assert_eq!(peer.recv().unwrap(), b"a");
        say(&stranger, b"\0\0\0\x01b", &vec![null; sent]);
        is_dropped(&mut peer, &stranger, "more descriptors than the");
        assert_eq!(descriptors(), before, "{max} {sent}");
    }
}

fn some_in_mid_message_are_closed_and_the_peer_dropped() {
    let null = File::open("/dev/null").unwrap();
    let null = null.as_raw_fd();
    for first in [&[][..], &[null]] {
        let (stranger, mut peer) = stranger(&SocketOptions::new().fds(16));
        let before = descriptors();
        say(&stranger, b"\0\0\0\x04a", first);
        assert!(matches!(peer.try_recv(), Err(Error::WouldBlock)));
        say(&stranger, b"bcd", &[null]);
        is_dropped(&mut peer, &stranger, "in the middle of a message");
        assert_eq!(descriptors(), before);
    }
    // A message that never ends does not gather them.
    let (stranger, mut peer) = stranger(&SocketOptions::new().fds(16));
    let before = descriptors();
    say(&stranger, b"\0\x01\0\0", &[]);
    for _ in 0..16 {
        say(&stranger, b"a", &[null; 16]);
        assert!(matches!(peer.try_recv(), Err(Error::WouldBlock)));
    }
    say(&stranger, b"a", &[null]);
    is_dropped(&mut peer, &stranger, "more than 256 descriptors");
    assert_eq!(descriptors(), before);
}

/// The ends of a pair that does not ask for them send none, and have been told why.
fn a_pair_that_takes_none_sends_none() {
    for kind in UNIX {
        let (mut tx, mut rx) = SocketOptions::new().kind(kind).channel().unwrap();
        let null = File::open("/dev/null").unwrap();
        for _ in 0..2 {
            let refused = tx.send_fds(b"no", &[null.as_fd()], Wait::Forever);
            let error = refused.unwrap_err().to_string();
            assert!(error.contains("`fds`"), "{kind}: {error}");
            tx.send_fds(b"none", &[], Wait::Forever).unwrap();
            assert_eq!(rx.recv().unwrap(), b"none");
            let (fds, state) = tx.into_parts().unwrap(); // as it says after it was handed over
            tx = SocketSender::from_parts(fds, &state).unwrap();
        }
    }
}

/// Another program that was given such an end sends none either: from Linux 6.16 the kernel bars
/// them, wherever the other end has gone; else it closes them.
fn a_pair_that_takes_none_gets_none() {
    for (kind, handed_over) in [
        (UNIX[0], false),
        (UNIX[0], true),
        (UNIX[1], false),
        (UNIX[1], true),
    ] {
        let (tx, mut rx) = SocketOptions::new().kind(kind).channel().unwrap();
        if handed_over {
            let (fds, state) = rx.into_parts().unwrap();
            rx = SocketReceiver::from_parts(fds, &state).unwrap();
        }
        let (file, held) = witness();
        match try_to_say(&tx.as_fd(), b"\0\0\0\x01a", &[file.as_raw_fd()]) {
            Err(Errno::EPERM) => assert!(matches!(rx.try_recv(), Err(Error::WouldBlock))),
            sent => {
                sent.unwrap();
                assert_eq!(rx.recv().unwrap(), b"a");
            }
        }
        drop(file);
        assert!(!is_held(&held), "{kind}: not by the kernel either");
        assert!(rx.take_fds().is_empty());
    }
}

fn nor_does_it_before_linux_6_16() {
    forget(SO_PASSRIGHTS);
    a_pair_that_takes_none_sends_none();
    a_pair_that_takes_none_gets_none();
}

/// A stranger that sends some is dropped, at either end of a connection; so is one's own end by
/// `fds(0)`.
fn a_stranger_that_sends_some_unasked_is_dropped() {
    for kind in UNIX {
        let options = SocketOptions::new().kind(kind);
        let listener = options.listen(path().as_path()).unwrap();
        let connected = || {
            let ours = options.connect(path().as_path()).unwrap();
            (ours, listener.accept().unwrap())
        };
        let ((one, other), (two, another)) = (connected(), connected());
        let own = options.clone().fds(0).pair().unwrap();
        for (mut peer, mut sends) in [(one, other), (another, two), own] {
            let (file, held) = witness();
            sends.send(b"good").unwrap();
            assert_eq!(peer.recv().unwrap(), b"good");
            let fds = [file.as_fd()];
            sends
                .sender()
                .send_fds(b"bad", &fds, Wait::Forever)
                .unwrap();
            drop(file);
            sends.send(b"not seen").unwrap();
            for _ in 0..2 {
                let error = peer.recv().unwrap_err();
                assert!(matches!(error, Error::Malformed { .. }), "{error}");
                assert!(error.to_string().contains("`fds`"), "{error}");
                assert!(peer.message().is_empty());
            }
            assert!(!is_held(&held));
            assert!(matches!(sends.send(b""), Err(Error::Disconnected)));
            assert!(matches!(sends.recv(), Err(Error::Disconnected)));
            assert!(peer.split().1.into_parts().is_err(), "nor handed on");
        }
    }
}

/// What a sender takes in while it waits for room is no way around it.
fn a_sender_that_waits_notices_such_a_stranger() {
    let (stranger, mut peer) = stranger(&SocketOptions::new());
    let (file, held) = witness();
    while peer.try_send(&[0; 1000]).is_ok() {}
    while peer.try_send(b"").is_ok() {}
    say(&stranger, b"\0\0\0\x01a", &[]);
    let waits = |peer: &mut SocketDuplex| peer.send_timeout(b"no room", SOON).unwrap_err();
    assert!(matches!(waits(&mut peer), Error::TimedOut));
    say(&stranger, b"\0\0\0\x01b", &[file.as_raw_fd()]);
    drop(file);
    waits(&mut peer);
    assert!(!is_held(&held), "it was read");
    assert_eq!(peer.recv().unwrap(), b"a", "what came before stands");
    let error = peer.recv().unwrap_err();
    assert!(matches!(error, Error::Malformed { .. }), "{error}");
}

/// A file whose other end tells whether some process or message has it open.
fn witness() -> (UnixStream, UnixStream) {
    let (file, held) = UnixStream::pair().unwrap();
    held.set_nonblocking(true).unwrap();
    (file, held)
}

fn is_held(mut held: &UnixStream) -> bool {
    let read = held.read(&mut [0]);
    read.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
}

/// This process has room for some of them only.
fn without_room_they_are_closed() {
    let (stranger, mut peer) = stranger(&SocketOptions::new().fds(16));
    let null = File::open("/dev/null").unwrap().into();
    let null: OwnedFd = null;
    say(&stranger, b"\0\0\0\x01a", &[null.as_raw_fd(); 16]);
    setrlimit(Resource::RLIMIT_NOFILE, 64, 64).unwrap();
    let mut held: Vec<_> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
    held.truncate(held.len() - 8);
    is_dropped(&mut peer, &stranger, "more descriptors");
    let more: Vec<_> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
    assert_eq!(more.len(), 8);
}

ipc_core::cases! {
    too_many_are_closed_and_the_peer_dropped,
    some_in_mid_message_are_closed_and_the_peer_dropped,
    a_pair_that_takes_none_sends_none,
    a_pair_that_takes_none_gets_none,
    nor_does_it_before_linux_6_16,
    a_stranger_that_sends_some_unasked_is_dropped,
    a_sender_that_waits_notices_such_a_stranger,
    without_room_they_are_closed,
}
