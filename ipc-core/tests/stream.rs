//! The framed halves over a pair of pipes, in one process.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use ipc_core::stream::{FramedReceiver, FramedSender, PipeFd, Sink};
use ipc_core::{Duplex, Error, Interest, Ready, Receiver, Result, Select, Sender, Spin, Wait};

type End = Duplex<FramedSender<PipeFd>, FramedReceiver<PipeFd>>;

const MAX_LEN: usize = 4 << 20;

fn channel(spin: Spin) -> (FramedSender<PipeFd>, FramedReceiver<PipeFd>) {
    let (reader, writer) = pipe().unwrap();
    let sink = PipeFd::new(writer.into(), "pipe").unwrap();
    let source = PipeFd::new(reader.into(), "pipe").unwrap();
    (
        FramedSender::new(sink, MAX_LEN, spin),
        FramedReceiver::new(source, MAX_LEN, spin),
    )
}

fn pair(spin: Spin) -> (End, End) {
    let ((tx1, rx1), (tx2, rx2)) = (channel(spin), channel(spin));
    (Duplex::new(tx1, rx2), Duplex::new(tx2, rx1))
}

/// `std::io::pipe` is younger than our oldest compiler.
fn pipe() -> std::io::Result<(File, File)> {
    let (reader, writer) = nix::unistd::pipe()?;
    Ok((reader.into(), writer.into()))
}

const ALL: [Spin; 2] = [Spin::Adaptive, Spin::Never];

#[test]
fn both_ends_may_send_a_large_message_before_they_receive() {
    for spin in ALL {
        let (mut a, mut b) = pair(spin);
        let peer = thread::spawn(move || {
            b.send(&vec![b'b'; 1 << 20]).unwrap();
            assert_eq!(b.recv().unwrap(), vec![b'a'; 2 << 20]);
        });
        a.send(&vec![b'a'; 2 << 20]).unwrap();
        assert_eq!(a.recv().unwrap(), vec![b'b'; 1 << 20]);
        peer.join().unwrap();
    }
}

#[test]
fn a_receive_sends_the_tail_on() {
    for spin in ALL {
        let (mut a, mut b) = pair(spin);
        a.try_send(&vec![1; 1 << 20]).unwrap();
        assert!(a.pending().is_some());
        let peer = thread::spawn(move || {
            let (tx, rx) = b.halves();
            tx.send(rx.recv().unwrap()).unwrap();
        });
        let (_, rx) = a.halves();
        assert_eq!(rx.recv().unwrap(), vec![1; 1 << 20]);
        peer.join().unwrap();
    }
}

/// What a sender takes in wakes no receiver that sleeps in another thread.
#[test]
fn a_split_sender_that_waits_leaves_what_arrives_to_the_receiver() {
    let (a, mut b) = pair(Spin::Adaptive);
    let (mut tx, mut rx) = a.split();
    let sending = thread::spawn(move || tx.send(&vec![1; 1 << 20]).unwrap());
    thread::sleep(Duration::from_millis(20));
    b.send(b"hello").unwrap();
    thread::sleep(Duration::from_millis(20));
    let (fd, interest) = rx.fd();
    assert!(ipc_core::poll(fd, interest, Wait::Never).unwrap());
    assert_eq!(rx.recv().unwrap(), b"hello");
    b.recv().unwrap();
    sending.join().unwrap();
}

/// The other end may be waiting for it, and this receiver for the other end.
#[test]
fn a_split_sender_that_is_dropped_closes_though_the_receiver_sleeps() {
    let (a, mut b) = pair(Spin::Adaptive);
    let (tx, mut rx) = a.split();
    let receiving = thread::spawn(move || rx.recv().map(<[u8]>::to_vec));
    thread::sleep(Duration::from_millis(20));
    drop(tx);
    let end = b.recv_timeout(Duration::from_secs(5)).map(<[u8]>::to_vec);
    assert!(matches!(end, Err(Error::Disconnected)), "{end:?}");
    b.send(b"hello").unwrap();
    assert_eq!(receiving.join().unwrap().unwrap(), b"hello");
}

/// A receiver that takes its time to go.
struct Slow<R>(R);

impl<R: Receiver> Receiver for Slow<R> {
    ipc_core::forward_receiver!(self => self.0);
}

impl<R> Drop for Slow<R> {
    fn drop(&mut self) {
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn whoever_is_told_of_the_end_by_a_receive_has_nobody_to_send_to() {
    let ((tx1, rx1), (tx2, rx2)) = (channel(Spin::Adaptive), channel(Spin::Adaptive));
    let (a, mut b) = (Duplex::new(tx1, Slow(rx2)), Duplex::new(tx2, rx1));
    let dropping = thread::spawn(move || drop(a));
    assert!(matches!(b.recv(), Err(Error::Disconnected)));
    assert!(matches!(b.send(b"hello?"), Err(Error::Disconnected)));
    dropping.join().unwrap();
}

/// A pipe that now and then takes a part, and then fails as one without memory does.
struct Faulty {
    pipe: PipeFd,
    /// What the next writes do: the most bytes that they take, or an error.
    script: Mutex<VecDeque<Option<usize>>>,
}

impl AsFd for Faulty {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pipe.as_fd()
    }
}

impl Sink for Faulty {
    fn write(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        match self.script.lock().unwrap().pop_front() {
            None => self.pipe.write(bufs),
            Some(None) => Err(io::ErrorKind::OutOfMemory.into()),
            Some(Some(most)) => {
                let first = &bufs[0];
                let part = &first[..most.min(first.len())];
                self.pipe.write(&[IoSlice::new(part)])
            }
        }
    }

    fn object(&self) -> Box<str> {
        "faulty pipe".into()
    }
}

#[test]
fn an_error_in_mid_frame_does_not_cut_the_frame() {
    let (reader, writer) = pipe().unwrap();
    let script = [Some(7), None, None, Some(1), None];
    let sink = Faulty {
        pipe: PipeFd::new(writer.into(), "pipe").unwrap(),
        script: Mutex::new(script.into()),
    };
    let mut tx = FramedSender::new(sink, MAX_LEN, Spin::Never);
    let source = PipeFd::new(reader.into(), "pipe").unwrap();
    let mut rx = FramedReceiver::new(source, MAX_LEN, Spin::Never);
    tx.send(b"hello").unwrap(); // accepted with its first byte
    for _ in 0..2 {
        let refused = tx.send(b"again").unwrap_err();
        assert!(matches!(refused, Error::Os { .. }), "{refused}");
        assert!(tx.pending().is_some());
    }
    tx.send(b"again").unwrap();
    assert_eq!(rx.recv().unwrap(), b"hello");
    assert_eq!(rx.recv().unwrap(), b"again");
}

#[test]
fn a_batch_cut_short_keeps_whole_messages() {
    let (mut tx, mut rx) = channel(Spin::Never);
    let msgs: Vec<Vec<u8>> = (0..200u8).map(|i| vec![i; 1000 + usize::from(i)]).collect();
    let refs: Vec<&[u8]> = msgs.iter().map(Vec::as_slice).collect();
    tx.send(&[0; 2000]).unwrap(); // so that the batch does not fit exactly
    let sent = tx.send_many(&refs, Wait::Never).unwrap();
    assert!(tx.pending().is_some());
    assert!((50..200).contains(&sent), "{sent}");
    assert!(matches!(tx.try_send(b"more"), Err(Error::WouldBlock)));
    assert_eq!(rx.recv().unwrap(), [0; 2000]);
    for msg in &refs[..sent - 1] {
        assert_eq!(rx.recv().unwrap(), *msg);
    }
    tx.flush(Wait::Never).unwrap();
    assert_eq!(rx.recv().unwrap(), refs[sent - 1]);
    assert!(matches!(rx.try_recv(), Err(Error::WouldBlock)));
    assert_eq!(rx.message(), b"");
}

#[test]
fn select_serves_in_turn() {
    let (mut tx1, mut rx1) = channel(Spin::Adaptive);
    let (mut tx2, mut rx2) = channel(Spin::Adaptive);
    let mut select = Select::new();
    let soon = Wait::from(Duration::from_millis(5));
    assert!(matches!(
        select.wait(&mut [&mut rx1, &mut rx2], soon),
        Err(Error::TimedOut)
    ));
    tx1.send(b"1").unwrap();
    tx1.send(b"1").unwrap();
    tx2.send(b"2").unwrap();
    let mut order = Vec::new();
    for _ in 0..3 {
        let members: &mut [&mut dyn Ready] = &mut [&mut rx1, &mut rx2];
        let ready = select.wait(members, Wait::Forever).unwrap();
        order.push(ready);
        if ready == 0 {
            rx1.try_recv().unwrap()
        } else {
            rx2.try_recv().unwrap()
        };
    }
    assert_eq!(order, [0, 1, 0]);
}

/// A member that fails to arm as often as it is told.
struct Unarmed<R>(R, u32);

impl<R: Ready> Ready for Unarmed<R> {
    fn fd(&self) -> (BorrowedFd<'_>, Interest) {
        self.0.fd()
    }

    fn arm(&mut self) -> Result<bool> {
        match self.1.checked_sub(1) {
            Some(left) => {
                self.1 = left;
                Err(Error::Disconnected)
            }
            None => self.0.arm(),
        }
    }
}

#[test]
fn select_forgets_who_was_ready_when_another_failed() {
    let (mut tx1, mut rx1) = channel(Spin::Never);
    let (mut tx2, rx2) = channel(Spin::Never);
    tx1.send_many(&[b"1", b"1"], Wait::Forever).unwrap();
    rx1.recv().unwrap(); // the other is read, and ready without the kernel
    let (mut select, mut failing) = (Select::new(), Unarmed(rx2, 1));
    let failed = select.wait(&mut [&mut rx1, &mut failing], Wait::Never);
    assert!(matches!(failed, Err(Error::Disconnected)));
    rx1.recv().unwrap();
    tx2.send(b"2").unwrap();
    let ready = select.wait(&mut [&mut rx1, &mut failing], Wait::Never);
    assert_eq!(ready.unwrap(), 1);
}

#[test]
fn a_header_that_claims_too_much_poisons() {
    use std::io::Write;
    let (reader, mut writer) = pipe().unwrap();
    let source = PipeFd::new(reader.into(), "pipe").unwrap();
    let mut rx = FramedReceiver::new(source, MAX_LEN, Spin::Never);
    writer.write_all(b"\0\0\0\x02hi\xff\xff\xff\xff").unwrap();
    assert_eq!(rx.recv().unwrap(), b"hi");
    for _ in 0..2 {
        let error = rx.recv().unwrap_err();
        assert!(matches!(error, Error::Malformed { .. }), "{error}");
        assert!(
            error
                .to_string()
                .contains("claims 4294967295 bytes, max_len is 4194304"),
            "{error}"
        );
    }
}

#[test]
fn an_end_in_mid_frame_is_malformed() {
    use std::io::Write;
    let (reader, mut writer) = pipe().unwrap();
    let source = PipeFd::new(reader.into(), "pipe").unwrap();
    let mut rx = FramedReceiver::new(source, MAX_LEN, Spin::Never);
    writer.write_all(b"\0\0\0\x05hal").unwrap();
    drop(writer);
    let error = rx.recv().unwrap_err();
    assert!(
        error.to_string().contains("ended 7 bytes into a frame"),
        "{error}"
    );
}
