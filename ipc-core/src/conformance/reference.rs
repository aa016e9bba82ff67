//! The reference: the plainest channel that keeps the contract, of a mutex and a condition variable.
//!
//! It is the contract in code: where the prose leaves a doubt, read here. It lives in one process.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::{Duplex, Error, Receiver, Result, Sender, Wait};

/// Bytes that wait in the channel before it is full, unless one message alone is longer.
const CAPACITY: usize = 64 << 10;
const MAX_LEN: usize = 16 << 20;

/// A one-way channel.
pub fn channel() -> (ReferenceSender, ReferenceReceiver) {
    let shared = Arc::new(Shared::default());
    let sender = ReferenceSender(Arc::clone(&shared));
    let receiver = ReferenceReceiver {
        shared,
        message: Vec::new(),
    };
    (sender, receiver)
}

/// Two joined endpoints.
pub fn pair() -> (
    Duplex<ReferenceSender, ReferenceReceiver>,
    Duplex<ReferenceSender, ReferenceReceiver>,
) {
    let ((to_b, from_a), (to_a, from_b)) = (channel(), channel());
    (Duplex::new(to_b, from_b), Duplex::new(to_a, from_a))
}

/// The half that sends.
pub struct ReferenceSender(Arc<Shared>);

/// The half that receives.
pub struct ReferenceReceiver {
    shared: Arc<Shared>,
    message: Vec<u8>,
}

impl Sender for ReferenceSender {
    fn send_wait(&mut self, msg: &[u8], wait: Wait) -> Result<()> {
        if msg.len() > MAX_LEN {
            return Err(Error::TooLarge {
                len: msg.len(),
                max: MAX_LEN,
                limit: "max_len",
            });
        }
        let mut queue = self.0.wait_until(wait, |queue| {
            queue.half_is_gone || queue.lens.is_empty() || queue.bytes.len() + msg.len() <= CAPACITY
        })?;
        if queue.half_is_gone {
            return Err(Error::Disconnected);
        }
        queue.bytes.extend(msg);
        queue.lens.push_back(msg.len());
        self.0.changed.notify_all();
        Ok(())
    }

    fn max_len(&self) -> usize {
        MAX_LEN
    }
}

impl Receiver for ReferenceReceiver {
    fn recv_wait(&mut self, wait: Wait) -> Result<()> {
        self.message.clear();
        let mut queue = self
            .shared
            .wait_until(wait, |queue| queue.half_is_gone || !queue.lens.is_empty())?;
        let len = queue.lens.pop_front().ok_or(Error::Disconnected)?;
        self.message.extend(queue.bytes.drain(..len));
        self.shared.changed.notify_all();
        Ok(())
    }

    fn message(&self) -> &[u8] {
        &self.message
    }
}

impl Drop for ReferenceSender {
    fn drop(&mut self) {
        self.0.leave();
    }
}

impl Drop for ReferenceReceiver {
    fn drop(&mut self) {
        self.shared.leave();
    }
}

impl fmt::Debug for ReferenceSender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ReferenceSender").field(&self.0).finish()
    }
}

impl fmt::Debug for ReferenceReceiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReferenceReceiver")
            .field("shared", &self.shared)
            .field("len", &self.message.len())
            .finish_non_exhaustive()
    }
}

/// What both halves share.
#[derive(Debug, Default)]
struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
}

impl Shared {
    /// Locks the queue once `is_ready`, or fails when the wait is over.
    fn wait_until(
        &self,
        wait: Wait,
        is_ready: impl Fn(&Queue) -> bool,
    ) -> Result<MutexGuard<'_, Queue>> {
        let mut queue = self.lock();
        while !is_ready(&queue) {
            queue = match wait.remaining() {
                None => self
                    .changed
                    .wait(queue)
                    .unwrap_or_else(PoisonError::into_inner),
                Some(left) if left.is_zero() => return Err(wait.error()),
                Some(left) => {
                    let waited = self.changed.wait_timeout(queue, left);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
        Ok(queue)
    }

    /// One half goes; the other is told.
    fn leave(&self) {
        self.lock().half_is_gone = true;
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The bytes of all messages, and their lengths: what has grown once is never allocated again.
#[derive(Default)]
struct Queue {
    bytes: VecDeque<u8>,
    lens: VecDeque<usize>,
    half_is_gone: bool,
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue")
            .field("messages", &self.lens.len())
            .field("half_is_gone", &self.half_is_gone)
            .finish_non_exhaustive()
    }
}
