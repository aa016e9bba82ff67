//! A worker and a task, as the callbacks see them.

use std::cell::{Cell, RefCell, RefMut};
use std::fmt;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use ipc_core::{Interest, Ready, Wait};

use crate::link::Tx;
use crate::sys;
use crate::wire::{Kind, Lease};

/// The worker that a callback runs in.
pub struct Worker {
    id: usize,
    max_len: usize,
    tx: RefCell<Tx>,
    /// Readable when SIGTERM has come.
    nudge: OwnedFd,
    /// Whether this worker leaves of its own accord.
    leaving: Cell<bool>,
    /// Whether it goes on alone.
    detached: Cell<bool>,
}

impl Worker {
    pub(crate) fn new(id: usize, max_len: usize, tx: Tx, nudge: OwnedFd) -> Self {
        Worker {
            id,
            max_len,
            tx: RefCell::new(tx),
            nudge,
            leaving: Cell::new(false),
            detached: Cell::new(false),
        }
    }

    /// The worker's id: from 0 on, and the same for every process that takes its place.
    pub fn id(&self) -> usize {
        self.id
    }

    /// Whether the worker is to end: a loop of its own looks here after each step. Calls that wait
    /// are interrupted (`EINTR`) when it becomes true, but many libraries repeat them: wait with
    /// [`sleep`](Self::sleep), or for this worker too ([`Ready`]), or no longer than it may take to stop.
    pub fn is_stopping(&self) -> bool {
        self.leaving.get() || sys::is_stopping()
    }

    /// Sleeps for so long, or until the worker is to end: true if it goes on.
    pub fn sleep(&self, time: Duration) -> bool {
        let wait = Wait::from(time);
        while !self.is_stopping() && !wait.is_over() {
            if ipc_core::poll(self.nudge(), Interest::Read, wait).is_err() {
                break; // a callback has closed what is not its own
            }
        }
        !self.is_stopping()
    }

    /// Ends this worker after the callback: another takes its place.
    pub fn stop(&self) {
        self.leaving.set(true);
    }

    /// Leaves the pool: another takes this worker's place, and this process goes on alone. It gets no more
    /// tasks, and is stopped by nobody: not with the pool, nor with the program. The answer to
    /// the task that it is running still counts. The other comes at once if this one has run a task, or has worked for
    /// 100 ms where there are none; else later each time, as after an end in order.
    pub fn detach(&self) {
        sys::outlive_the_parent();
        if !self.detached.replace(true) {
            self.say(Kind::Detached, "");
        }
    }

    /// Stops the whole pool, as SIGTERM to it would.
    pub fn shutdown(&self) {
        self.say(Kind::Shutdown, "");
    }

    pub(crate) fn is_leaving(&self) -> bool {
        self.leaving.get()
    }

    /// Whether it takes no more tasks.
    #[inline]
    pub(crate) fn is_done(&self) -> bool {
        self.is_stopping() || self.detached.get()
    }

    /// Tells the pool; if that is gone, this process soon is.
    pub(crate) fn say(&self, kind: Kind, text: &str) {
        let text = &text.as_bytes()[..text.len().min(self.max_len)];
        let _ = self.tx().send(kind, Lease::default(), text, Wait::Forever);
    }

    pub(crate) fn tx(&self) -> RefMut<'_, Tx> {
        self.tx.borrow_mut()
    }

    pub(crate) fn nudge(&self) -> BorrowedFd<'_> {
        self.nudge.as_fd()
    }

    pub(crate) fn max_len(&self) -> usize {
        self.max_len
    }
}

/// Ready when the worker is to end, so that a loop of its own may wait for that and for what it works on.
///
/// ```no_run
/// use std::path::Path;
///
/// use ipc_core::{Select, Wait};
/// use ipc_pool::Pool;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut listener = ipc_socket::listen(Path::new("/run/jobs"))?;
/// let pool = Pool::new(2).on_work(move |mut worker| {
///     let mut select = Select::new();
///     while !worker.is_stopping() {
///         select.wait(&mut [&mut worker, &mut listener], Wait::Forever)?;
///         match listener.try_accept() {
///             Ok(client) => drop(client), // serve it
///             Err(ipc_socket::Error::WouldBlock) => {} // another worker was faster, or it is to end
///             Err(error) => return Err(error),
///         }
///     }
///     Ok(())
/// });
/// pool.run()?;
/// # Ok(())
/// # }
/// ```
impl Ready for &Worker {
    fn fd(&self) -> (BorrowedFd<'_>, Interest) {
        (self.nudge(), Interest::Read)
    }

    fn arm(&mut self) -> ipc_core::Result<bool> {
        Ok(self.is_stopping())
    }
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker")
            .field("id", &self.id)
            .field("is_stopping", &self.is_stopping())
            .finish_non_exhaustive()
    }
}

/// A task, as its handler sees it.
#[derive(Clone, Copy, Debug)]
pub struct Task<'a> {
    lease: Lease,
    payload: &'a [u8],
    worker: &'a Worker,
}

impl<'a> Task<'a> {
    pub(crate) fn new(lease: Lease, payload: &'a [u8], worker: &'a Worker) -> Self {
        Task {
            lease,
            payload,
            worker,
        }
    }

    /// The task's id, which no other task of this pool has, not even after a restart of the program,
    /// unless the clock was set back in between.
    pub fn id(&self) -> u64 {
        self.lease.id
    }

    /// Which attempt this is: 1, and one more for every worker that died while it ran the task.
    pub fn attempt(&self) -> u32 {
        self.lease.attempt
    }

    /// What was submitted.
    pub fn payload(&self) -> &'a [u8] {
        self.payload
    }

    /// The worker that runs it.
    pub fn worker(&self) -> &'a Worker {
        self.worker
    }
}
