//! Descriptors that go with messages.

use std::fs::{self, File};
use std::io::{ErrorKind, IoSlice, Read, Seek, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process;
use std::thread;
use std::time::Duration;

use ipc_process::fork;
use ipc_socket::{
    Error, Inherit, Kind, Receiver, Sender, SocketDuplex, SocketOptions, SocketReceiver,
    SocketSender, Wait,
};
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};

const SOON: Duration = Duration::from_millis(20);
const UNIX: [Kind; 2] = [Kind::Unix, Kind::Seqpacket];

fn options(kind: Kind) -> SocketOptions {
    SocketOptions::new().kind(kind).fds(16)
}

fn channel(kind: Kind) -> (SocketSender, SocketReceiver) {
    options(kind).channel().unwrap()
}

/// A file that says `number`, and is nowhere.
fn file(number: usize) -> File {
    let path = std::env::temp_dir().join(format!("ipc-socket-fds-{}", process::id()));
    let mut file = File::options()
        .read(true)
        .write(true)
        .create_new(true)
        .open(&path)
        .unwrap();
    fs::remove_file(path).unwrap();
    write!(file, "{number}").unwrap();
    file
}

fn number(fd: OwnedFd) -> usize {
    let (mut file, mut text) = (File::from(fd), String::new());
    file.rewind().unwrap();
    file.read_to_string(&mut text).unwrap();
    text.parse().unwrap()
}

fn borrow(files: &[File]) -> Vec<BorrowedFd<'_>> {
    files.iter().map(AsFd::as_fd).collect()
}

fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

/// A peer that says what it wants: `bytes` in one call, and copies of `fd` with the first.
fn say(peer: &impl AsRawFd, bytes: &[u8], fds: &[RawFd]) {
    let control = [ControlMessage::ScmRights(fds)];
    let control = if fds.is_empty() { &[][..] } else { &control };
    let bufs = [IoSlice::new(bytes)];
    let sent = sendmsg::<()>(peer.as_raw_fd(), &bufs, control, MsgFlags::empty(), None);
    assert_eq!(sent.unwrap(), bytes.len());
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

fn they_come_with_their_message() {
    for kind in UNIX {
        let (mut tx, mut rx) = channel(kind);
        let before = descriptors();
        let files: Vec<File> = (0..16).map(file).collect();
        for count in [1, 16, 0, 3] {
            tx.send(b"before").unwrap();
            tx.send_fds(b"with", &borrow(&files[..count]), Wait::Forever)
                .unwrap();
            tx.send(b"after").unwrap();
            assert_eq!(rx.recv().unwrap(), b"before");
            assert!(rx.take_fds().is_empty(), "{kind}");
            assert_eq!(rx.recv().unwrap(), b"with");
            let taken = rx.take_fds();
            assert!(rx.take_fds().is_empty());
            for fd in &taken {
                let flags = fcntl(fd, FcntlArg::F_GETFD).unwrap();
                assert!(FdFlag::from_bits_retain(flags).contains(FdFlag::FD_CLOEXEC));
            }
            let numbers: Vec<usize> = taken.into_iter().map(number).collect();
            assert_eq!(numbers, (0..count).collect::<Vec<_>>());
            assert_eq!(rx.recv().unwrap(), b"after");
            assert!(rx.take_fds().is_empty());
        }
        // What nobody takes is closed.
        tx.send_fds(b"", &borrow(&files), Wait::Forever).unwrap();
        tx.send(b"").unwrap();
        rx.recv().unwrap();
        rx.recv().unwrap();
        drop(files);
        assert_eq!(descriptors(), before);
    }
}

/// However the kernel cuts and joins what is sent: each of many in a row, small and large.
fn many_in_a_row_are_not_mixed_up() {
    for kind in UNIX {
        let (ours, theirs) = options(kind).pair().unwrap();
        let ((mut tx, _), (_, mut rx)) = (ours.split(), theirs.split());
        let lens = [0, 1, 100, 5000, 70_000, 200_000, 3, 40_000];
        let files: Vec<File> = (0..10).map(file).collect();
        thread::scope(|scope| {
            scope.spawn(|| {
                for round in 0..2000_usize {
                    let message = vec![round.to_le_bytes()[0]; lens[round % lens.len()]];
                    let fds = &borrow(&files)[..round % 3];
                    tx.send_fds(&message, fds, Wait::Forever).unwrap();
                }
            });
            let mut round = 0_usize;
            while round < 2000 {
                let first = round;
                let mut each = |message: &[u8]| {
                    assert!(message == vec![round.to_le_bytes()[0]; lens[round % lens.len()]]);
                    round += 1;
                };
                rx.recv_many(10, Wait::Forever, &mut each).unwrap();
                let taken = rx.take_fds();
                // Those before the last brought none, and it brought its own.
                assert!((first..round - 1).all(|before| before % 3 == 0), "{kind}");
                let numbers: Vec<usize> = taken.into_iter().map(number).collect();
                assert_eq!(numbers, (0..(round - 1) % 3).collect::<Vec<_>>(), "{round}");
            }
        });
    }
}

fn they_cross_to_another_process() {
    for kind in UNIX {
        let (child, mut ours) = fork(options(kind).pair().unwrap(), |mut theirs| {
            theirs.recv()?;
            let fd = theirs.receiver().take_fds().remove(0);
            let answer = [file(number(fd) + 1)];
            theirs
                .sender()
                .send_fds(b"", &borrow(&answer), Wait::Forever)
        })
        .unwrap();
        ours.sender()
            .send_fds(b"", &borrow(&[file(41)]), Wait::Forever)
            .unwrap();
        ours.recv().unwrap();
        assert_eq!(number(ours.receiver().take_fds().remove(0)), 42);
        child.join().unwrap();
    }
}

fn what_cannot_be_sent_is_refused() {
    let null = File::open("/dev/null").unwrap();
    for (kind, count) in [(Kind::Unix, 17), (Kind::Seqpacket, 17), (Kind::Tcp, 1)] {
        let (mut tx, mut rx) = channel(kind);
        let error = tx.send_fds(b"no", &vec![null.as_fd(); count], Wait::Forever);
        assert!(matches!(error, Err(Error::Os { .. })), "{kind}");
        tx.send(b"yes").unwrap();
        assert_eq!(rx.recv().unwrap(), b"yes");
    }
    // Nor do those of a refused message go with the next.
    for kind in UNIX {
        let (mut tx, mut rx) = options(kind).max_len(1000).channel().unwrap();
        let refused = tx.send_fds(&[0; 1001], &[null.as_fd()], Wait::Forever);
        assert!(matches!(refused, Err(Error::TooLarge { .. })));
        while tx.try_send(&[0; 1000]).is_ok() {}
        while tx.try_send(b"").is_ok() {}
        let refused = tx.send_fds(b"", &[null.as_fd()], Wait::Never);
        assert!(matches!(refused, Err(Error::WouldBlock)), "{kind}");
        while rx.try_recv().is_ok() {}
        tx.send(b"next").unwrap();
        assert_eq!(rx.recv().unwrap(), b"next");
        assert!(rx.take_fds().is_empty());
    }
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

/// A pair's own end that does not ask for them gets none, and no harm.
fn those_nobody_asked_for_are_closed() {
    for kind in UNIX {
        let (mut tx, mut rx) = SocketOptions::new().kind(kind).channel().unwrap();
        let (file, held) = witness();
        tx.send_fds(b"hello", &[file.as_fd()], Wait::Forever)
            .unwrap();
        drop(file);
        assert!(is_held(&held));
        assert_eq!(rx.recv().unwrap(), b"hello");
        assert!(!is_held(&held), "{kind}: not by the kernel either");
        assert!(rx.take_fds().is_empty());
    }
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

/// A receiver that has read ahead goes on elsewhere.
fn a_receiver_made_of_its_parts_goes_on() {
    for kind in UNIX {
        let (mut tx, mut rx) = channel(kind);
        for message in [b"a", b"b", b"c"] {
            tx.send(message).unwrap();
        }
        assert_eq!(rx.recv().unwrap(), b"a");
        let (fds, state) = rx.into_parts().unwrap();
        let mut rx = SocketReceiver::from_parts(fds, &state).unwrap();
        tx.send_fds(b"d", &borrow(&[file(4)]), Wait::Forever)
            .unwrap();
        for message in [b"b", b"c", b"d"] {
            assert!(rx.take_fds().is_empty());
            assert_eq!(rx.recv().unwrap(), message);
        }
        assert!(rx.into_parts().is_err(), "they would be lost");
    }
}

ipc_core::cases! {
    they_come_with_their_message,
    many_in_a_row_are_not_mixed_up,
    they_cross_to_another_process,
    what_cannot_be_sent_is_refused,
    too_many_are_closed_and_the_peer_dropped,
    some_in_mid_message_are_closed_and_the_peer_dropped,
    those_nobody_asked_for_are_closed,
    a_stranger_that_sends_some_unasked_is_dropped,
    a_sender_that_waits_notices_such_a_stranger,
    without_room_they_are_closed,
    a_receiver_made_of_its_parts_goes_on,
}
