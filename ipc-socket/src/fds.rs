//! Descriptors that go with messages.

use std::collections::VecDeque;
use std::io;
use std::ops::Range;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ipc_core::frame::HEADER_LEN;

use crate::half::ReceivingHalf;
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
    /// Why the peer was dropped.
    refused: Option<Box<str>>,
}

impl Incoming {
    /// With `unread` bytes read already.
    pub(crate) fn new(max: usize, unread: u64) -> Self {
        Incoming {
            max: max.min(MOST),
            arrived: Mutex::new(Arrived {
                position: unread,
                batches: VecDeque::new(),
                refused: None,
            }),
        }
    }

    /// Keeps what a read has brought; false if the peer is to be dropped.
    pub(crate) fn keep(&self, received: Received) -> bool {
        let mut arrived = lock(&self.arrived);
        let start = arrived.position;
        arrived.position += received.len as u64;
        if received.truncated {
            let reason = format!("more descriptors than the {} it may bring", self.max);
            return arrived.refuse(&reason);
        }
        if !received.fds.is_empty() {
            let range = start..arrived.position;
            arrived.batches.push_back((range, received.fds));
        }
        let waiting: usize = arrived.batches.iter().map(|(_, fds)| fds.len()).sum();
        waiting <= MOST_WAITING || arrived.refuse("too many descriptors wait to be received")
    }

    /// Takes those of the message whose frame is `frame`: it must be the last that begins in what
    /// its descriptors came with.
    fn take(&self, frame: &Range<u64>) -> Vec<OwnedFd> {
        let mut arrived = lock(&self.arrived);
        let mut taken = Vec::new();
        while let Some((range, _)) = arrived.batches.front() {
            if range.end > frame.end {
                break; // a later frame begins there
            }
            if !range.contains(&frame.start) {
                arrived.refuse("descriptors in the middle of a message");
                return Vec::new();
            }
            taken.extend(
                arrived
                    .batches
                    .pop_front()
                    .into_iter()
                    .flat_map(|(_, fds)| fds),
            );
        }
        taken
    }

    pub(crate) fn refused(&self) -> Option<Box<str>> {
        lock(&self.arrived).refused.clone()
    }
}

impl Arrived {
    /// Closes all that came; false.
    fn refuse(&mut self, reason: &str) -> bool {
        self.batches.clear();
        self.refused = Some(format!("the peer sent {reason}").into());
        false
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
}

impl Arrivals {
    pub(crate) fn new(incoming: Arc<Incoming>) -> Self {
        Arrivals {
            incoming,
            received: 0,
            current: Vec::new(),
        }
    }

    /// Receives the next message and what came with it.
    pub(crate) fn recv(&mut self, half: &mut ReceivingHalf, wait: Wait) -> Result<()> {
        self.current.clear();
        self.check(half)?;
        match half.recv_wait(wait) {
            Ok(()) => {
                let end = self.received + (HEADER_LEN + half.message().len()) as u64;
                self.current = self.incoming.take(&(self.received..end));
                self.received = end;
                self.check(half)
            }
            Err(error) => self.check(half).and(Err(error)),
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

    pub(crate) fn is_refused(&self) -> bool {
        self.incoming.refused().is_some()
    }

    /// Bytes that were read and not received; `None` while descriptors wait to be taken, which have no
    /// other way.
    pub(crate) fn unread(&self) -> Option<u64> {
        let arrived = lock(&self.incoming.arrived);
        let none = arrived.batches.is_empty() && self.current.is_empty();
        none.then(|| arrived.position - self.received)
    }

    /// Says why the peer was dropped, if it was, and drops it.
    fn check(&self, half: &ReceivingHalf) -> Result<()> {
        self.incoming.refused().map_or(Ok(()), |reason| {
            half.socket().hang_up();
            Err(Error::malformed(half.socket().object(), reason))
        })
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
