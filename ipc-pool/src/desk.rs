//! Where those who submit meet those who answer: the book, the channels, and the waiting.
//!
//! There is no dispatcher. Whoever submits pushes into a worker's ring itself, under the desk's
//! lock; whoever waits takes the answers in itself. One waiter leads: it looks at the channels and
//! sleeps on them. The others sleep until it tells them. The supervisor takes the answers in when
//! nobody waits.

mod state;
#[cfg(test)]
mod tests;
mod waiting;

use std::process::ExitStatus;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use ipc_core::spin::{Look, Poller};
use ipc_core::{Spin, Wait};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags};
use nix::sys::eventfd::{EfdFlags, EventFd};

use crate::book::Book;
use crate::link::Link;
use crate::wire::Kind;
use crate::{Error, Quarantined, Result};
use state::Leader;
pub(crate) use state::State;

#[derive(Debug)]
pub(crate) struct Desk {
    state: Mutex<State>,
    /// Told to those who wait and do not lead.
    told: Condvar,
    leader: Mutex<Poller>,
    /// All channels' answers, to sleep on, and the bell.
    pub(crate) ears: Arc<Epoll>,
    /// Ends the leader's sleep.
    bell: EventFd,
    pub(crate) max_len: usize,
    /// Whether workers take tasks.
    has_tasks: bool,
}

/// The bell's place among the ears.
const BELL: u64 = u64::MAX;

/// What a dead worker leaves.
#[derive(Debug, Default)]
pub(crate) struct Buried {
    /// How many tasks it answered in its life.
    pub(crate) acked: u64,
    /// The task that it was running.
    pub(crate) running: Option<u64>,
    /// What is kept of that, if it was one death too many.
    pub(crate) killer: Option<Quarantined>,
    /// Freeing it takes time, in which its successor could start.
    pub(crate) link: Option<Link>,
}

impl Desk {
    pub(crate) fn new(
        book: Book,
        max_len: usize,
        has_tasks: bool,
        supervisor: Arc<EventFd>,
    ) -> Result<Self> {
        let object = "a new pool";
        let ears = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)
            .map_err(|e| ipc_core::Error::os("epoll_create1", object, e))?;
        let bell = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)
            .map_err(|e| ipc_core::Error::os("eventfd", object, e))?;
        ears.add(&bell, EpollEvent::new(EpollFlags::EPOLLIN, BELL))
            .map_err(|e| ipc_core::Error::os("epoll_ctl", object, e))?;
        let ears = Arc::new(ears);
        Ok(Desk {
            state: Mutex::new(State {
                book,
                links: Vec::new(),
                ears: ears.clone(),
                notices: Vec::new(),
                supervisor,
                closed: false,
                ended: false,
                followers: 0,
                leader: Leader::Nobody,
                news: 0,
                taken: 0,
                submitted: 0,
            }),
            told: Condvar::new(),
            leader: Mutex::new(Poller::new(Spin::Adaptive, Look::Load)),
            ears,
            bell,
            max_len,
            has_tasks,
        })
    }

    #[inline]
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens a seat for an instance of `worker`, that is heard from now on.
    pub(crate) fn seat(&self, worker: usize, mut link: Link) -> Result<usize> {
        let mut state = self.lock();
        let seat = state.book.join(worker);
        let event = EpollEvent::new(EpollFlags::EPOLLIN, seat as u64);
        if let Err(errno) = self.ears.add(&link.rx, event) {
            state.book.leave(seat, None, None);
            return Err(ipc_core::Error::os("epoll_ctl", "a worker's channel", errno).into());
        }
        let is_early = link.rx.arm().unwrap_or(true);
        if state.links.len() <= seat {
            state.links.resize_with(seat + 1, || None);
        }
        state.links[seat] = Some(link);
        if is_early {
            self.tell(&mut state); // who sleeps on the ears has not armed this one
        }
        Ok(seat)
    }

    /// Enters a task, and gives it to a worker if one has room.
    #[inline]
    pub(crate) fn submit(
        &self,
        payload: &[u8],
        target: Option<usize>,
        ticket: bool,
        wait: Wait,
    ) -> Result<(u32, u64)> {
        if payload.len() > self.max_len {
            return Err(Error::TooLarge {
                len: payload.len(),
                max: self.max_len,
            });
        }
        if !self.has_tasks {
            let reason = "its workers take no tasks: give it on_task";
            return Err(Error::Invalid { reason });
        }
        // Looked at again after a wait: the pool may be smaller then.
        let enter = |state: &mut State| {
            if state.closed {
                return Some(Err(Error::Stopped));
            }
            let workers = state.book.workers();
            if let Some(worker) = target.filter(|&worker| worker >= workers) {
                return Some(Err(Error::UnknownWorker { worker, workers }));
            }
            let entered = state.book.submit(payload, target, ticket)?;
            if state.is_time_to_look() && state.take_in() {
                self.tell(state);
            }
            state.dispatch();
            Some(Ok(entered))
        };
        if let Some(entered) = enter(&mut self.lock()) {
            return entered;
        }
        self.wait(wait, enter)?
    }

    /// The worker in a seat is ready.
    pub(crate) fn open(&self, seat: usize) {
        let mut state = self.lock();
        state.book.set_open(seat, true);
        state.dispatch();
    }

    /// The worker in a seat is given no more.
    pub(crate) fn shut(&self, seat: usize) {
        self.lock().book.set_open(seat, false);
    }

    /// The worker in a seat goes on alone with the task that it is running; true if it has run any.
    pub(crate) fn recall(&self, seat: usize) -> bool {
        let mut state = self.lock();
        let link = state.links.get(seat).and_then(Option::as_ref);
        let last = link.map_or(0, |link| link.page.running()); // it may be answered by now
        let running = state.book.is_first(seat, last);
        state.book.set_open(seat, false);
        state.book.recall(seat, running);
        state.dispatch();
        running.is_some() || state.book.acked(seat) > 0
    }

    /// How many tasks the worker in a seat has and has not answered.
    pub(crate) fn leases(&self, seat: usize) -> usize {
        self.lock().book.leases(seat)
    }

    pub(crate) fn take_notices(&self) -> Vec<(usize, Kind, String)> {
        std::mem::take(&mut self.lock().notices)
    }

    /// Takes in what the worker in a seat has answered and said.
    pub(crate) fn hear(&self, seat: usize) {
        self.lock().take_in_of(seat);
    }

    /// The worker in a seat is dead and was heard to its end: what it had not answered goes back. The task
    /// that it was running is blamed for that `death`, if anybody is.
    pub(crate) fn bury(&self, seat: usize, death: Option<ExitStatus>) -> Buried {
        let mut state = self.lock();
        let Some(link) = state.links.get_mut(seat).and_then(Option::take) else {
            return Buried::default();
        };
        let _ = self.ears.delete(&link.rx);
        let acked = state.book.acked(seat);
        let running = state.book.is_first(seat, link.page.running());
        let killer = state.book.leave(seat, running, death);
        let killer = killer.and_then(|_| state.book.quarantined().last().cloned());
        state.dispatch();
        Buried {
            acked,
            running,
            killer,
            link: Some(link),
        }
    }

    /// Takes nothing more in.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.ring();
    }

    /// Tells all who wait to look again.
    pub(crate) fn ring(&self) {
        self.tell(&mut self.lock());
    }
}
