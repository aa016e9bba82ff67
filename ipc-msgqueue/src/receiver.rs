//! The half that receives.

use std::sync::Arc;
use std::{fmt, io, mem};

use ipc_core::frame::DEFAULT_MAX_LEN;
use ipc_core::spin::{Look, Poller};
use libc::c_int;

use crate::handle::Handle;
use crate::owed::Owed;
use crate::spill::Token;
use crate::stat::explain;
use crate::wait::until_done;
use crate::{Error, Kind, QueueOptions, Receiver, Result, Selection, Spin, Wait, limits, sys};

/// A receiver of the messages selected.
pub struct QueueReceiver {
    /// The queue's id. While a message is owed it is none, and the kernel's refusal leads there: a branch
    /// before each call cost one or two hundredths of it.
    id: c_int,
    pub(crate) queue: Arc<Handle>,
    pub(crate) selection: Selection,
    /// The kind and the message in a row, as the kernel has them.
    buffer: Vec<u8>,
    current: Current,
    /// The longest message that is read from a file, as it was asked for.
    pub(crate) asked: Option<usize>,
    /// What was read from a file.
    body: Vec<u8>,
    pub(crate) owed: Owed,
    poller: Poller,
}

/// What no queue has.
const NO_ID: c_int = -1;

/// Where the current message is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Current {
    None,
    /// So many bytes, as they came from the queue.
    Plain(usize),
    /// In a file, until it was read.
    Body,
}

impl QueueReceiver {
    pub(crate) fn new(
        queue: Arc<Handle>,
        selection: Selection,
        options: &QueueOptions,
    ) -> Result<Self> {
        queue.stat()?;
        Ok(QueueReceiver {
            id: queue.id,
            queue,
            selection,
            buffer: vec![0; sys::MTYPE + limits()?.msgmax],
            current: Current::None,
            asked: options.max_len,
            body: Vec::new(),
            owed: Owed::default(),
            poller: Poller::new(options.spin, Look::Call),
        })
    }

    /// Receives the next message of this selection instead of the receiver's own, waiting as long
    /// as `wait` allows.
    ///
    /// # Errors
    ///
    /// As [`recv_wait`](Receiver::recv_wait).
    pub fn recv_selected(&mut self, selection: Selection, wait: Wait) -> Result<&[u8]> {
        self.take(selection, wait)?;
        Ok(Self::message(self))
    }

    /// Looks at the message at place `index`, 0 being the oldest, whatever its kind, and leaves it
    /// there: nothing about the queue changes. It is the current message then.
    ///
    /// ```
    /// use ipc_msgqueue::{Error, Receiver, Sender};
    ///
    /// let (mut tx, mut rx) = ipc_msgqueue::channel()?;
    /// tx.send(b"one")?;
    /// tx.send(b"two")?;
    /// assert_eq!(rx.peek(1)?, b"two");
    /// assert!(matches!(rx.peek(2), Err(Error::WouldBlock)));
    /// assert_eq!(rx.recv()?, b"one");
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](Error::WouldBlock) if there are not so many messages, [`Os`](Error::Os),
    /// `Unsupported`, from a kernel that cannot.  msgrcv(2), `MSG_COPY`
    pub fn peek(&mut self, index: usize) -> Result<&[u8]> {
        self.current = Current::None;
        let place = i64::try_from(index).unwrap_or(i64::MAX);
        let flags = libc::MSG_COPY | libc::IPC_NOWAIT;
        let len = loop {
            match sys::msgrcv(self.queue.id, &mut self.buffer, place, flags) {
                Ok(len) => break len,
                Err(error) => match error.raw_os_error() {
                    Some(libc::ENOMSG) => return Err(Error::WouldBlock),
                    Some(libc::E2BIG) => self.buffer.resize(self.buffer.len() * 2, 0),
                    Some(libc::EINTR) => {}
                    _ => return Err(not_peeked(&self.queue, error)),
                },
            }
        };
        self.accept(len, false)?;
        Ok(Self::message(self))
    }

    /// The kind of the current message; none before the first receive and after a failed one.
    pub fn kind(&self) -> Option<Kind> {
        let received = self.current != Current::None;
        received.then(|| Kind::new(self.mtype()).ok())?
    }

    /// What it receives.
    pub fn selection(&self) -> Selection {
        self.selection
    }

    /// Makes an empty message that somebody else took the current one.
    pub(crate) fn received_empty(&mut self, mtype: i64) {
        self.buffer[..sys::MTYPE].copy_from_slice(&mtype.to_ne_bytes());
        self.current = Current::Plain(0);
    }

    pub(crate) fn owe(&mut self, owed: Owed) {
        self.id = if owed.is_empty() {
            self.queue.id
        } else {
            NO_ID
        };
        self.owed = owed;
    }

    pub(crate) fn owes(&self) -> bool {
        self.owed.first(self.selection).is_some()
    }

    pub(crate) fn spin(&self) -> Spin {
        self.poller.spin()
    }

    #[inline]
    fn take(&mut self, selection: Selection, wait: Wait) -> Result<()> {
        self.current = Current::None;
        if wait != Wait::Never {
            self.poller.yield_first();
        }
        let (id, queue, owed, buffer) = (self.id, &*self.queue, &self.owed, &mut self.buffer);
        let len = until_done(&mut self.poller, wait, |flags| {
            receive(id, queue, owed, buffer, selection, flags)
        })?;
        self.accept(len, true)
    }

    /// Makes what the buffer holds the current message, or what it is the token of.
    #[inline]
    fn accept(&mut self, len: usize, remove: bool) -> Result<()> {
        if len == Token::LEN && self.queue.spill.is_some() {
            if let Some(token) = Token::parse(&self.buffer[sys::MTYPE..][..len]) {
                return if remove {
                    self.settle(token)
                } else {
                    self.fetch(token, false)
                };
            }
        }
        self.current = Current::Plain(len);
        Ok(())
    }

    /// Reads a message that was taken; it is owed if that took more descriptors or memory than there are.
    #[cold]
    fn settle(&mut self, token: Token) -> Result<()> {
        let fetched = self.fetch(token, true);
        let mut owed = mem::take(&mut self.owed);
        owed.tried(self.mtype(), token, &fetched);
        self.owe(owed);
        fetched
    }

    #[cold]
    fn fetch(&mut self, token: Token, remove: bool) -> Result<()> {
        if let Some(spill) = &self.queue.spill {
            let max_len = self.asked.unwrap_or(DEFAULT_MAX_LEN);
            spill.get(self.queue.id, token, max_len, &mut self.body, remove)?;
            self.current = Current::Body;
        }
        Ok(())
    }

    fn mtype(&self) -> i64 {
        let mtype = self.buffer.first_chunk().expect("room for an mtype");
        i64::from_ne_bytes(*mtype)
    }
}

impl Receiver for QueueReceiver {
    #[inline]
    fn recv_wait(&mut self, wait: Wait) -> Result<()> {
        self.take(self.selection, wait)
    }

    #[inline]
    fn message(&self) -> &[u8] {
        match self.current {
            Current::None => &[],
            Current::Plain(len) => &self.buffer[sys::MTYPE..][..len],
            Current::Body => &self.body,
        }
    }
}

impl fmt::Debug for QueueReceiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueueReceiver")
            .field("queue", &format_args!("{}", self.queue))
            .field("selection", &self.selection)
            .finish_non_exhaustive()
    }
}

#[inline]
fn receive(
    id: c_int,
    queue: &Handle,
    owed: &Owed,
    buffer: &mut Vec<u8>,
    selection: Selection,
    flags: c_int,
) -> Result<Option<usize>> {
    let (msgtyp, except) = selection.msgtyp();
    loop {
        match sys::msgrcv(id, buffer, msgtyp, flags | except) {
            Ok(len) => return Ok(Some(len)),
            Err(error) => match error.raw_os_error() {
                Some(libc::ENOMSG | libc::EINTR) => return Ok(None),
                // msgmax was raised. The message is still there; MSG_NOERROR would cut it silently.
                Some(libc::E2BIG) => buffer.resize(buffer.len() * 2, 0),
                _ if id == NO_ID => return receive_owed(queue, owed, buffer, selection, flags),
                _ => return Err(queue.error("msgrcv", error)),
            },
        }
    }
}

/// As [`receive`] where something is owed: that first, as it came from the queue.
#[cold]
#[inline(never)]
fn receive_owed(
    queue: &Handle,
    owed: &Owed,
    buffer: &mut Vec<u8>,
    selection: Selection,
    flags: c_int,
) -> Result<Option<usize>> {
    let Some((mtype, token)) = owed.first(selection) else {
        return receive(queue.id, queue, owed, buffer, selection, flags);
    };
    buffer.resize(buffer.len().max(sys::MTYPE + Token::LEN), 0); // msgmax may be less now
    let (kind, message) = buffer.split_at_mut(sys::MTYPE);
    kind.copy_from_slice(&mtype.to_ne_bytes());
    message[..Token::LEN].copy_from_slice(&token.to_bytes());
    Ok(Some(Token::LEN))
}

#[cold]
fn not_peeked(queue: &Handle, error: io::Error) -> Error {
    let advice = match error.raw_os_error() {
        Some(libc::ENOSYS) => {
            "this kernel cannot peek: it is built without CONFIG_CHECKPOINT_RESTORE"
        }
        // The kernel copies no message that is longer than it would accept today.
        Some(libc::EINVAL) if queue.stat().is_ok() => {
            "the message is longer than kernel.msgmax, which was lowered: receive it instead"
        }
        _ => return queue.error("msgrcv", error),
    };
    Error::os(
        "msgrcv",
        queue.to_string(),
        explain(error, Some(advice.to_owned())),
    )
}
