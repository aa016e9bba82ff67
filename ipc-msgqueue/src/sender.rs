//! The half that sends.

use std::fmt;
use std::io;
use std::sync::Arc;

use ipc_core::frame::DEFAULT_MAX_LEN;
use ipc_core::spin::{Look, Poller};
use libc::c_int;

use crate::handle::Handle;
use crate::spill::Token;
use crate::wait::until_done;
use crate::{Error, Kind, QueueOptions, Result, Sender, Spin, Wait, limits, sys};

/// A sender of messages of one kind.
pub struct QueueSender {
    pub(crate) queue: Arc<Handle>,
    pub(crate) kind: Kind,
    /// The longest message that was asked for.
    pub(crate) asked: Option<usize>,
    /// The longest that goes onto the queue as it is, and which limit that is.
    plain: (usize, &'static str),
    /// The longest there is, in a file if need be.
    longest: (usize, &'static str),
    /// The kind and the message in a row, as the kernel wants them.
    buffer: Vec<u8>,
    poller: Poller,
}

impl QueueSender {
    pub(crate) fn new(queue: Arc<Handle>, kind: Kind, options: &QueueOptions) -> Result<Self> {
        let mut sender = QueueSender {
            queue,
            kind,
            asked: options.max_len,
            plain: (0, ""),
            longest: (0, ""),
            buffer: Vec::new(),
            poller: Poller::new(options.spin, Look::Call),
        };
        sender.measure()?;
        sender.buffer.reserve_exact(sys::MTYPE + sender.plain.0);
        Ok(sender)
    }

    /// Sends `msg` as one of this kind, waiting as long as `wait` allows.
    ///
    /// # Errors
    ///
    /// As [`send_wait`](Sender::send_wait).
    #[inline]
    pub fn send_kind(&mut self, msg: &[u8], kind: Kind, wait: Wait) -> Result<()> {
        if msg.len() > self.plain.0 || self.is_mistakable(msg) {
            return self.send_long(msg, kind, wait);
        }
        match self.send_plain(msg, kind, wait) {
            // msgmax was lowered.
            Err(Error::TooLarge { .. }) if self.queue.spill.is_some() => {
                self.send_long(msg, kind, wait)
            }
            done => done,
        }
    }

    /// The kind that messages are marked with.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    pub(crate) fn spin(&self) -> Spin {
        self.poller.spin()
    }

    /// Bytes that a message of `len` takes up on the queue.
    pub(crate) fn on_queue(&self, len: usize) -> usize {
        if len > self.plain.0 { Token::LEN } else { len }
    }

    #[inline]
    fn send_plain(&mut self, msg: &[u8], kind: Kind, wait: Wait) -> Result<()> {
        self.buffer.clear();
        self.buffer.extend_from_slice(&kind.get().to_ne_bytes());
        self.buffer.extend_from_slice(msg);
        let (queue, buffer) = (&*self.queue, &*self.buffer);
        until_done(&mut self.poller, wait, |flags| send(queue, buffer, flags))
    }

    /// A message that does not fit, or would be mistaken for a token.
    #[cold]
    fn send_long(&mut self, msg: &[u8], kind: Kind, wait: Wait) -> Result<()> {
        self.measure()?; // the limits may have been raised
        if msg.len() > self.longest.0 {
            return Err(too_large(msg.len(), self.longest));
        }
        if msg.len() <= self.plain.0 && !self.is_mistakable(msg) {
            return self.send_plain(msg, kind, wait);
        }
        let queue = Arc::clone(&self.queue);
        let Some(spill) = &queue.spill else {
            return Err(too_large(msg.len(), self.plain));
        };
        let token = spill.put(queue.id, msg)?;
        self.send_plain(&token.to_bytes(), kind, wait)
            .inspect_err(|_| spill.undo(queue.id, token))
    }

    #[inline]
    fn is_mistakable(&self, msg: &[u8]) -> bool {
        msg.len() == Token::LEN && self.queue.spill.is_some() && Token::parse(msg).is_some()
    }

    /// Reads the limits as they are now.
    fn measure(&mut self) -> Result<()> {
        let limits = limits()?;
        let capacity = match sys::stat_any(self.queue.id) {
            Ok(ds) => usize::try_from(ds.msg_qbytes).unwrap_or(usize::MAX),
            // Before Linux 4.17 who may send need not be allowed to look.
            Err(error) if error.raw_os_error() == Some(libc::EACCES) => limits.msgmnb,
            Err(error) => return Err(self.queue.error("msgctl", error)),
        };
        let least = |a: (usize, _), b: (usize, _)| if b.0 < a.0 { b } else { a };
        let kernel = least((limits.msgmax, "msgmax"), (capacity, "msg_qbytes"));
        if self.queue.spill.is_some() && kernel.0 >= Token::LEN {
            self.plain = kernel;
            self.longest = (self.asked.unwrap_or(DEFAULT_MAX_LEN), "max_len");
        } else {
            self.plain = least(kernel, (self.asked.unwrap_or(usize::MAX), "max_len"));
            self.longest = self.plain;
        }
        self.plain.0 = self.plain.0.min(self.longest.0);
        Ok(())
    }
}

impl Sender for QueueSender {
    #[inline]
    fn send_wait(&mut self, msg: &[u8], wait: Wait) -> Result<()> {
        self.send_kind(msg, self.kind, wait)
    }

    fn max_len(&self) -> usize {
        self.longest.0
    }
}

impl fmt::Debug for QueueSender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueueSender")
            .field("queue", &format_args!("{}", self.queue))
            .field("kind", &self.kind)
            .field("max_len", &self.longest.0)
            .finish_non_exhaustive()
    }
}

#[inline]
fn send(queue: &Handle, message: &[u8], flags: c_int) -> Result<Option<()>> {
    match sys::msgsnd(queue.id, message, flags) {
        Ok(()) => Ok(Some(())),
        Err(error) => match error.raw_os_error() {
            Some(libc::EAGAIN | libc::EINTR) => Ok(None),
            _ => Err(refused(queue, message.len() - sys::MTYPE, error)),
        },
    }
}

/// `EINVAL` may also mean that `msgmax` was lowered meanwhile.
#[cold]
fn refused(queue: &Handle, len: usize, error: io::Error) -> Error {
    match limits() {
        Ok(limits) if error.raw_os_error() == Some(libc::EINVAL) && len > limits.msgmax => {
            too_large(len, (limits.msgmax, "msgmax"))
        }
        _ => queue.error("msgsnd", error),
    }
}

fn too_large(len: usize, (max, limit): (usize, &'static str)) -> Error {
    Error::TooLarge { len, max, limit }
}
