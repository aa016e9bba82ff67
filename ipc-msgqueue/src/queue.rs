//! [`Queue`]: the kernel's object.

use std::sync::Arc;

use libc::msqid_ds;

use crate::handle::Handle;
use crate::stat::explain;
use crate::{
    Error, Key, Kind, QueueOptions, QueueReceiver, QueueSender, QueueStat, Result, Selection,
    limits, sys,
};

/// A `SysV` message queue, from which senders and receivers are made: as many as you like.
///
/// Whoever [creates](Queue::create) it owns it: it is removed, with the messages that are still
/// in it, when the last handle in the process that made it is dropped, that is the `Queue` and all
/// senders and receivers made from it. [`keep`](Queue::keep) gives that up.
#[derive(Debug)]
pub struct Queue {
    handle: Arc<Handle>,
    options: QueueOptions,
}

impl Queue {
    pub(crate) fn new(handle: Handle, options: QueueOptions) -> Self {
        Queue {
            handle: Arc::new(handle),
            options,
        }
    }

    /// Makes a queue with the default [options](QueueOptions::create).
    ///
    /// # Errors
    ///
    /// As [`QueueOptions::create`].
    pub fn create(key: Key) -> Result<Self> {
        QueueOptions::new().create(key)
    }

    /// Opens a queue with the default [options](QueueOptions::open).
    ///
    /// # Errors
    ///
    /// As [`QueueOptions::open`].
    pub fn open(key: Key) -> Result<Self> {
        QueueOptions::new().open(key)
    }

    /// Leaves the queue in the kernel, with its messages, when all handles are gone, and even all
    /// processes: until [`remove`](Queue::remove), `ipcrm -q ID` or the machine's end.
    #[must_use]
    pub fn keep(self) -> Self {
        self.handle.release();
        self
    }

    /// A sender of messages of this kind.
    ///
    /// # Errors
    ///
    /// [`Removed`](Error::Removed) if the queue is gone.
    pub fn sender(&self, kind: Kind) -> Result<QueueSender> {
        QueueSender::new(Arc::clone(&self.handle), kind, &self.options)
    }

    /// A receiver of the messages selected.
    ///
    /// # Errors
    ///
    /// [`Removed`](Error::Removed) if the queue is gone.
    pub fn receiver(&self, selection: Selection) -> Result<QueueReceiver> {
        QueueReceiver::new(Arc::clone(&self.handle), selection, &self.options)
    }

    /// What the kernel knows of the queue.
    ///
    /// # Errors
    ///
    /// [`Removed`](Error::Removed) if it is gone, [`Os`](Error::Os) without permission to receive.
    pub fn stat(&self) -> Result<QueueStat> {
        self.handle.stat()
    }

    /// Sets the room for messages in bytes; it is also the most messages there can be
    /// (`msg_qbytes`).
    ///
    /// Senders keep the [`max_len`](crate::Sender::max_len) that they were made with. One that waits
    /// to send a message that is longer than the new capacity waits until the capacity is raised,
    /// its deadline or the end of the queue.
    ///
    /// # Errors
    ///
    /// [`Os`](Error::Os), `PermissionDenied`: above `kernel.msgmnb` the kernel wants
    /// `CAP_SYS_RESOURCE` (in the first user namespace: root in a container may lack it), and only
    /// the queue's owner or creator may change it at all.
    pub fn set_capacity(&self, bytes: usize) -> Result<()> {
        self.set(|ds| ds.msg_qbytes = bytes as u64)
    }

    /// Sets who may send (write) and receive (read), as for a file.
    ///
    /// # Errors
    ///
    /// As [`set_capacity`](Queue::set_capacity).
    pub fn set_mode(&self, mode: u32) -> Result<()> {
        self.set(|ds| ds.msg_perm.mode = (mode & 0o777) as _)
    }

    /// Gives the queue to another user and group. The one that made it may still change and remove
    /// it.
    ///
    /// # Errors
    ///
    /// As [`set_capacity`](Queue::set_capacity), and `InvalidInput` for what is no user or group of this
    /// user namespace.
    pub fn set_owner(&self, uid: u32, gid: u32) -> Result<()> {
        self.set(|ds| (ds.msg_perm.uid, ds.msg_perm.gid) = (uid, gid))
    }

    /// Removes the queue now, whoever owns it, with its messages. All who wait for it or use it
    /// later get [`Removed`](Error::Removed).
    ///
    /// # Errors
    ///
    /// [`Removed`](Error::Removed) if it is gone already; [`Os`](Error::Os), `PermissionDenied`,
    /// unless this user owns it or made it.
    pub fn remove(&self) -> Result<()> {
        self.handle.remove()
    }

    /// The kernel's number for the queue: what `ipcs -q` lists and `ipcrm -q` takes.
    pub fn id(&self) -> i32 {
        self.handle.id
    }

    /// The key it was made or opened with.
    pub fn key(&self) -> Key {
        self.handle.key
    }

    fn set(&self, change: impl FnOnce(&mut msqid_ds)) -> Result<()> {
        let failed = |error| self.handle.error("msgctl", error);
        let mut ds = sys::stat(self.id()).map_err(failed)?;
        let owner = ds.msg_perm.uid;
        change(&mut ds);
        sys::set(self.id(), ds).map_err(|error| {
            let advice = match error.raw_os_error() {
                Some(libc::EPERM) => not_permitted(owner, ds.msg_qbytes),
                Some(libc::EINVAL) if sys::exists(self.id()) => {
                    let (uid, gid) = (ds.msg_perm.uid, ds.msg_perm.gid);
                    format!("uid {uid} or gid {gid} does not exist in this user namespace")
                }
                _ => return failed(error),
            };
            Error::os(
                "msgctl",
                self.handle.to_string(),
                explain(error, Some(advice)),
            )
        })
    }
}

fn not_permitted(owner: u32, bytes: u64) -> String {
    match limits() {
        Ok(limits) if bytes > limits.msgmnb as u64 => format!(
            "{bytes} bytes are more than kernel.msgmnb allows ({}); raise it with `sysctl \
             kernel.msgmnb={bytes}`, or have CAP_SYS_RESOURCE",
            limits.msgmnb
        ),
        _ => format!("only uid {owner} may change its queue"),
    }
}
