//! Waiting at the desk: one leads, and the others are told.

use std::cell::Cell;
use std::os::fd::AsFd;
use std::ptr;
use std::sync::PoisonError;

use ipc_core::spin::Poller;
use ipc_core::{Interest, Wait};
use nix::sys::epoll::{EpollEvent, EpollTimeout};

use super::{BELL, Desk, Leader, State};
use crate::{Error, Result};

thread_local! {
    /// The desk that this thread is the supervisor of.
    static OWN: Cell<*const Desk> = const { Cell::new(ptr::null()) };
}

impl Desk {
    /// The calling thread looks after the workers from now on.
    pub(crate) fn begin(&self) {
        OWN.set(self);
    }

    /// Nobody will answer any more.
    pub(crate) fn end(&self) {
        OWN.set(ptr::null());
        let mut state = self.lock();
        (state.closed, state.ended) = (true, true);
        drop(state);
        self.ring();
    }

    /// An error in a callback of the owner: what it waited for would wait for it.
    pub(crate) fn may_wait(&self) -> Result<()> {
        if ptr::eq(OWN.get(), self) {
            let reason =
                "its callbacks in this process cannot wait for it: do that in another thread";
            return Err(Error::Invalid { reason });
        }
        Ok(())
    }

    /// Waits until `found` finds something.
    #[inline]
    pub(crate) fn wait<T>(
        &self,
        wait: Wait,
        mut found: impl FnMut(&mut State) -> Option<T>,
    ) -> Result<T> {
        let mut state = self.lock();
        if let Some(found) = found(&mut state) {
            return Ok(found);
        }
        if state.take_in() {
            self.tell(&mut state);
            if let Some(found) = found(&mut state) {
                return Ok(found);
            }
        }
        drop(state);
        if wait == Wait::Never {
            return Err(Error::WouldBlock);
        }
        self.wait_long(wait, &mut found)
    }

    #[inline(never)]
    fn wait_long<T>(
        &self,
        wait: Wait,
        found: &mut dyn FnMut(&mut State) -> Option<T>,
    ) -> Result<T> {
        self.may_wait()?;
        loop {
            if let Ok(mut poller) = self.leader.try_lock() {
                let led = self.lead(&mut poller, wait, found);
                drop(poller);
                let state = self.lock();
                if state.followers > 0 {
                    self.told.notify_all(); // one of them leads now
                }
                return led;
            }
            let mut state = self.lock();
            if let Some(found) = found(&mut state) {
                return Ok(found);
            }
            if wait.is_over() {
                return Err(wait.error().into());
            }
            if state.leader == Leader::Nobody {
                continue;
            }
            state.followers += 1;
            let mut state = match wait.remaining() {
                None => self
                    .told
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner),
                Some(left) => {
                    let waited = self.told.wait_timeout(state, left);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
            };
            state.followers -= 1;
        }
    }

    fn lead<T>(
        &self,
        poller: &mut Poller,
        wait: Wait,
        found: &mut dyn FnMut(&mut State) -> Option<T>,
    ) -> Result<T> {
        self.lock().leader = Leader::Awake;
        let mut seen = u64::MAX; // nothing: a look comes before the first sleep
        let look = |seen: &mut u64| {
            let mut state = self.lock();
            if state.take_in() {
                self.tell(&mut state);
            }
            *seen = state.news;
            Ok(found(&mut state))
        };
        let led = poller.wait(wait, &mut seen, look, |seen, wait| self.sleep(*seen, wait));
        self.lock().leader = Leader::Nobody;
        Ok(led?)
    }

    /// Tells all who wait to look again: what they wait for may have been taken in by another.
    pub(super) fn tell(&self, state: &mut State) {
        state.news += 1;
        if state.followers > 0 {
            self.told.notify_all();
        }
        if state.leader == Leader::Asleep {
            let _ = self.bell.write(1);
        }
    }

    /// Sleeps until a worker answers, or the bell rings; not at all if there is news since a look has seen it.
    pub(super) fn sleep(&self, seen: u64, wait: Wait) -> ipc_core::Result<()> {
        let mut state = self.lock();
        if state.news != seen || state.arm() {
            return Ok(());
        }
        state.leader = Leader::Asleep;
        drop(state);
        let polled = ipc_core::poll(self.ears.0.as_fd(), Interest::Read, wait);
        self.lock().leader = Leader::Awake;
        if polled? {
            self.woken()?;
        }
        Ok(())
    }

    /// Takes in what has ended a sleep.
    pub(crate) fn woken(&self) -> ipc_core::Result<()> {
        let mut events = [EpollEvent::empty(); 16];
        let count = match self.ears.wait(&mut events, EpollTimeout::ZERO) {
            Ok(count) => count,
            Err(nix::Error::EINTR) => 0,
            Err(errno) => return Err(ipc_core::Error::os("epoll_wait", "the workers", errno)),
        };
        let mut state = self.lock();
        for event in &events[..count] {
            if event.data() == BELL {
                let _ = self.bell.read();
            } else if let Ok(seat) = usize::try_from(event.data()) {
                state.woken(seat);
                if let Some(link) = state.links.get(seat).and_then(Option::as_ref) {
                    if link.broken {
                        let _ = self.ears.delete(&link.rx); // it would be ready for ever
                    }
                }
            }
        }
        self.tell(&mut state); // and ring again, if this is the supervisor, and the leader sleeps
        Ok(())
    }
}
