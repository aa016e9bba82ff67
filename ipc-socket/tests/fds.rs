//! Descriptors that go with messages.

use std::fs::{self, File};
use std::io::{Read, Seek, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process;
use std::thread;

use ipc_process::fork;
use ipc_socket::{
    Error, Inherit, Kind, Receiver, Sender, SocketOptions, SocketReceiver, SocketSender, Wait,
};
use nix::fcntl::{FcntlArg, FdFlag, fcntl};

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
    a_receiver_made_of_its_parts_goes_on,
}
