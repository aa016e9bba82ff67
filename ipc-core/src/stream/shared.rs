//! What the two halves of an endpoint share: the tail of one, and what was taken in for the other.

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, IoSlice, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::pace::Pace;
use super::{Mode, Sink, Source};
use crate::frame::PIECE;
use crate::{Error, Result, Wait};

/// A sink and the unsent tail of a message that was accepted.
#[derive(Debug)]
pub(super) struct Output<W> {
    pub(super) io: W,
    /// Apart, so that the receiver can look without keeping the descriptor open.
    pending: Arc<AtomicBool>,
    tail: Mutex<Tail>,
}

#[derive(Debug, Default)]
struct Tail {
    bytes: Vec<u8>,
    sent: usize,
}

impl<W: Sink> Output<W> {
    pub(super) fn new(io: W) -> Self {
        Output {
            io,
            pending: Arc::default(),
            tail: Mutex::default(),
        }
    }

    /// Writes what the kernel takes of `head` and `body`, of which one may be empty.
    #[inline]
    pub(super) fn write(&self, head: &[u8], body: &[u8]) -> io::Result<usize> {
        match (head.is_empty(), body.is_empty()) {
            (_, true) => self.io.write(&[IoSlice::new(head)]),
            (true, _) => self.io.write(&[IoSlice::new(body)]),
            _ => self.io.write(&[IoSlice::new(head), IoSlice::new(body)]),
        }
    }

    /// Keeps `head` and `body`, if they are anything, as the tail; there is none yet.
    pub(super) fn keep(&self, head: &[u8], body: &[u8]) {
        if !head.is_empty() || !body.is_empty() {
            *lock(&self.tail) = Tail {
                bytes: [head, body].concat(),
                sent: 0,
            };
            self.pending.store(true, Ordering::Release);
        }
    }

    /// What a failed write means.
    pub(super) fn error(&self, error: io::Error) -> Error {
        if is_end(&error) {
            Error::Disconnected
        } else {
            Error::os("write", self.io.object(), error)
        }
    }

    /// Tells whether a tail is unsent.
    pub(super) fn pending(&self) -> Arc<AtomicBool> {
        self.pending.clone()
    }

    /// Takes the tail away, for another process to send.
    pub(super) fn take(&self) -> Vec<u8> {
        let mut tail = lock(&self.tail);
        self.pending.store(false, Ordering::Release);
        let sent = tail.sent;
        std::mem::take(&mut *tail).bytes.split_off(sent)
    }
}

/// A sender's output as its endpoint's receiver sees it.
pub(super) trait Drive: AsFd + Send + Sync {
    /// Whether a tail is unsent.
    fn is_pending(&self) -> bool;

    /// Sends what the kernel takes of the tail; true when none is left.
    fn drive(&self, wait: Wait) -> Result<bool>;
}

impl<W: Sink> Drive for Output<W> {
    #[inline]
    fn is_pending(&self) -> bool {
        self.pending.load(Ordering::Acquire)
    }

    fn drive(&self, wait: Wait) -> Result<bool> {
        let mut tail = lock(&self.tail);
        let mut pace = Pace::default();
        while tail.sent < tail.bytes.len() {
            let end = tail.bytes.len().min(tail.sent + PIECE);
            match self.io.write(&[IoSlice::new(&tail.bytes[tail.sent..end])]) {
                Ok(written) => {
                    tail.sent += written;
                    if tail.sent < tail.bytes.len() {
                        pace.go_on(wait)?;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => {
                    // After any other error the rest of the frame is still owed.
                    self.pending.store(!is_end(&error), Ordering::Release);
                    return Err(self.error(error));
                }
            }
        }
        *tail = Tail::default();
        self.pending.store(false, Ordering::Release);
        Ok(true)
    }
}

impl<W: Sink> AsFd for Output<W> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.io.as_fd()
    }
}

/// A source, and what its endpoint's sender took in while it waited for room.
#[derive(Debug)]
pub(super) struct Input<R> {
    pub(super) io: R,
    taken: Mutex<Taken>,
    /// Whether bytes were taken in and not yet read: the lock costs more than the look.
    any_taken: AtomicBool,
    /// The most bytes that are taken in: one message of the largest size.
    limit: usize,
}

#[derive(Debug)]
struct Taken {
    bytes: VecDeque<u8>,
    /// Whether more can come.
    open: bool,
}

impl<R: Source> Input<R> {
    pub(super) fn new(io: R, limit: usize) -> Self {
        let taken = Taken {
            bytes: VecDeque::new(),
            open: true,
        };
        Input {
            io,
            taken: Mutex::new(taken),
            any_taken: AtomicBool::new(false),
            limit,
        }
    }

    /// Reads, what was taken in first.
    #[inline]
    pub(super) fn read(&self, buf: &mut [u8], mode: Mode) -> io::Result<usize> {
        if !self.has_taken() {
            return self.io.read(buf, mode);
        }
        let mut taken = lock(&self.taken);
        let len = taken.bytes.read(buf)?;
        self.any_taken
            .store(!taken.bytes.is_empty(), Ordering::Release);
        Ok(len)
    }

    /// Whether something was taken in and not yet read.
    #[inline]
    pub(super) fn has_taken(&self) -> bool {
        self.any_taken.load(Ordering::Acquire)
    }

    /// More can come again, after the end of the stream.
    pub(super) fn reopen(&self) {
        lock(&self.taken).open = true;
    }

    /// What was taken in and not yet read.
    pub(super) fn take(&self) -> Vec<u8> {
        self.any_taken.store(false, Ordering::Release);
        std::mem::take(&mut lock(&self.taken).bytes).into()
    }
}

/// A receiver's input as its endpoint's sender sees it.
pub(super) trait TakeIn: AsFd + Send + Sync {
    /// Whether more would be taken in: less than one message of the largest size has been.
    fn has_room(&self) -> bool;

    /// Takes in what is there; false if that is nothing. The end of the stream and errors are the
    /// receiver's to find.
    fn take_in(&self) -> bool;
}

impl<R: Source> TakeIn for Input<R> {
    fn has_room(&self) -> bool {
        let taken = lock(&self.taken);
        taken.open && taken.bytes.len() < self.limit
    }

    fn take_in(&self) -> bool {
        const STEP: usize = 64 << 10;
        let mut taken = lock(&self.taken);
        let mut step = vec![0; STEP];
        let read = self.io.read(&mut step, Mode::Now);
        taken.open = match &read {
            Ok(len) => *len > 0,
            Err(error) => {
                let kind = error.kind();
                kind == io::ErrorKind::WouldBlock || kind == io::ErrorKind::Interrupted
            }
        };
        let len = read.unwrap_or(0);
        taken.bytes.extend(&step[..len]);
        self.any_taken
            .store(!taken.bytes.is_empty(), Ordering::Release);
        len > 0
    }
}

impl<R: Source> AsFd for Input<R> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.io.as_fd()
    }
}

/// Whether a failed write says that nobody will read any more.
fn is_end(error: &io::Error) -> bool {
    let kind = error.kind();
    kind == io::ErrorKind::BrokenPipe || kind == io::ErrorKind::ConnectionReset
}

/// What the sender of an endpoint needs of its receiver, so that each helps the other along: a
/// receiver that waits sends its sender's tail on, and a sender that waits takes in what arrives.
pub struct Linkable<'a> {
    pub(super) input: Weak<dyn TakeIn>,
    pub(super) output: &'a mut Option<Weak<dyn Drive>>,
    pub(super) pending: &'a mut Arc<AtomicBool>,
}

impl fmt::Debug for Linkable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Linkable").finish_non_exhaustive()
    }
}

/// A poisoned lock is no harm here: no state between two lines is inconsistent.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
