//! A pool that runs, as its program uses it.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use ipc_core::Wait;

use crate::control::{Control, Order, lock};
use crate::pool::check_workers;
use crate::status::Status;
use crate::{Error, Quarantined, Result, Ticket};

/// A pool that runs. It may be cloned, and used by any thread; when the last handle is dropped the
/// pool is [stopped](Self::stop).
#[derive(Clone)]
pub struct Handle {
    owner: Arc<Owner>,
}

/// What ends with the last handle.
struct Owner {
    control: Arc<Control>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Handle {
    pub(crate) fn new(control: Arc<Control>, thread: Option<JoinHandle<()>>) -> Self {
        let thread = Mutex::new(thread);
        Handle {
            owner: Arc::new(Owner { control, thread }),
        }
    }

    /// Submits a task to any worker, waiting for room as long as it takes.
    ///
    /// # Errors
    ///
    /// As [`submit_wait`](Self::submit_wait).
    #[inline]
    pub fn submit(&self, payload: &[u8]) -> Result<Ticket> {
        self.submit_wait(payload, Wait::Forever)
    }

    /// Submits a task if there is room, else returns [`WouldBlock`](Error::WouldBlock).
    ///
    /// # Errors
    ///
    /// As [`submit_wait`](Self::submit_wait).
    #[inline]
    pub fn try_submit(&self, payload: &[u8]) -> Result<Ticket> {
        self.submit_wait(payload, Wait::Never)
    }

    /// Submits a task within `timeout`, else returns [`TimedOut`](Error::TimedOut).
    ///
    /// # Errors
    ///
    /// As [`submit_wait`](Self::submit_wait).
    pub fn submit_timeout(&self, payload: &[u8], timeout: Duration) -> Result<Ticket> {
        self.submit_wait(payload, timeout.into())
    }

    /// Submits a task to any worker, waiting for room as long as `wait` allows. `Ok` is a promise:
    /// the task is done, or quarantined, or still queued, whichever worker dies.
    ///
    /// # Errors
    ///
    /// [`TooLarge`](Error::TooLarge), [`Stopped`](Error::Stopped), [`Invalid`](Error::Invalid) if workers take no tasks, or
    /// a callback of this process would have to wait,
    /// [`WouldBlock`](Error::WouldBlock), [`TimedOut`](Error::TimedOut). Nothing was submitted.
    #[inline]
    pub fn submit_wait(&self, payload: &[u8], wait: Wait) -> Result<Ticket> {
        let desk = &self.owner.control.desk;
        let entered = desk.submit(payload, None, true, wait)?;
        Ok(Ticket::new(desk.clone(), entered))
    }

    /// Submits a task to one worker, waiting for room as long as it takes. It waits for that worker
    /// even while that is being replaced.
    ///
    /// # Errors
    ///
    /// [`UnknownWorker`](Error::UnknownWorker); else as [`submit_wait`](Self::submit_wait).
    pub fn submit_to(&self, worker: usize, payload: &[u8]) -> Result<Ticket> {
        let desk = &self.owner.control.desk;
        let entered = desk.submit(payload, Some(worker), true, Wait::Forever)?;
        Ok(Ticket::new(desk.clone(), entered))
    }

    /// Submits several tasks, waiting for room as long as it takes.
    ///
    /// # Errors
    ///
    /// As [`submit_wait`](Self::submit_wait), for the first that is refused; those before it are
    /// submitted, and their answers given up.
    pub fn submit_many<P: AsRef<[u8]>>(
        &self,
        payloads: impl IntoIterator<Item = P>,
    ) -> Result<Vec<Ticket>> {
        let payloads = payloads.into_iter();
        payloads
            .map(|payload| self.submit(payload.as_ref()))
            .collect()
    }

    /// Submits a task and waits for its answer.
    ///
    /// # Errors
    ///
    /// As [`submit_wait`](Self::submit_wait), then as [`Ticket::wait`].
    pub fn submit_and_wait(&self, payload: &[u8]) -> Result<Vec<u8>> {
        self.submit(payload)?.wait()
    }

    /// Waits until every task that was submitted is answered or quarantined.
    ///
    /// # Errors
    ///
    /// [`Stopped`](Error::Stopped) if the pool ends before.
    pub fn wait_all(&self) -> Result<()> {
        let desk = &self.owner.control.desk;
        desk.wait(Wait::Forever, |state| {
            if state.book.unfinished() == 0 {
                return Some(Ok(()));
            }
            state.ended.then_some(Err(Error::Stopped))
        })?
    }

    /// Replaces all workers, one by one: a new one starts, and when it is ready the old one finishes
    /// the task that it is running and ends. What else it had been given goes to others. Returns when all
    /// are replaced.
    ///
    /// # Errors
    ///
    /// [`Start`](Error::Start) if a new worker could not start: the old ones go on. [`Stopped`](Error::Stopped) if the pool
    /// is stopped before.
    pub fn reload(&self) -> Result<()> {
        let control = &self.owner.control;
        control.desk.may_wait()?;
        let mut number = 0;
        control.tell(|news| {
            news.asked += 1;
            number = news.asked;
        });
        control.order(Order::Reload);
        let news = control.wait(|news| news.ended || news.reloads >= number)?;
        match &news.reload_failure {
            _ if news.ended => Err(Error::Stopped),
            Some(reason) => Err(Error::Start {
                reason: reason.as_str().into(),
            }),
            None => Ok(()),
        }
    }

    /// Makes the pool one of `workers` workers: more start, or those with the highest ids finish what they have
    /// and end. Does not wait for that.
    ///
    /// # Errors
    ///
    /// [`Invalid`](Error::Invalid) if there cannot be so many processes.
    pub fn scale(&self, workers: usize) -> Result<()> {
        check_workers(workers)?;
        self.owner.control.order(Order::Scale(workers));
        Ok(())
    }

    /// Opens the [log file](crate::Pool::log_file) anew, in this process and in all of the pool's.
    pub fn reopen_log(&self) {
        self.owner.control.order(Order::ReopenLog);
    }

    /// Stops the pool and waits for every worker. Nothing more is taken in; workers finish what they
    /// have been given for up to [`Pool::grace`](crate::Pool::grace), then the task that they run for as long
    /// again. What still waits is not run: it is returned, and its tickets say [`Stopped`](Error::Stopped). Wait first
    /// ([`wait_all`](Self::wait_all)) for nothing to be left.
    ///
    /// In a callback of this process it does not wait, and returns nothing: the pool stops behind that. What still
    /// waits is then returned to who calls it anew.
    ///
    /// # Errors
    ///
    /// [`Failed`](Error::Failed) if the pool could not go on, with what still waited.
    pub fn stop(&self) -> Result<Vec<Vec<u8>>> {
        let control = &self.owner.control;
        control.order(Order::Stop);
        let Ok(news) = control.wait(|news| news.ended) else {
            return Ok(Vec::new()); // in a callback
        };
        drop(news);
        self.owner.join();
        control.withdraw()
    }

    /// How the pool is.
    pub fn status(&self) -> Status {
        let control = &self.owner.control;
        let mut status = control.news().status.clone();
        status.count(&control.desk.lock().book);
        status
    }

    /// Waits until `is` says so of the pool's [status](Self::status), which is looked at whenever a worker has started, is
    /// ready, or has ended: [`Status::is_complete`] says that all are ready.
    ///
    /// # Errors
    ///
    /// [`Stopped`](Error::Stopped) if the pool ends before.
    pub fn wait_until(&self, mut is: impl FnMut(&Status) -> bool) -> Result<Status> {
        let control = &self.owner.control;
        let mut seen = None;
        loop {
            let news = control.wait(|news| news.ended || Some(news.told) != seen)?;
            let ended = news.ended;
            seen = Some(news.told);
            drop(news); // what is called may look at the pool itself
            let status = self.status();
            if is(&status) {
                return Ok(status);
            }
            if ended {
                return Err(Error::Stopped);
            }
        }
    }

    /// Sends a signal to the process that works as `worker`, and to no other: its process id may be
    /// another's by the time that one calls kill(2). Does not wait for it.
    ///
    /// # Errors
    ///
    /// [`UnknownWorker`](Error::UnknownWorker).
    pub fn signal(&self, worker: usize, signal: i32) -> Result<()> {
        let control = &self.owner.control;
        let workers = control.desk.lock().book.workers();
        if worker >= workers {
            return Err(Error::UnknownWorker { worker, workers });
        }
        control.order(Order::Signal(worker, signal));
        Ok(())
    }

    /// The tasks that killed too many workers.
    pub fn quarantined(&self) -> Vec<Quarantined> {
        let state = self.owner.control.desk.lock();
        state.book.quarantined().to_vec()
    }
}

impl Owner {
    fn join(&self) {
        if let Some(thread) = lock(&self.thread).take() {
            // A callback in the supervisor's own thread may be who stops the pool.
            if thread.thread().id() != std::thread::current().id() {
                let _ = thread.join();
            }
        }
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        if lock(&self.thread).is_some() {
            self.control.order(Order::Stop);
            self.join();
        }
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").finish_non_exhaustive()
    }
}
