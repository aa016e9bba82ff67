//! Deadlines of streams that never run dry, and never fill up.

use std::io::{self, IoSlice, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Mutex;
use std::time::Instant;

use ipc_core::frame::header;
use ipc_core::stream::{FramedReceiver, FramedSender, Mode, Sink, Source};
use ipc_core::{Duplex, Error, Ready, Receiver, Sender, Spin, Wait};

const LEN: usize = 10_000;
/// Enough for what any kernel has taken in before a deadline.
const FEW: usize = 100;

/// A peer that is always there for a little more.
struct Steady {
    fd: OwnedFd,
    /// Bytes of each call; with 0 there is nothing to read.
    step: usize,
    /// What it sends, without end.
    frame: Vec<u8>,
    moved: Mutex<Moved>,
}

#[derive(Default)]
struct Moved {
    calls: usize,
    bytes: usize,
}

impl Steady {
    fn new(step: usize) -> Self {
        Steady {
            fd: nix::unistd::pipe().unwrap().0,
            step,
            frame: [&header(LEN), &[7; LEN][..]].concat(),
            moved: Mutex::default(),
        }
    }

    fn advance(&self, len: usize) -> usize {
        let mut moved = self.moved.lock().unwrap();
        let len = len.min(self.step);
        (moved.calls, moved.bytes) = (moved.calls + 1, moved.bytes + len);
        len
    }

    fn calls(&self) -> usize {
        self.moved.lock().unwrap().calls
    }
}

impl Source for Steady {
    fn read(&self, buf: &mut [u8], _: Mode) -> io::Result<usize> {
        if self.step == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let at = self.moved.lock().unwrap().bytes % self.frame.len();
        let len = self.advance(buf.len());
        (&self.frame[at..]).read(&mut buf[..len])
    }

    fn object(&self) -> Box<str> {
        "a steady source".into()
    }
}

impl Sink for Steady {
    /// The second is one too many at once.
    fn write(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        if self.calls() == 1 {
            self.advance(0);
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(self.advance(bufs.iter().map(|buf| buf.len()).sum()))
    }

    fn object(&self) -> Box<str> {
        "a steady sink".into()
    }
}

impl AsFd for Steady {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

fn receiver(step: usize) -> FramedReceiver<Steady> {
    FramedReceiver::new(Steady::new(step), LEN, Spin::Never)
}

fn sender(step: usize) -> FramedSender<Steady> {
    FramedSender::new(Steady::new(step), LEN, Spin::Never)
}

fn passed() -> Wait {
    Wait::Until(Instant::now())
}

#[test]
fn a_receive_ends_at_its_deadline_though_bytes_flow() {
    let mut rx = receiver(1);
    let mut calls = 0;
    while calls < LEN / 2 {
        let refused = rx.recv_wait(passed());
        assert!(matches!(refused, Err(Error::TimedOut)), "{refused:?}");
        assert!((1..FEW).contains(&(rx.io().calls() - calls)));
        assert!(rx.message().is_empty());
        calls = rx.io().calls();
    }
    assert_eq!(rx.recv().unwrap(), [7; LEN], "nothing is lost");
}

/// Whoever comes late to his deadline finds what was there before, and `WouldBlock` would be no truth.
#[test]
fn what_is_there_is_received_without_any_time() {
    let mut rx = receiver(LEN / 4);
    rx.recv_wait(passed()).unwrap();
    assert_eq!(rx.message(), [7; LEN]);
    assert_eq!(receiver(1).try_recv().unwrap(), [7; LEN]);
}

#[test]
fn a_flush_ends_at_its_deadline_though_bytes_flow() {
    let mut tx = sender(1);
    tx.try_send(&[7; LEN]).unwrap(); // a tail is left
    let refused = tx.flush(passed());
    assert!(matches!(refused, Err(Error::TimedOut)), "{refused:?}");
    assert!((1..FEW).contains(&tx.io().calls()), "{}", tx.io().calls());
    tx.flush(Wait::Never).unwrap();
    assert_eq!(tx.io().moved.lock().unwrap().bytes, 4 + LEN);
    assert!(tx.pending().is_none());
}

#[test]
fn a_batch_ends_at_its_deadline_though_bytes_flow() {
    let mut tx = sender(LEN);
    let sent = tx
        .send_many(&[&[7; LEN / 2][..]; 2 * FEW], passed())
        .unwrap();
    assert!((1..FEW).contains(&sent), "{sent}");
    assert!(tx.pending().is_none());
}

#[test]
fn a_receive_ends_at_its_deadline_though_its_senders_tail_flows() {
    let mut end = Duplex::new(sender(1), receiver(0));
    end.try_send(&[7; LEN]).unwrap(); // a tail is left
    let refused = end.recv_wait(passed());
    assert!(matches!(refused, Err(Error::TimedOut)), "{refused:?}");
    let calls = end.sender().io().calls();
    assert!((1..FEW).contains(&calls), "{calls}");
}

#[test]
fn what_the_sender_took_in_is_received_without_any_time() {
    const LEN: usize = 4 << 20;
    let (mut a, mut b) = ipc_pipe::pair().unwrap();
    b.try_send(&vec![7; LEN]).unwrap();
    let mut all_sent = false;
    while !all_sent {
        all_sent = b.flush(Wait::Never).is_ok();
        a.sender().arm().unwrap();
    }
    a.recv_wait(passed()).unwrap();
    assert_eq!(a.message(), vec![7; LEN]);
}
