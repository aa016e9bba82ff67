//! The half that receives.

use std::fmt;
use std::sync::Arc;

use ipc_core::spin::{Look, Poller};
use libc::c_int;

use crate::handle::Handle;
use crate::wait::until_done;
use crate::{Kind, Receiver, Result, Selection, Spin, Wait, limits, sys};

/// A receiver of the messages selected.
pub struct QueueReceiver {
    pub(crate) queue: Arc<Handle>,
    pub(crate) selection: Selection,
    /// The kind and the message in a row, as the kernel has them.
    buffer: Vec<u8>,
    /// Bytes in the current message, if there is one.
    current: Option<usize>,
    poller: Poller,
}

impl QueueReceiver {
    pub(crate) fn new(queue: Arc<Handle>, selection: Selection, spin: Spin) -> Result<Self> {
        queue.stat()?;
        Ok(QueueReceiver {
            queue,
            selection,
            buffer: vec![0; sys::MTYPE + limits()?.msgmax],
            current: None,
            poller: Poller::new(spin, Look::Call),
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

    /// The kind of the current message; none before the first receive and after a failed one.
    pub fn kind(&self) -> Option<Kind> {
        let mtype = self
            .buffer
            .first_chunk()
            .filter(|_| self.current.is_some())?;
        Kind::new(i64::from_ne_bytes(*mtype)).ok()
    }

    /// What it receives.
    pub fn selection(&self) -> Selection {
        self.selection
    }

    pub(crate) fn spin(&self) -> Spin {
        self.poller.spin()
    }

    #[inline]
    fn take(&mut self, selection: Selection, wait: Wait) -> Result<()> {
        self.current = None;
        if wait != Wait::Never {
            self.poller.yield_first();
        }
        let (queue, buffer) = (&*self.queue, &mut self.buffer);
        self.current = Some(until_done(&mut self.poller, wait, |flags| {
            receive(queue, buffer, selection, flags)
        })?);
        Ok(())
    }
}

impl Receiver for QueueReceiver {
    #[inline]
    fn recv_wait(&mut self, wait: Wait) -> Result<()> {
        self.take(self.selection, wait)
    }

    #[inline]
    fn message(&self) -> &[u8] {
        self.current
            .map_or(&[], |len| &self.buffer[sys::MTYPE..][..len])
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
    queue: &Handle,
    buffer: &mut Vec<u8>,
    selection: Selection,
    flags: c_int,
) -> Result<Option<usize>> {
    let (msgtyp, except) = selection.msgtyp();
    loop {
        match sys::msgrcv(queue.id, buffer, msgtyp, flags | except) {
            Ok(len) => return Ok(Some(len)),
            Err(error) => match error.raw_os_error() {
                Some(libc::ENOMSG | libc::EINTR) => return Ok(None),
                // msgmax was raised. The message is still there; MSG_NOERROR would cut it silently.
                Some(libc::E2BIG) => buffer.resize(buffer.len() * 2, 0),
                _ => return Err(queue.error("msgrcv", error)),
            },
        }
    }
}
