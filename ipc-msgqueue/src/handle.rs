//! What all that was made from one queue shares: its id, its name, and who removes it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::{fmt, io, process};

use libc::c_int;

use crate::spill::Spill;
use crate::stat::QueueStat;
use crate::{Error, Key, Result, sys};

/// A queue, shared by its [`Queue`](crate::Queue), senders and receivers.
#[derive(Debug)]
pub(crate) struct Handle {
    pub(crate) id: c_int,
    pub(crate) key: Key,
    /// Where messages lie that are too long for the queue.
    pub(crate) spill: Option<Spill>,
    /// The process that made the queue: there, the last handle removes it.
    maker: Option<u32>,
    /// Somebody decided that the queue outlives its handles, or it is known to be gone.
    released: AtomicBool,
}

impl Handle {
    /// A queue that this process has made.
    pub(crate) fn owner(id: c_int, key: Key, spill: Option<Spill>) -> Self {
        Handle {
            id,
            key,
            spill,
            maker: Some(process::id()),
            released: AtomicBool::new(false),
        }
    }

    /// A queue that somebody else has made.
    pub(crate) fn guest(id: c_int, key: Key, spill: Option<Spill>) -> Self {
        Handle {
            id,
            key,
            spill,
            maker: None,
            released: AtomicBool::new(false),
        }
    }

    /// Leaves the queue in the kernel when the last handle is dropped.
    pub(crate) fn release(&self) {
        self.released.store(true, Ordering::Relaxed);
    }

    /// Removes the queue.
    pub(crate) fn remove(&self) -> Result<()> {
        sys::remove(self.id).map_err(|error| self.error("msgctl", error))?;
        self.gone();
        Ok(())
    }

    pub(crate) fn stat(&self) -> Result<QueueStat> {
        let ds = sys::stat(self.id).map_err(|error| self.error("msgctl", error))?;
        Ok(QueueStat::new(&ds))
    }

    /// The error of a call on this queue: the kernel says `EIDRM` to those who waited when it was
    /// removed, and `EINVAL`, for one, to those who come later.
    pub(crate) fn error(&self, call: &'static str, error: io::Error) -> Error {
        let removed = match error.raw_os_error() {
            Some(libc::EIDRM) => true,
            Some(libc::EINVAL) => !sys::exists(self.id),
            _ => false,
        };
        if !removed {
            return Error::os(call, self.to_string(), error);
        }
        self.gone();
        Error::Removed {
            object: self.to_string().into(),
        }
    }

    /// The id may be another queue's soon, and nobody can receive the long messages any more.
    fn gone(&self) {
        self.release();
        if let Some(spill) = &self.spill {
            spill.sweep();
        }
    }
}

impl fmt::Display for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.key {
            Key::PRIVATE => write!(f, "SysV queue {} (private)", self.id),
            key => write!(f, "SysV queue {} (key {key})", self.id),
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // A fork copies handles, but not the ownership.
        if self.maker == Some(process::id()) && !*self.released.get_mut() {
            let _ = self.remove(); // gone already: what was wanted
        }
    }
}
