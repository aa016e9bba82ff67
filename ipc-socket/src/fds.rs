//! Descriptors that go with messages.

use std::collections::VecDeque;
use std::io;
use std::ops::Range;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ipc_core::frame::HEADER_LEN;

use crate::half::ReceivingHalf;
use crate::socket::Socket;
use crate::sys::fds::Received;
use crate::{Error, Receiver, Result, Wait};

/// The most descriptors that go with one message.
pub(crate) const MOST: usize = 16;
/// The most that have arrived and were not received: messages with some may be taken in while the
/// endpoint's sender waits for room.
const MOST_WAITING: usize = 16 * MOST;

/// The descriptors that go out with the next byte.
#[derive(Debug, Default)]
pub(crate) struct Outgoing {
    /// Apart: a look is all that other messages pay.
    any: AtomicBool,
    fds: Mutex<Vec<RawFd>>,
}

impl Outgoing {
    /// Sends by `send` with `fds` going out with its first byte, if it sends any.
    pub(crate) fn with<T>(&self, fds: &[BorrowedFd<'_>], send: impl FnOnce() -> T) -> T {
        /// Even if `send` panics: they are borrowed.
        struct Clear<'a>(&'a Outgoing);
        impl Drop for Clear<'_> {
            fn drop(&mut self) {
                self.0.any.store(false, Ordering::Release);
                lock(&self.0.fds).clear();
            }
        }
        let clear = Clear(self);
        lock(&self.fds).extend(fds.iter().map(AsRawFd::as_raw_fd));
        self.any.store(!fds.is_empty(), Ordering::Release);
        let done = send();
        drop(clear);
        done
    }

    #[inline]
    pub(crate) fn is_any(&self) -> bool {
        self.any.load(Ordering::Acquire)
    }

    /// Sends them by `send`; once something was sent, they were, too.
    pub(crate) fn send(
        &self,
        send: impl FnOnce(&[RawFd]) -> io::Result<usize>,
    ) -> io::Result<usize> {
        let len = send(&lock(&self.fds))?;
        self.any.store(false, Ordering::Release);
        Ok(len)
    }
}

/// What becomes of descriptors that come.
#[derive(Clone, Debug)]
pub(crate) enum Arriving {
    /// The kernel closes them, and the call that tells would cost 90 ns more: the peer is one's own.
    Unnoticed,
    /// The kernel lets nobody send any.
    Barred,
    /// The kernel closes them, and the peer is dropped.
    Refused,
    Kept(Arc<Incoming>),
}

/// The descriptors that have arrived at a socket.
#[derive(Debug)]
pub(crate) struct Incoming {
    /// The most that may come with a message.
    pub(crate) max: usize,
    arrived: Mutex<Arrived>,
}

#[derive(Debug)]
struct Arrived {
    /// Bytes read so far.
    position: u64,
    /// What came with the bytes of one read: the kernel ends a read with those that bring some.
    batches: VecDeque<(Range<u64>, Vec<OwnedFd>)>,
}

impl Incoming {
    /// With `unread` bytes read already.
    pub(crate) fn new(max: usize, unread: u64) -> Self {
        Incoming {
            max: max.min(MOST),
            arrived: Mutex::new(Arrived {
                position: unread,
                batches: VecDeque::new(),
            }),
        }
    }

    /// Keeps what a read has brought; else tells why the peer is to be dropped.
    pub(crate) fn keep(&self, received: Received) -> std::result::Result<(), String> {
        if received.truncated {
            return Err(format!(
                "the peer sent more descriptors than the {} that a message may bring here, \
                 or than this process has room for",
                self.max
            ));
        }
        let mut arrived = lock(&self.arrived);
        let start = arrived.position;
        arrived.position += received.len as u64;
        if !received.fds.is_empty() {
            let range = start..arrived.position;
            arrived.batches.push_back((range, received.fds));
        }
        let waiting: usize = arrived.batches.iter().map(|(_, fds)| fds.len()).sum();
        if waiting > MOST_WAITING {
            return Err(format!(
                "the peer sent more than {MOST_WAITING} descriptors that wait to be received"
            ));
        }
        Ok(())
    }

    /// Takes those of the message whose frame is `frame`. `None`: it is not the last that begins in
    /// what its descriptors came with.
    fn take(&self, frame: &Range<u64>) -> Option<Vec<OwnedFd>> {
        let mut arrived = lock(&self.arrived);
        let mut taken = Vec::new();
        while let Some((range, _)) = arrived.batches.front() {
            if range.end > frame.end {
                break; // a later frame begins there
            }
            if !range.contains(&frame.start) {
                return None;
            }
            taken.extend(
                arrived
                    .batches
                    .pop_front()
                    .into_iter()
                    .flat_map(|(_, fds)| fds),
            );
        }
        Some(taken)
    }

    /// Closes all that nobody has taken.
    fn clear(&self) {
        lock(&self.arrived).batches.clear();
    }
}

/// A receiver's view of them: which belong to the message at hand.
#[derive(Debug)]
pub(crate) struct Arrivals {
    incoming: Arc<Incoming>,
    /// Bytes of the frames received so far.
    received: u64,
    /// Those of the message at hand.
    pub(crate) current: Vec<OwnedFd>,
    /// The peer was dropped for the message at hand: nothing is received any more.
    pub(crate) refused: bool,
}

impl Arrivals {
    pub(crate) fn new(incoming: Arc<Incoming>) -> Self {
        Arrivals {
            incoming,
            received: 0,
            current: Vec::new(),
            refused: false,
        }
    }

    /// Receives the next message and what came with it.
    pub(crate) fn recv(&mut self, half: &mut ReceivingHalf, wait: Wait) -> Result<()> {
        self.current.clear();
        if self.refused {
            return half.socket().check_peer();
        }
        match half.recv_wait(wait) {
            Ok(()) => {
                let end = self.received + (HEADER_LEN + half.message().len()) as u64;
                let Some(taken) = self.incoming.take(&(self.received..end)) else {
                    return self.refuse(half.socket());
                };
                (self.current, self.received) = (taken, end);
                Ok(())
            }
            Err(error) => {
                if matches!(error, Error::Malformed { .. }) {
                    self.incoming.clear();
                }
                Err(error)
            }
        }
    }

    /// Receives up to `max` messages, the last of which is the first that brings descriptors.
    pub(crate) fn recv_many(
        &mut self,
        half: &mut ReceivingHalf,
        max: usize,
        mut wait: Wait,
        each: &mut dyn FnMut(&[u8]),
    ) -> Result<usize> {
        let mut received = 0;
        while received < max && (received == 0 || self.current.is_empty()) {
            match self.recv(half, wait) {
                Ok(()) => each(half.message()),
                Err(error) if received == 0 => return Err(error),
                Err(_) => break,
            }
            (received, wait) = (received + 1, Wait::Never);
        }
        Ok(received)
    }

    /// Bytes that were read and not received; `None` while descriptors wait to be taken, which have no
    /// other way.
    pub(crate) fn unread(&self) -> Option<u64> {
        let arrived = lock(&self.incoming.arrived);
        let none = arrived.batches.is_empty() && self.current.is_empty();
        none.then(|| arrived.position - self.received)
    }

    /// Drops the peer, and closes what it sent.
    fn refuse(&mut self, socket: &Socket) -> Result<()> {
        self.refused = true;
        self.incoming.clear();
        socket.drop_peer("the peer sent descriptors in the middle of a message".into());
        socket.check_peer()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
