//! What the supervisor sleeps on, and when it takes the answers in itself.
//!
//! Whoever submits or waits takes answers in as well, and a ring that nobody sleeps on costs no
//! wake-up: so while somebody else does it, the supervisor only looks now and then whether that is
//! still so. When nobody has for a while, it sleeps on the channels itself.

use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ipc_core::{Interest, Ready, Wait, poll};
use ipc_process::{Child, Signals};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::eventfd::EventFd;

use crate::Result;
use crate::desk::Desk;
use crate::template::Maker;

/// How often to look whether somebody else takes the answers in.
const TICK: Duration = Duration::from_millis(5);

const WAKE: u64 = u64::MAX;
const EARS: u64 = u64::MAX - 1;
const SIGNALS: u64 = u64::MAX - 2;
const TEMPLATE: u64 = u64::MAX - 3;
const WORKER: u64 = u64::MAX - 4;

pub(super) struct Waiting {
    epoll: Epoll,
    wake: Arc<EventFd>,
    signals: Option<Signals>,
    /// Whether the answers are the supervisor's to take in.
    listening: bool,
    /// How many had been taken in at the last look.
    taken: u64,
}

/// Why a sleep has ended.
#[derive(Debug, Default)]
pub(super) struct Woken {
    pub(super) signals: Vec<i32>,
    pub(super) template: bool,
}

impl Waiting {
    pub(super) fn new(desk: &Desk, wake: &Arc<EventFd>) -> Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)
            .map_err(|e| ipc_core::Error::os("epoll_create1", "a new pool", e))?;
        let waiting = Waiting {
            epoll,
            wake: wake.clone(),
            signals: None,
            listening: false,
            taken: 0,
        };
        waiting.add(&**wake, EpollFlags::EPOLLIN, WAKE)?;
        waiting.add(&desk.ears.0, EpollFlags::empty(), EARS)?;
        Ok(waiting)
    }

    /// Wakes when a worker ends.
    pub(super) fn watch(&self, child: &Child) -> Result<()> {
        self.add(child, EpollFlags::EPOLLIN, WORKER)
    }

    pub(super) fn watch_template(&self, template: &Maker) -> Result<()> {
        self.add(template, EpollFlags::EPOLLIN, TEMPLATE)
    }

    pub(super) fn watch_signals(&mut self, signals: Signals) -> Result<()> {
        self.add(signals.fd().0, EpollFlags::EPOLLIN, SIGNALS)?;
        self.signals = Some(signals);
        Ok(())
    }

    /// Sleeps until something happens, or the deadline.
    pub(super) fn sleep(&mut self, desk: &Desk, deadline: Option<Instant>) -> Woken {
        let mut woken = Woken::default();
        let tick = self.take_turns(desk).then(|| Instant::now() + TICK);
        let wait = match [deadline, tick].into_iter().flatten().min() {
            Some(then) => Wait::Until(then),
            None => Wait::Forever,
        };
        if !poll(self.epoll.0.as_fd(), Interest::Read, wait).unwrap_or(true) {
            return woken;
        }
        let mut events = [EpollEvent::empty(); 16];
        let count = self
            .epoll
            .wait(&mut events, EpollTimeout::ZERO)
            .unwrap_or(0);
        for event in &events[..count] {
            match event.data() {
                WAKE => drop(self.wake.read()),
                EARS => drop(desk.woken()),
                SIGNALS => woken.signals.extend(self.signals()),
                TEMPLATE => woken.template = true,
                _ => {} // a worker has ended: all are looked at
            }
        }
        woken
    }

    /// Settles who takes the answers in; true if it is somebody else, who may stop doing it.
    fn take_turns(&mut self, desk: &Desk) -> bool {
        let mut state = desk.lock();
        let moved = std::mem::replace(&mut self.taken, state.taken) != state.taken;
        let listening = match (self.listening, state.is_attended()) {
            (_, true) => false,
            (true, false) => true,
            (false, false) => !moved,
        };
        if listening {
            while state.arm() && state.take_in() {}
            self.taken = state.taken;
        }
        drop(state);
        if listening != self.listening {
            self.listening = listening;
            let flags = if listening {
                EpollFlags::EPOLLIN
            } else {
                EpollFlags::empty()
            };
            let mut event = EpollEvent::new(flags, EARS);
            let _ = self.epoll.modify(&desk.ears.0, &mut event);
        }
        !listening
    }

    fn signals(&mut self) -> Vec<i32> {
        let mut numbers = Vec::new();
        while let Some(Ok(signal)) = self.signals.as_mut().map(Signals::try_recv) {
            numbers.push(signal.number());
        }
        numbers
    }

    fn add(&self, fd: impl AsFd, flags: EpollFlags, data: u64) -> Result<()> {
        let added = self.epoll.add(fd, EpollEvent::new(flags, data));
        Ok(added.map_err(|e| ipc_core::Error::os("epoll_ctl", "a new pool", e))?)
    }
}
