//! A worker's life: it prepares, works, and ends.

use std::any::Any;
use std::mem;
use std::os::fd::{AsFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};

use ipc_core::spin::{Look, Poller};
use ipc_core::{Spin, Wait};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};

use crate::duty::Duty;
use crate::lag::Lag;
use crate::link::{Link, Rx};
use crate::sys::{self, Page};
use crate::wire::{self, Kind, Lease};
use crate::{Result, Task, Worker};

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
    let worker = Worker::new(birth.id, birth.max_len, tx, nudge);
    let inbox = Inbox {
        rx,
        page,
        lag: Lag::default(),
    };
    let ended = serve(&worker, duty, inbox, birth.max_tasks)?;
    if let Err(reason) = &ended {
        worker.say(Kind::Unfit, reason);
    }
    if let Some(stop) = &mut duty.stop {
        if let Err(message) = caught(|| stop(&worker)) {
            eprintln!("worker {} stops with an error: {message}", worker.id());
        }
    }
    Ok(i32::from(ended.is_err()))
}

/// Does what a worker is there for; the inner error is why it cannot go on.
fn serve(
    worker: &Worker,
    duty: &mut Duty,
    mut inbox: Inbox,
    max_tasks: u64,
) -> Result<std::result::Result<(), String>> {
    if let Err(message) = caught(|| duty.prepare(worker)) {
        return Ok(Err(message));
    }
    // Who cannot say so would be waited for for ever.
    let mut tx = worker.tx();
    tx.send(Kind::Ready, Lease::default(), b"", Wait::Forever)?;
    drop(tx);
    if let Some(work) = duty.work.as_mut().filter(|_| !worker.is_leaving()) {
        return Ok(caught(|| work.run(worker)).map(drop));
    }
    let Some(tasks) = &mut duty.tasks else {
        return Ok(Ok(()));
    };
    let mut left = max_tasks;
    let mut poller = Poller::new(Spin::Adaptive, Look::Load);
    while left > 0 && inbox.next(worker, &mut poller)? {
        let (Kind::Task, lease, payload) = wire::read(inbox.rx.message())? else {
            continue;
        };
        let task = Task::new(lease, payload, worker);
        inbox.page.announce(lease.id);
        let ran = catch_unwind(AssertUnwindSafe(|| tasks.run(&task)));
        let is_sound = ran.is_ok();
        let outcome = ran.unwrap_or_else(|payload| Err(panicked(payload)));
        answer(worker, lease, &outcome)?;
        if !is_sound {
            // What it works with may be changed by half.
            if let Err(message) = caught(|| tasks.prepare(worker)) {
                return Ok(Err(message));
            }
        }
        left -= 1;
    }
    Ok(Ok(()))
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
    let mut tx = worker.tx();
    if body.len() <= worker.max_len() {
        return Ok(tx.send(kind, lease, body, Wait::Forever)?);
    }
    let (len, max) = (body.len(), worker.max_len());
    let message = format!("an answer of {len} bytes, max_len is {max}: raise Pool::max_len");
    Ok(tx.send(Kind::Failed, lease, message.as_bytes(), Wait::Forever)?)
}

/// What a worker is told.
struct Inbox {
    rx: Rx,
    page: Page,
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
            **woken = inbox.sleep(worker)?;
            Ok(())
        };
        let waited = poller.wait(Wait::Forever, &mut (self, &mut woken), look, sleep);
        waited.or_else(end)
    }

    /// Sleeps until something comes; true if a record was taken.
    fn sleep(&mut self, worker: &Worker) -> ipc_core::Result<bool> {
        if self.rx.arm()? {
            return Ok(false);
        }
        let mut fds = [
            PollFd::new(self.rx.as_fd(), PollFlags::POLLIN),
            PollFd::new(worker.nudge(), PollFlags::POLLIN),
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
pub(crate) fn caught<T>(
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
