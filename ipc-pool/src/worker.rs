//! A worker: the process that runs the handlers.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::mem;
use std::os::fd::{AsFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};

use ipc_core::spin::{Look, Poller};
use ipc_core::{Spin, Wait};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};

use crate::Result;
use crate::duty::Duty;
use crate::lag::Lag;
use crate::link::{Link, Rx, Tx};
use crate::sys::{self, Page};
use crate::wire::{self, Kind, Lease};

/// The worker that a callback runs in.
pub struct Worker {
    id: usize,
    max_len: usize,
    tx: RefCell<Tx>,
    /// Whether this worker leaves of its own accord.
    leaving: Cell<bool>,
    /// Whether it goes on alone.
    detached: Cell<bool>,
}

impl Worker {
    /// The worker's id: from 0 on, and the same for every process that takes its place.
    pub fn id(&self) -> usize {
        self.id
    }

    /// Whether the worker is to end: a loop of its own looks here after each step. Calls that wait
    /// are interrupted (`EINTR`) when it becomes true.
    pub fn is_stopping(&self) -> bool {
        self.leaving.get() || sys::is_stopping()
    }

    /// Ends this worker after the callback: another takes its place.
    pub fn stop(&self) {
        self.leaving.set(true);
    }

    /// Leaves the pool: another takes this worker's place at once, and this process goes on alone. It gets no more
    /// tasks, and is stopped by nobody: not with the pool, nor with the program. The answer to
    /// the task that it is running still counts.
    pub fn detach(&self) {
        sys::outlive_the_parent();
        self.detached.set(true);
        self.say(Kind::Detached, "");
    }

    /// Stops the whole pool, as SIGTERM to it would.
    pub fn shutdown(&self) {
        self.say(Kind::Shutdown, "");
    }

    /// Whether it takes no more tasks.
    #[inline]
    fn is_done(&self) -> bool {
        self.is_stopping() || self.detached.get()
    }

    /// Tells the pool; if that is gone, this process soon is.
    fn say(&self, kind: Kind, text: &str) {
        let text = &text.as_bytes()[..text.len().min(self.max_len)];
        let mut tx = self.tx.borrow_mut();
        let _ = tx.send(kind, Lease::default(), text, Wait::Forever);
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
    /// The task's id, which no other task of this pool has, not even after a restart of the program.
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

/// How a worker's life begins.
pub(crate) struct Birth {
    pub(crate) id: usize,
    pub(crate) max_len: usize,
    pub(crate) max_tasks: u64,
    pub(crate) link: Link,
}

/// Lives a worker's life; what comes back is the exit code.
pub(crate) fn live(birth: Birth, duty: &mut Duty) -> Result<i32> {
    let nudge = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK);
    let nudge = nudge.map_err(|e| ipc_core::Error::os("eventfd", "a new worker", e))?;
    let nudge = OwnedFd::from(nudge);
    let kept = nudge.try_clone();
    let kept = kept.map_err(|e| ipc_core::Error::os("fcntl", "a new worker", e))?;
    sys::catch_sigterm(kept).map_err(|e| ipc_core::Error::os("sigaction", "SIGTERM", e))?;
    let Link { tx, rx, page, .. } = birth.link;
    let worker = Worker {
        id: birth.id,
        max_len: birth.max_len,
        tx: RefCell::new(tx),
        leaving: Cell::new(false),
        detached: Cell::new(false),
    };
    let code = serve(
        &worker,
        duty,
        Inbox {
            rx,
            page,
            nudge,
            lag: Lag::default(),
        },
        birth.max_tasks,
    )?;
    if let Some(stop) = &mut duty.stop {
        if let Err(message) = caught(|| stop(&worker)) {
            eprintln!("worker {} stops with an error: {message}", worker.id);
        }
    }
    Ok(code)
}

fn serve(worker: &Worker, duty: &mut Duty, mut inbox: Inbox, max_tasks: u64) -> Result<i32> {
    if let Err(message) = caught(|| duty.prepare(worker)) {
        worker.say(Kind::Unfit, &message);
        return Ok(1);
    }
    worker.say(Kind::Ready, "");
    if let Some(work) = &mut duty.work {
        if worker.leaving.get() {
            return Ok(0); // since its preparation
        }
        if let Err(message) = caught(|| work.run(worker)) {
            worker.say(Kind::Unfit, &message);
            return Ok(1);
        }
    }
    let Some(tasks) = &mut duty.tasks else {
        return Ok(0);
    };
    let mut left = max_tasks;
    let mut poller = Poller::new(Spin::Adaptive, Look::Load);
    while left > 0 && inbox.next(worker, &mut poller)? {
        let (Kind::Task, lease, payload) = wire::read(inbox.rx.message())? else {
            continue;
        };
        let task = Task {
            lease,
            payload,
            worker,
        };
        inbox.page.announce(lease.id);
        let outcome = caught(|| tasks.run(&task));
        answer(worker, lease, &outcome)?;
        left -= 1;
    }
    Ok(0)
}

/// Publishes the answer, which is the acknowledgement too: after the handler's effect, never before.
#[inline]
fn answer(
    worker: &Worker,
    lease: Lease,
    outcome: &std::result::Result<Vec<u8>, String>,
) -> Result<()> {
    let (kind, body) = match outcome {
        Ok(bytes) => (Kind::Done, &bytes[..]),
        Err(message) => (Kind::Failed, message.as_bytes()),
    };
    let mut tx = worker.tx.borrow_mut();
    if body.len() <= worker.max_len {
        return Ok(tx.send(kind, lease, body, Wait::Forever)?);
    }
    let (len, max) = (body.len(), worker.max_len);
    let message = format!("an answer of {len} bytes, max_len is {max}: raise Pool::max_len");
    Ok(tx.send(Kind::Failed, lease, message.as_bytes(), Wait::Forever)?)
}

/// What a worker is told.
struct Inbox {
    rx: Rx,
    page: Page,
    /// Readable when SIGTERM has come.
    nudge: OwnedFd,
    lag: Lag,
}

impl Inbox {
    /// Waits for the next task; false if the worker is to end, or the pool is gone.
    #[inline]
    fn next(&mut self, worker: &Worker, poller: &mut Poller) -> Result<bool> {
        if worker.is_done() {
            return Ok(false);
        }
        match self.rx.look() {
            Ok(false) => {}
            Ok(true) => {
                self.lag.took();
                return Ok(true);
            }
            Err(error) => return end(error),
        }
        self.lag.wait();
        self.wait(worker, poller)
    }

    #[inline(never)]
    fn wait(&mut self, worker: &Worker, poller: &mut Poller) -> Result<bool> {
        let mut woken = false;
        let look = |(inbox, woken): &mut (&mut Inbox, &mut bool)| {
            if **woken || inbox.rx.look()? {
                return Ok(Some(true));
            }
            Ok(worker.is_done().then_some(false))
        };
        let sleep = |(inbox, woken): &mut (&mut Inbox, &mut bool), _| {
            **woken = inbox.sleep()?;
            Ok(())
        };
        let waited = poller.wait(Wait::Forever, &mut (self, &mut woken), look, sleep);
        waited.or_else(end)
    }

    /// Sleeps until something comes; true if a record was taken.
    fn sleep(&mut self) -> ipc_core::Result<bool> {
        if self.rx.arm()? {
            return Ok(false);
        }
        let mut fds = [
            PollFd::new(self.rx.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.nudge.as_fd(), PollFlags::POLLIN),
        ];
        match poll(&mut fds, PollTimeout::NONE) {
            Ok(_) if fds[0].any() == Some(true) => self.rx.woken(),
            Ok(_) | Err(nix::Error::EINTR) => Ok(false),
            Err(errno) => Err(ipc_core::Error::os("poll", "a worker's channel", errno)),
        }
    }
}

/// A pool that is gone ends its worker; anything else is an error.
#[cold]
fn end(error: ipc_core::Error) -> Result<bool> {
    match error {
        ipc_core::Error::Disconnected => Ok(false),
        error => Err(error.into()),
    }
}

/// Calls back; a panic is an error with its message.
#[inline]
fn caught<T>(
    call: impl FnOnce() -> std::result::Result<T, String>,
) -> std::result::Result<T, String> {
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|payload| Err(panicked(payload)))
}

#[cold]
fn panicked(payload: Box<dyn Any + Send>) -> String {
    let said = payload.downcast_ref::<&str>().copied();
    let said = said.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    let message = format!(
        "panicked: {}",
        said.unwrap_or("with a value that is no text")
    );
    mem::forget(payload); // its destructor could panic in its turn
    message
}
