//! The half that sends.

use std::fmt;
use std::io;
use std::sync::Arc;

use ipc_core::spin::{Look, Poller};
use libc::c_int;

use crate::handle::Handle;
use crate::wait::until_done;
use crate::{Error, Kind, QueueOptions, Result, Sender, Spin, Wait, limits, sys};

/// A sender of messages of one kind.
pub struct QueueSender {
    pub(crate) queue: Arc<Handle>,
    pub(crate) kind: Kind,
    pub(crate) max_len: usize,
    /// Which limit `max_len` is.
    limit: &'static str,
    /// The kind and the message in a row, as the kernel wants them.
    buffer: Vec<u8>,
    poller: Poller,
}

impl QueueSender {
    pub(crate) fn new(queue: Arc<Handle>, kind: Kind, options: &QueueOptions) -> Result<Self> {
        let limits = limits()?;
        let capacity = match queue.stat() {
            Ok(stat) => usize::try_from(stat.capacity).unwrap_or(usize::MAX),
            // Who may send need not be allowed to look.
            Err(Error::Os { .. }) => limits.msgmnb,
            Err(error) => return Err(error),
        };
        let asked = options.max_len.unwrap_or(usize::MAX);
        let all = [
            (limits.msgmax, "msgmax"),
            (capacity, "msgmnb"),
            (asked, "max_len"),
        ];
        let (max_len, limit) = all.into_iter().min_by_key(|&(max, _)| max).expect("three");
        Ok(QueueSender {
            queue,
            kind,
            max_len,
            limit,
            buffer: Vec::with_capacity(sys::MTYPE + max_len),
            poller: Poller::new(options.spin, Look::Call),
        })
    }

    /// Sends `msg` as one of this kind, waiting as long as `wait` allows.
    ///
    /// # Errors
    ///
    /// As [`send_wait`](Sender::send_wait).
    pub fn send_kind(&mut self, msg: &[u8], kind: Kind, wait: Wait) -> Result<()> {
        if msg.len() > self.max_len {
            return Err(too_large(msg.len(), self.max_len, self.limit));
        }
        self.buffer.clear();
        self.buffer.extend_from_slice(&kind.get().to_ne_bytes());
        self.buffer.extend_from_slice(msg);
        let (queue, buffer) = (&*self.queue, &*self.buffer);
        until_done(&mut self.poller, wait, |flags| send(queue, buffer, flags))
    }

    /// The kind that messages are marked with.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    pub(crate) fn spin(&self) -> Spin {
        self.poller.spin()
    }
}

impl Sender for QueueSender {
    #[inline]
    fn send_wait(&mut self, msg: &[u8], wait: Wait) -> Result<()> {
        self.send_kind(msg, self.kind, wait)
    }

    fn max_len(&self) -> usize {
        self.max_len
    }
}

impl fmt::Debug for QueueSender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueueSender")
            .field("queue", &format_args!("{}", self.queue))
            .field("kind", &self.kind)
            .field("max_len", &self.max_len)
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
            too_large(len, limits.msgmax, "msgmax")
        }
        _ => queue.error("msgsnd", error),
    }
}

fn too_large(len: usize, max: usize, limit: &'static str) -> Error {
    Error::TooLarge { len, max, limit }
}
