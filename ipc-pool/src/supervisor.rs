//! The supervisor: it makes the workers, watches them, replaces, reloads and stops them, and takes
//! the answers in while nobody waits for them.

mod instance;
mod waiting;

use std::os::unix::process::ExitStatusExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitStatus;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use ipc_core::Wait;
use ipc_process::{LogFile, Signals};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::signal::SigSet;

use crate::book::{Book, Limits};
use crate::desk::Desk;
use crate::duty::Duty;
use crate::events::{Exit, Hooks, log};
use crate::handle::{Control, Handle, Order};
use crate::link::{self, Ends, Link};
use crate::restarts::{Next, Restarts};
use crate::status::WorkerStatus;
use crate::template::{Maker, Spawn, Terms};
use crate::wire::Kind;
use crate::{Error, Result};
use instance::{Instance, Phase};
use waiting::Waiting;

/// How long the template may take to make a worker.
const MAKING: Duration = Duration::from_secs(5);
/// A worker without tasks has proved itself when it has lived so long.
const PROVEN: Duration = Duration::from_secs(1);

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
        let object = "a new pool";
        let wake = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK);
        let wake = wake.map_err(|e| ipc_core::Error::os("eventfd", object, e))?;
        let wake = Arc::new(wake);
        let has_tasks = plan.duty.tasks.is_some();
        let log = plan.terms.log.as_ref().map(LogFile::open).transpose()?;
        let maker = match &plan.spawn {
            None => Some(Maker::fork(plan.duty, &plan.terms)?),
            Some(_) => None,
        };
        let book = Book::new(plan.limits, plan.workers, first_id());
        let desk = Arc::new(Desk::new(book, plan.terms.max_len, wake.clone())?);
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
        let failure = control
            .wait(|news| news.ready || news.ended)
            .failure
            .clone();
        let handle = Handle::new(control, Some(thread));
        match failure {
            None => Ok(handle),
            Some(reason) => Err(Error::Start {
                reason: reason.into(),
            }),
        }
    }

    /// Goes on here, and takes the signals of a manager.
    pub(crate) fn run(mut self) -> Result<()> {
        let numbers = [libc::SIGTERM, libc::SIGINT, libc::SIGUSR1, libc::SIGHUP];
        let signals = Signals::new(numbers)?;
        self.waiting.watch_signals(signals)?;
        self.supervise();
        match self.control.news().failure.clone() {
            None => Ok(()),
            Some(reason) => Err(Error::Start {
                reason: reason.into(),
            }),
        }
    }

    /// Looks after the pool to its end, by a thread that lives as long: with it the template dies, and the
    /// workers do.
    fn supervise(&mut self) {
        let watched = catch_unwind(AssertUnwindSafe(|| {
            if let Err(error) = self.begin_all() {
                self.fail(error.to_string());
            }
            while !self.is_over() {
                self.watch();
            }
        }));
        if watched.is_err() {
            self.fail("a callback of the pool panicked".into());
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
        self.press();
    }

    fn make_maker(&mut self) -> Result<()> {
        if let Some(spawn) = self.spawn.take() {
            self.maker = Some(spawn()?);
        }
        let Some(maker) = &mut self.maker else {
            return Err(Error::Stopped);
        };
        self.waiting.watch_template(maker)?;
        let heir = maker.template(Wait::from(MAKING))?;
        self.waiting.watch_template(&heir)?;
        self.heir = Some(heir);
        Ok(())
    }

    fn is_over(&self) -> bool {
        let mut watched = self.instances.iter();
        (self.stopping || self.failure.is_some()) && watched.all(|one| one.phase == Phase::Detached)
    }

    /// Makes an instance of a worker.
    fn begin(&mut self, worker: usize) {
        self.due[worker] = None;
        let begun = self.try_begin(worker);
        if let Err(error) = begun {
            log(&format!("worker {worker} cannot be made: {error}"));
            if !self.started && self.instances.is_empty() {
                self.fail(error.to_string());
            } else {
                self.mourn(worker, false);
            }
        }
    }

    fn try_begin(&mut self, worker: usize) -> Result<()> {
        let (link, ends) = match self.spare.take() {
            Some(spare) => spare,
            None => link::link(self.terms.transport, self.terms.max_len)?,
        };
        let max_tasks = self.max_tasks - self.random() % (self.max_tasks / 8).max(1);
        let child = self.make(|maker, wait| maker.worker(worker, max_tasks, &ends, wait))?;
        drop(ends); // the last copies here: the end of the worker is the end of its channel
        let seat = self.desk.seat(worker, link)?;
        self.waiting.watch(&child, seat)?;
        self.instances.push(Instance::new(worker, seat, child));
        self.spare = link::link(self.terms.transport, self.terms.max_len).ok();
        Ok(())
    }

    /// Has something made by the template, or by its heir if it is dead.
    fn make<T>(&mut self, order: impl Fn(&mut Maker, Wait) -> Result<T>) -> Result<T> {
        let Some(maker) = &mut self.maker else {
            return Err(Error::Stopped);
        };
        match order(maker, Wait::from(MAKING)) {
            Err(error) if self.heir.is_some() && maker.is_lost(&error) => {
                self.template_is_gone();
                self.make(order)
            }
            made => made,
        }
    }

    /// Buries the instances that have ended.
    fn reap(&mut self) {
        let mut at = 0;
        while at < self.instances.len() {
            match self.instances[at].child.try_wait() {
                Ok(None) => at += 1,
                Ok(Some(status)) => self.bury(at, status),
                // Somebody else took its status; it is gone all the same.
                Err(_) => self.bury(at, ExitStatus::from_raw(0)),
            }
        }
    }

    fn bury(&mut self, at: usize, status: ExitStatus) {
        let (acked, running, killer) = self.desk.bury(self.instances[at].seat, status);
        self.heed_notices(); // its last words among them
        let instance = self.instances.swap_remove(at);
        if let Some(id) = killer {
            log(&format!(
                "task {id} is quarantined: worker {} was the last that it killed",
                instance.worker
            ));
        }
        let reason = instance.last_words.clone();
        let worker = instance.worker;
        let proved = acked > 0 || (!self.has_tasks && instance.born.elapsed() >= PROVEN);
        self.hooks.worker_exit(&Exit {
            worker,
            pid: instance.child.pid(),
            status,
            reason: reason.clone(),
            task: running,
        });
        self.desk.ring();
        if !self.started && !instance.is_ready && self.instances.is_empty() && !self.stopping {
            let reason = reason.unwrap_or_else(|| format!("{status}, before it was ready"));
            return self.fail(format!("worker {worker}: {reason}"));
        }
        if self.reload == Some(worker) && instance.is_new {
            self.end_reload(Some(reason.unwrap_or_else(|| status.to_string())));
        }
        if instance.phase == Phase::Detached {
            return; // its place was taken then
        }
        // The old one goes on when a reload has failed, the new one when the old one ends.
        if worker < self.wanted && !self.stopping && !self.is_served(worker) {
            self.mourn(worker, proved);
        }
    }

    /// Whether a worker is there, or about to be.
    fn is_served(&self, worker: usize) -> bool {
        let mut instances = self.instances.iter();
        instances.any(|one| one.worker == worker && one.is_serving())
    }

    /// Decides when a dead worker is replaced.
    fn mourn(&mut self, worker: usize, proved: bool) {
        let (now, random) = (Instant::now(), self.random());
        self.restarted += 1;
        match self.restarts.died(worker, proved, now, random) {
            Next::Now => self.begin(worker),
            Next::At(then) => {
                if self.restarts.is_open(now) {
                    log(&format!(
                        "too many workers die: none is replaced for {:?}, the queue is kept",
                        then - now
                    ));
                }
                self.due[worker] = Some(then);
            }
        }
    }

    fn start_what_is_due(&mut self) {
        if self.stopping {
            return;
        }
        let now = Instant::now();
        for worker in 0..self.wanted {
            if self.due[worker].is_some_and(|then| then <= now) {
                self.begin(worker);
            }
        }
    }

    /// What the workers said.
    fn heed_notices(&mut self) {
        for (seat, kind, text) in self.desk.take_notices() {
            let Some(at) = self.instances.iter().position(|one| one.seat == seat) else {
                continue;
            };
            match kind {
                Kind::Ready => self.is_ready(at),
                Kind::Unfit => self.instances[at].last_words = Some(text),
                Kind::Shutdown => self.stop(),
                Kind::Detached => self.detach(at),
                Kind::Broken => {
                    self.desk.shut(seat);
                    self.instances[at].is_deaf(text);
                }
                _ => {}
            }
        }
    }

    fn is_ready(&mut self, at: usize) {
        let instance = &mut self.instances[at];
        instance.is_ready = true;
        if instance.phase == Phase::Starting {
            instance.phase = Phase::Serving;
            self.desk.open(instance.seat);
        }
        if !self.started {
            self.started = true;
            if let Some(start) = &mut self.hooks.start {
                start(&Handle::new(self.control.clone(), None));
            }
            self.control.tell(|news| news.ready = true);
        }
    }

    /// A worker goes on alone: it is only listened to until it ends.
    fn detach(&mut self, at: usize) {
        let instance = &mut self.instances[at];
        instance.phase = Phase::Detached;
        let worker = instance.worker;
        self.desk.recall(instance.seat);
        if worker < self.wanted && !self.stopping && !self.is_served(worker) {
            self.begin(worker);
        }
    }

    fn obey(&mut self, order: Order) {
        match order {
            Order::Stop => self.stop(),
            Order::Reload => self.begin_reload(),
            Order::Scale(workers) => self.scale(workers),
            Order::ReopenLog => self.reopen_log(),
        }
    }

    fn signalled(&mut self, signal: i32) {
        match signal {
            libc::SIGTERM | libc::SIGINT => self.stop(),
            libc::SIGUSR1 => self.begin_reload(),
            _ => self.reopen_log(),
        }
    }

    /// Opens the log file anew, here and in every process of the pool.
    fn reopen_log(&mut self) {
        let Some(file) = &self.log else { return };
        if let Err(error) = file.reopen() {
            log(&error.to_string());
        }
        for maker in self.maker.iter().chain(&self.heir) {
            maker.hang_up();
        }
        for instance in &self.instances {
            let _ = instance.child.signal(libc::SIGHUP);
        }
    }

    fn stop(&mut self) {
        if self.stopping {
            return;
        }
        self.stopping = true;
        if let Some(shutdown) = &mut self.hooks.shutdown {
            shutdown();
        }
        self.desk.close();
        self.end_reload(Some("the pool is stopped".into()));
        let deadline = Instant::now() + self.grace;
        for instance in &mut self.instances {
            self.desk.shut(instance.seat);
            instance.drain(deadline);
        }
        self.due.fill(None);
    }

    fn scale(&mut self, workers: usize) {
        if self.stopping {
            return;
        }
        let before = self.wanted;
        self.wanted = workers;
        self.due.resize(workers.max(1), None);
        self.desk.lock().book.set_workers(workers);
        let deadline = Instant::now() + self.grace;
        for instance in &mut self.instances {
            if instance.worker >= workers {
                self.desk.shut(instance.seat);
                instance.drain(deadline);
            }
        }
        for worker in before..workers {
            if !self.is_served(worker) {
                self.begin(worker);
            }
        }
    }

    /// One that is asked for during another is a part of it.
    fn begin_reload(&mut self) {
        if self.reload.is_some() || self.stopping {
            return;
        }
        self.restarts.forget();
        for due in &mut self.due {
            *due = due.map(|_| Instant::now()); // the circuit is closed again
        }
        if self.wanted == 0 {
            return self.end_reload(None);
        }
        self.reload_worker(0);
    }

    /// Starts the new instance of a worker.
    fn reload_worker(&mut self, worker: usize) {
        self.reload = Some(worker);
        self.due[worker] = None;
        if let Err(error) = self.try_begin(worker) {
            self.end_reload(Some(error.to_string()));
        } else if let Some(new) = self.instances.last_mut() {
            new.is_new = true;
        }
    }

    /// When the new instance is ready the old one is to end, and the next worker's turn comes.
    fn go_on_with_reload(&mut self) {
        while let Some(worker) = self.reload {
            let new = self
                .instances
                .iter()
                .find(|one| one.worker == worker && one.is_new);
            if !new.is_some_and(|new| new.is_ready) {
                return;
            }
            for old in &mut self.instances {
                if old.worker == worker && !old.is_new {
                    self.desk.shut(old.seat);
                    old.terminate(self.grace);
                }
                old.is_new &= old.worker != worker;
            }
            self.reload = None;
            if worker + 1 < self.wanted {
                self.reload_worker(worker + 1);
            } else {
                self.reload = Some(worker);
                self.end_reload(None);
            }
        }
    }

    fn end_reload(&mut self, failure: Option<String>) {
        if let Some(reason) = failure.as_ref().filter(|_| self.reload.is_some()) {
            log(&format!("the reload ended early: {reason}"));
        }
        self.reload = None;
        for instance in &mut self.instances {
            instance.is_new = false;
        }
        self.control.tell(|news| {
            news.reloads += 1;
            news.reload_failure = failure;
        });
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

    /// No worker can start.
    fn fail(&mut self, reason: String) {
        self.failure = Some(reason);
        self.desk.close();
    }

    /// A template, or its heir, is dead: the other one goes on, and has a new heir.
    fn template_is_gone(&mut self) {
        for maker in [&mut self.maker, &mut self.heir] {
            if maker.as_mut().is_some_and(Maker::is_dead) {
                *maker = None;
            }
        }
        self.maker = self.maker.take().or_else(|| self.heir.take());
        if self.maker.is_none() {
            self.fail("the template process and its heir are dead".into());
            return self.stop();
        }
        if self.heir.is_none() && !self.stopping {
            let heir = self.make(Maker::template);
            let watched = heir.and_then(|heir| {
                self.waiting.watch_template(&heir)?;
                Ok(heir)
            });
            match watched {
                Ok(heir) => self.heir = Some(heir),
                Err(error) => log(&format!("no second template could be made: {error}")),
            }
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
        let status = &mut self.control.news().status;
        status.workers = workers;
        status.template = self.maker.as_ref().map_or(0, Maker::pid);
        status.restarts = self.restarted;
        status.is_circuit_open = self.restarts.is_open(Instant::now());
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
