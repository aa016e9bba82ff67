//! The supervisor: it makes the workers, watches them, replaces, reloads and stops them, and takes
//! the answers in while nobody waits for them.

mod ends;
mod instance;
mod making;
mod notices;
mod orders;
mod reload;
mod waiting;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use ipc_process::{LogFile, Signals};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::signal::SigSet;

use crate::Result;
use crate::book::{Book, Limits};
use crate::control::Control;
use crate::desk::Desk;
use crate::duty::Duty;
use crate::events::Hooks;
use crate::handle::Handle;
use crate::link::{Ends, Link};
use crate::restarts::Restarts;
use crate::status::WorkerStatus;
use crate::template::{Maker, Spawn, Terms};
use instance::{Instance, Phase};
use waiting::Waiting;

/// What a pool is made of.
pub(crate) struct Plan {
    pub(crate) workers: usize,
    pub(crate) terms: Terms,
    pub(crate) spawn: Option<Spawn>,
    pub(crate) limits: Limits,
    pub(crate) max_tasks: u64,
    pub(crate) grace: Duration,
    pub(crate) intensity: Option<(usize, Duration)>,
    pub(crate) duty: Duty,
    pub(crate) hooks: Hooks,
}

pub(crate) struct Supervisor {
    desk: Arc<Desk>,
    control: Arc<Control>,
    /// Makes the workers, once it is made itself.
    maker: Option<Maker>,
    /// Takes its place should it die.
    heir: Option<Maker>,
    spawn: Option<Spawn>,
    log: Option<LogFile>,
    terms: Terms,
    max_tasks: u64,
    grace: Duration,
    hooks: Hooks,
    restarts: Restarts,
    /// Whether workers answer tasks, or only start.
    has_tasks: bool,
    /// How many workers there are to be.
    wanted: usize,
    instances: Vec<Instance>,
    /// When workers that died are to be replaced, by id.
    due: Vec<Option<Instant>>,
    /// The worker that a reload has come to.
    reload: Option<usize>,
    /// How many reloads had been asked for when it began.
    asked: u64,
    stopping: bool,
    /// Whether any worker was ever ready.
    started: bool,
    /// Why the pool cannot go on.
    failure: Option<String>,
    /// A channel made ahead, so that a replacement does not wait for it.
    spare: Option<(Link, Ends)>,
    waiting: Waiting,
    restarted: u64,
    random: u64,
}

impl Supervisor {
    pub(crate) fn new(plan: Plan) -> Result<Self> {
        let has_tasks = plan.duty.tasks.is_some();
        // The template comes first, so that it inherits nothing of the rest.
        let log = plan.terms.log.as_ref().map(LogFile::open).transpose()?;
        let maker = match &plan.spawn {
            None => Some(Maker::fork(plan.duty, &plan.terms)?),
            Some(_) => None,
        };
        let object = "a new pool";
        let wake = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK);
        let wake = wake.map_err(|e| ipc_core::Error::os("eventfd", object, e))?;
        let wake = Arc::new(wake);
        let book = Book::new(plan.limits, plan.workers, first_id());
        let desk = Arc::new(Desk::new(
            book,
            plan.terms.max_len,
            has_tasks,
            wake.clone(),
        )?);
        let waiting = Waiting::new(&desk, &wake)?;
        Ok(Supervisor {
            control: Arc::new(Control::new(desk.clone(), wake.clone())),
            desk,
            maker,
            heir: None,
            spawn: plan.spawn,
            log,
            terms: plan.terms,
            max_tasks: plan.max_tasks,
            grace: plan.grace,
            hooks: plan.hooks,
            restarts: Restarts::new(plan.intensity),
            has_tasks,
            wanted: plan.workers,
            instances: Vec::new(),
            due: vec![None; plan.workers],
            reload: None,
            asked: 0,
            stopping: false,
            started: false,
            failure: None,
            spare: None,
            waiting,
            restarted: 0,
            random: first_id() | 1,
        })
    }

    /// Goes on in a thread of its own.
    pub(crate) fn start(mut self) -> Result<Handle> {
        let control = self.control.clone();
        let name = thread::Builder::new().name("ipc-pool".into());
        let thread = name.spawn(move || {
            let _ = SigSet::all().thread_block(); // the program's signals stay its own
            self.supervise();
        });
        let thread = thread.map_err(|e| ipc_core::Error::os("clone", "the pool's thread", e))?;
        let started = control.wait(|news| news.ready || news.ended)?.started();
        let handle = Handle::new(control, Some(thread));
        started.map(|()| handle)
    }

    /// Goes on here, and takes the signals of a manager.
    pub(crate) fn run(mut self) -> Result<()> {
        let numbers = [libc::SIGTERM, libc::SIGINT, libc::SIGUSR1, libc::SIGHUP];
        let signals = Signals::new(numbers)?;
        self.waiting.watch_signals(signals)?;
        self.supervise();
        self.control.news().started()?;
        match self.failure {
            None => Ok(()),
            Some(_) => self.control.withdraw().map(drop),
        }
    }

    /// Looks after the pool to its end, by a thread that lives as long: with it the template dies, and the
    /// workers do.
    fn supervise(&mut self) {
        self.desk.begin();
        let watched = catch_unwind(AssertUnwindSafe(|| {
            if let Err(error) = self.begin_all() {
                self.fail(error.to_string());
            }
            while !self.is_over() {
                self.watch();
            }
        }));
        if watched.is_err() {
            let bug = "its supervisor panicked, which is a bug in ipc-pool";
            self.failure.get_or_insert(bug.into());
        }
        self.end();
    }

    fn begin_all(&mut self) -> Result<()> {
        self.make_maker()?;
        for worker in 0..self.wanted {
            if self.failure.is_none() {
                self.begin(worker);
            }
        }
        Ok(())
    }

    fn watch(&mut self) {
        self.publish();
        let woken = self.waiting.sleep(&self.desk, self.next_deadline());
        for signal in woken.signals {
            self.signalled(signal);
        }
        if woken.template {
            self.template_is_gone();
        }
        self.reap();
        self.heed_notices();
        for order in self.control.take_orders() {
            self.obey(order);
        }
        self.start_what_is_due();
        self.go_on_with_reload();
        self.begin_reload();
        self.press();
    }

    fn is_over(&self) -> bool {
        let mut watched = self.instances.iter();
        self.stopping && watched.all(|one| one.phase == Phase::Detached)
    }

    /// Sends the signals whose time has come.
    fn press(&mut self) {
        for instance in &mut self.instances {
            let idle = self.desk.leases(instance.seat) == 0;
            instance.press(Instant::now(), idle, self.grace);
        }
    }

    fn next_deadline(&self) -> Option<Instant> {
        let signals = self.instances.iter().filter_map(Instance::deadline);
        signals.chain(self.due.iter().flatten().copied()).min()
    }

    /// The pool cannot go on: it stops, in order.
    fn fail(&mut self, reason: String) {
        self.failure.get_or_insert(reason);
        self.stop();
    }

    /// A callback that panics ends the pool, as it would a program.
    fn heed(&mut self, told: std::result::Result<(), String>) {
        if let Err(panicked) = told {
            self.fail(panicked);
        }
    }

    /// Says how things are.
    fn publish(&mut self) {
        let workers = self.instances.iter().map(|instance| WorkerStatus {
            id: instance.worker,
            pid: instance.child.pid(),
            is_ready: instance.is_ready,
            tasks: 0,
            seat: instance.seat,
        });
        let mut workers: Vec<_> = workers.collect();
        workers.sort_by_key(|worker| worker.id);
        self.control.tell(|news| {
            news.told += 1;
            let status = &mut news.status;
            status.workers = workers;
            status.wanted = self.wanted;
            status.template = self.maker.as_ref().map_or(0, Maker::pid);
            status.restarts = self.restarted;
            status.is_circuit_open = self.restarts.is_open(Instant::now());
        });
    }

    fn end(&mut self) {
        for instance in self.instances.drain(..) {
            if instance.phase == Phase::Detached {
                instance.child.detach();
            }
        }
        self.publish();
        self.desk.end();
        let failure = self.failure.clone();
        self.control.tell(|news| {
            news.ended = true;
            news.failure = failure;
        });
    }

    /// Any number: xorshift.
    fn random(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random
    }
}

/// Ids are nanoseconds: those of a program that is started again begin after all that the one before
/// it can have given, at less than one a nanosecond.
fn first_id() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    now.map_or(1, |now| u64::try_from(now.as_nanos()).unwrap_or(1))
}
