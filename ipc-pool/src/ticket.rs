//! A claim to the answer of a task.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ipc_core::Wait;

use crate::book::Answer;
use crate::desk::Desk;
use crate::{Error, Result};

/// A claim to the answer of a task. Dropping it gives up the answer, not the task.
#[must_use = "dropping a ticket gives up the answer"]
pub struct Ticket {
    desk: Arc<Desk>,
    slot: u32,
    id: u64,
    claimed: bool,
}

impl Ticket {
    pub(crate) fn new(desk: Arc<Desk>, (slot, id): (u32, u64)) -> Self {
        Ticket {
            desk,
            slot,
            id,
            claimed: false,
        }
    }

    /// The task's id.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Waits for the answer, as long as it takes.
    ///
    /// # Errors
    ///
    /// [`Task`](Error::Task) if the handler failed, [`Quarantined`](Error::Quarantined) if the task
    /// killed its workers, [`Stopped`](Error::Stopped) if the pool was stopped before.
    pub fn wait(self) -> Result<Vec<u8>> {
        let mut ticket = self;
        ticket.claim(Wait::Forever)
    }

    /// The answer if it is there, else [`WouldBlock`](Error::WouldBlock).
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait).
    pub fn try_wait(&mut self) -> Result<Vec<u8>> {
        self.claim(Wait::Never)
    }

    /// Waits for the answer, but no longer than `timeout`; then [`TimedOut`](Error::TimedOut), and
    /// the ticket is as good as before.
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait).
    pub fn wait_timeout(&mut self, timeout: Duration) -> Result<Vec<u8>> {
        self.claim(timeout.into())
    }

    #[inline]
    fn claim(&mut self, wait: Wait) -> Result<Vec<u8>> {
        if self.claimed {
            return Err(Error::Stopped);
        }
        let (slot, id) = (self.slot, self.id);
        let answer = self
            .desk
            .wait(wait, |state| match state.book.take(slot, id) {
                None if state.ended => Some(None),
                None => None,
                answer => Some(answer),
            })?;
        self.claimed = answer.is_some();
        match answer {
            Some(Answer::Done(bytes)) => Ok(bytes),
            Some(Answer::Failed(message)) => Err(Error::Task {
                id,
                message: message.into(),
            }),
            Some(Answer::Quarantined) => Err(Error::Quarantined { id }),
            Some(Answer::Withdrawn) | None => Err(Error::Stopped),
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if !self.claimed {
            self.desk.lock().book.abandon(self.slot, self.id);
        }
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}
