//! How a pool is made.

use std::fmt;
use std::fmt::Display;
use std::path::Path;
use std::process::Termination;
use std::time::Duration;

use crate::book::Limits;
use crate::duty::{Duty, Outcome, Plain, Stateful};
use crate::events::{Exit, Hooks};
use crate::handle::Handle;
use crate::link;
use crate::supervisor::{Plan, Supervisor};
use crate::template::{self, Spawn, Template, Terms};
use crate::{Error, Quarantined, Result, Task, Transport, Worker};

/// A pool of workers, before it starts: how many, what they do, and how they are looked after.
///
/// Callbacks that get a [`Worker`] or a [`Task`] run in the workers, the others in this process. One of those that
/// panics stops the pool, in order: workers finish what they have, and what waits is in the error
/// ([`Failed`](Error::Failed)). They run in the thread that looks after the workers, so while one does nothing else is
/// done: no worker is replaced, no signal is taken. A call in it that would wait for the pool, or for a task, returns
/// [`Invalid`](Error::Invalid); only [`Handle::stop`] does not wait there.
#[must_use = "a pool does nothing until it is started or run"]
pub struct Pool {
    workers: usize,
    terms: Terms,
    spawn: Option<Spawn>,
    limits: Limits,
    max_tasks: u64,
    grace: Duration,
    intensity: Option<(usize, Duration)>,
    duty: Duty,
    hooks: Hooks,
}

impl Pool {
    /// A pool of `workers` workers, with ids from 0 on.
    pub fn new(workers: usize) -> Self {
        Pool {
            workers,
            terms: Terms {
                transport: Transport::default(),
                max_len: 64 << 10,
                title: None,
                log: None,
            },
            spawn: None,
            limits: Limits {
                capacity: 64 << 10,
                prefetch: 64,
                kills: 3,
            },
            max_tasks: u64::MAX,
            grace: Duration::from_secs(3),
            intensity: None,
            duty: Duty::default(),
            hooks: Hooks::default(),
        }
    }

    /// In each worker, when it starts: `WorkerStart`. An error, or a panic, is a worker that cannot
    /// start. It prepares; what a worker does comes behind it.
    pub fn on_worker_start<R: Outcome>(
        mut self,
        mut start: impl FnMut(&Worker) -> R + 'static,
    ) -> Self {
        self.duty.start = Some(Box::new(move |worker| start(worker).outcome()));
        self
    }

    /// In each worker, before it ends in an orderly way: `WorkerStop`.
    pub fn on_worker_stop<R: Outcome>(
        mut self,
        mut stop: impl FnMut(&Worker) -> R + 'static,
    ) -> Self {
        self.duty.stop = Some(Box::new(move |worker| stop(worker).outcome()));
        self
    }

    /// In a worker, for each task: `Message`. What it returns is the answer to the submitter; so is
    /// an error, and a panic. See [`Outcome`] for what it may return.
    pub fn on_task<R: Outcome>(mut self, handler: impl FnMut(&Task<'_>) -> R + 'static) -> Self {
        self.duty.tasks = Some(Box::new(Plain(handler)));
        self
    }

    /// As [`on_task`](Self::on_task), with a state that `make` makes once in each worker, when it starts: a
    /// connection, say. If it cannot be made the worker cannot start. It is made anew after a panic, which may
    /// have left it half changed.
    pub fn on_task_with<S: 'static, E: Display, R: Outcome>(
        mut self,
        make: impl FnMut(&Worker) -> std::result::Result<S, E> + 'static,
        handler: impl FnMut(&mut S, &Task<'_>) -> R + 'static,
    ) -> Self {
        self.duty.tasks = Some(Box::new(Stateful::new(make, handler)));
        self
    }

    /// In each worker, instead of tasks: what it does by itself, until [`Worker::is_stopping`]. When it returns the
    /// worker ends, and another takes its place.
    pub fn on_work<R: Outcome>(mut self, work: impl FnMut(&Worker) -> R + 'static) -> Self {
        self.duty.work = Some(Box::new(Plain(work)));
        self
    }

    /// As [`on_work`](Self::on_work), with what `make` makes when the worker starts. If it cannot be made the
    /// worker cannot start.
    pub fn on_work_with<S: 'static, E: Display, R: Outcome>(
        mut self,
        make: impl FnMut(&Worker) -> std::result::Result<S, E> + 'static,
        work: impl FnMut(&mut S, &Worker) -> R + 'static,
    ) -> Self {
        self.duty.work = Some(Box::new(Stateful::new(make, work)));
        self
    }

    /// In this process, when the first worker is ready: `Start`.
    pub fn on_start(mut self, start: impl FnMut(&Handle) + Send + 'static) -> Self {
        self.hooks.start = Some(Box::new(start));
        self
    }

    /// In this process, when the pool begins to stop: `Shutdown`.
    pub fn on_shutdown(mut self, shutdown: impl FnMut() + Send + 'static) -> Self {
        self.hooks.shutdown = Some(Box::new(shutdown));
        self
    }

    /// In this process, when a worker has ended: `WorkerExit`. Without it a worker that failed is a line
    /// on stderr.
    pub fn on_worker_exit(mut self, exit: impl FnMut(&Exit) + Send + 'static) -> Self {
        self.hooks.worker_exit = Some(Box::new(exit));
        self
    }

    /// In this process, when a task has killed so many workers that no more are given to it. Without it
    /// that is a line on stderr.
    pub fn on_quarantine(mut self, quarantine: impl FnMut(&Quarantined) + Send + 'static) -> Self {
        self.hooks.quarantine = Some(Box::new(quarantine));
        self
    }

    /// Makes the workers from a process that executes this program anew, in the function `entry`,
    /// instead of a fork of this one: for a program that has threads, or is large. `entry` makes the
    /// same pool again, for its callbacks, and must be named by `ipc_process::entries!` at the top of `main`.
    ///
    /// ```
    /// use ipc_pool::{Pool, Template};
    ///
    /// fn upper() -> Pool {
    ///     Pool::new(2).on_task(|task| task.payload().to_ascii_uppercase())
    /// }
    ///
    /// fn template(end: Template) {
    ///     end.serve(upper());
    /// }
    ///
    /// fn main() -> ipc_pool::Result<()> {
    ///     ipc_process::entries! { template }
    ///
    ///     let pool = std::thread::spawn(|| upper().template(template).start()).join().unwrap()?;
    ///     assert_eq!(pool.submit_and_wait(b"hello")?, b"HELLO");
    ///     Ok(())
    /// }
    /// ```
    pub fn template<R, F>(mut self, entry: F) -> Self
    where
        F: Fn(Template) -> R + Copy + Send + 'static,
        R: Termination + 'static,
    {
        self.spawn = Some(template::spawn(entry));
        self
    }

    /// What the processes are called in lists of processes: `title: template`, `title: worker 0`.
    pub fn title(mut self, title: impl Into<String>) -> Self {
        self.terms.title = Some(title.into());
        self
    }

    /// Appends what this process and the pool's others write to stdout and stderr to a file. SIGHUP to a pool that
    /// [runs](Self::run) opens it anew, and so does [`Handle::reopen_log`]: move it away first.
    pub fn log_file(mut self, path: impl AsRef<Path>) -> Self {
        // The directory may change before a worker opens it anew.
        let path = path.as_ref();
        self.terms.log = Some(std::path::absolute(path).unwrap_or_else(|_| path.into()));
        self
    }

    /// What carries tasks and answers.
    pub fn transport(mut self, transport: Transport) -> Self {
        self.terms.transport = transport;
        self
    }

    /// The longest payload and the longest answer in bytes: 64 KiB unless asked. Less than 4 GiB, and with
    /// [`Transport::Shm`] than half of [`ipc_shm::MAX_CAPACITY`].
    pub fn max_len(mut self, bytes: usize) -> Self {
        self.terms.max_len = bytes;
        self
    }

    /// The most tasks that a worker is given before it has answered: 64 unless asked, 1 at least.
    /// Short tasks want many; with long ones few make sure that no task waits behind another while
    /// a worker is idle. When a worker dies as many may be run twice.
    pub fn prefetch(mut self, tasks: usize) -> Self {
        self.limits.prefetch = tasks.max(1);
        self
    }

    /// The most tasks that are submitted and not answered: 65,536 unless asked. Beyond, submitting
    /// waits.
    pub fn capacity(mut self, tasks: usize) -> Self {
        self.limits.capacity = tasks.max(1);
        self
    }

    /// A task that has killed so many workers is [`Quarantined`](crate::Quarantined): 3 unless
    /// asked.
    pub fn max_kills(mut self, kills: usize) -> Self {
        self.limits.kills = kills.max(1);
        self
    }

    /// A worker that has done about so many tasks ends, and another takes its place: against leaks.
    /// Each ends up to an eighth earlier, so that they do not all end together.
    pub fn max_tasks(mut self, tasks: u64) -> Self {
        self.max_tasks = tasks.max(1);
        self
    }

    /// How long a worker may take to end after SIGTERM, until SIGKILL: 3 s unless asked. SIGTERM comes at once in a
    /// reload, and to a worker that has nothing to finish; when the pool is stopped one that has tasks may
    /// finish them for as long before it. So a stop takes twice this time at most. [`Duration::MAX`] is as long as it
    /// takes.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// The most deaths of workers, of whatever kind, `within` a time; more open the circuit: nothing is
    /// replaced for half a minute, and the queue is kept. Unlimited unless asked.
    pub fn restart_intensity(mut self, deaths: usize, within: Duration) -> Self {
        self.intensity = Some((deaths, within));
        self
    }

    /// Starts the pool, to be used by the handle; a thread looks after the workers. Returns when the
    /// first worker is ready.
    ///
    /// # Errors
    ///
    /// [`Invalid`](crate::Error::Invalid) if there are no workers, or nothing for them to do, or a number is larger
    /// than it can be.
    /// [`Start`](crate::Error::Start) if no worker could start, with the reason.
    /// [`Process`](crate::Error::Process) if this process has threads already: start the pool
    /// before them, or from a [template](Self::template).
    pub fn start(self) -> Result<Handle> {
        Supervisor::new(self.plan()?)?.start()
    }

    /// Runs the pool here, until it is stopped: by SIGTERM or SIGINT, by a worker's
    /// [`shutdown`](Worker::shutdown), or by a handle that [`on_start`](Self::on_start) was given.
    /// SIGUSR1 reloads it, SIGHUP opens its log file anew.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start), and [`Failed`](Error::Failed) if the pool could not go on.
    pub fn run(self) -> Result<()> {
        Supervisor::new(self.plan()?)?.run()
    }

    /// What a template needs of it.
    pub(crate) fn into_duty(self) -> (Duty, Terms) {
        (self.duty, self.terms)
    }

    fn plan(self) -> Result<Plan> {
        check_workers(self.workers)?;
        let reason = match (&self.duty.tasks, &self.duty.work) {
            _ if self.workers == 0 => Some("a pool has one worker at least"),
            _ if self.terms.max_len > link::MAX_LEN => Some("max_len is more than 4 GiB"),
            (None, None) => Some("its workers have nothing to do: give it on_task or on_work"),
            (Some(_), Some(_)) => {
                Some("its workers take tasks (on_task) or work by themselves (on_work), not both")
            }
            _ => None,
        };
        if let Some(reason) = reason {
            return Err(Error::Invalid { reason });
        }
        Ok(Plan {
            workers: self.workers,
            terms: self.terms,
            spawn: self.spawn,
            limits: self.limits,
            max_tasks: self.max_tasks,
            grace: self.grace,
            intensity: self.intensity,
            duty: self.duty,
            hooks: self.hooks,
        })
    }
}

/// The kernel gives no more process ids: `PID_MAX_LIMIT`, `proc_sys_kernel(5)`.
const MAX_WORKERS: usize = 1 << 22;

/// Refuses more workers than there can be processes.
pub(crate) fn check_workers(workers: usize) -> Result<()> {
    if workers > MAX_WORKERS {
        let reason = "there are 4,194,304 processes at most";
        return Err(Error::Invalid { reason });
    }
    Ok(())
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("workers", &self.workers)
            .field("terms", &self.terms)
            .finish_non_exhaustive()
    }
}
