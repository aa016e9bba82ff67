//! [`Watcher`]: a thread that looks at a queue in its half's stead, and rings when there is reason to
//! try.
//!
//! It takes nothing out and hands nothing over, but for one case ([`Seen::Empty`]). So there is nothing that a
//! dropped half could lose, and while there is traffic the half works by itself, at full speed.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use std::{fmt, io, thread};

use ipc_core::spin::{Look, Poller};
use nix::errno::Errno;
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::signal::{SigSet, SigmaskHow};

use crate::wait::{FIRST_NAP, LONGEST_NAP};
use crate::{Error, Result, Spin, Wait};

/// What a look has found.
pub(crate) enum Seen {
    Nothing,
    /// A try is worth while; or it will tell what is wrong.
    Something,
    /// An empty message of this `mtype`, which looking took: the half has to receive it first.
    Empty(i64),
}

pub(crate) struct Watcher(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    bell: EventFd,
    /// For room for so many bytes, or for a message.
    look: Box<dyn Fn(usize) -> Seen + Send + Sync>,
}

#[derive(Default)]
struct State {
    /// Somebody waits for the bell.
    armed: bool,
    rung: bool,
    ended: bool,
    /// Bytes that there is to be room for.
    wanted: usize,
    empty: Option<i64>,
}

impl Watcher {
    /// Starts the thread.
    pub(crate) fn new(
        spin: Spin,
        object: &dyn fmt::Display,
        look: impl Fn(usize) -> Seen + Send + Sync + 'static,
    ) -> Result<Self> {
        let failed = |call, error: io::Error| Error::os(call, object.to_string(), error);
        let bell = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)
            .map_err(|errno| failed("eventfd", errno.into()))?;
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            changed: Condvar::new(),
            bell,
            look: Box::new(look),
        });
        let watched = Arc::clone(&shared);
        // The program's signals stay its own: the thread is born with all of them blocked.
        let masked = |errno: Errno| failed("pthread_sigmask", errno.into());
        let all = SigSet::all();
        let mask = all
            .thread_swap_mask(SigmaskHow::SIG_SETMASK)
            .map_err(masked)?;
        let started = thread::Builder::new()
            .name("queue bridge".to_owned())
            .spawn(move || watched.watch(&mut Poller::new(spin, Look::Call)));
        mask.thread_set_mask().map_err(masked)?;
        started.map_err(|error| failed("pthread_create", error))?;
        Ok(Watcher(shared))
    }

    /// Before a try: nobody waits any more, and nobody looks. An empty message that was taken.
    pub(crate) fn disarm(&self) -> Option<i64> {
        let mut state = self.0.lock();
        state.armed = false;
        self.0.silence(&mut state);
        state.empty.take()
    }

    /// Looks once more; true if a try is worth while. Else the bell will tell.
    pub(crate) fn arm(&self, wanted: usize) -> bool {
        let mut state = self.0.lock();
        self.0.silence(&mut state);
        state.wanted = wanted;
        if state.empty.is_some() || self.0.look(&mut state) {
            state.armed = false;
            return true;
        }
        state.armed = true;
        self.0.changed.notify_one();
        false
    }

    pub(crate) fn bell(&self) -> BorrowedFd<'_> {
        self.0.bell.as_fd()
    }
}

/// The thread ends by itself, and does not look again: nothing is waited for.
impl Drop for Watcher {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        (state.armed, state.ended) = (false, true);
        self.0.changed.notify_one();
    }
}

impl Shared {
    /// The thread: sleeps while nobody waits, and polls and naps while somebody does.
    fn watch(&self, poller: &mut Poller) {
        loop {
            let state = self.lock();
            let idle = |state: &mut State| !state.armed && !state.ended;
            let state = self.changed.wait_while(state, idle);
            if state.unwrap_or_else(PoisonError::into_inner).ended {
                return;
            }
            let look = |_: &mut _| {
                let mut state = self.lock();
                if state.armed && self.look(&mut state) {
                    state.armed = false;
                    state.rung = true;
                    let _ = self.bell.write(1); // it is full only if it was rung before
                }
                Ok((!state.armed).then_some(()))
            };
            let _ = poller.wait(Wait::Forever, &mut { FIRST_NAP }, look, |nap, _| {
                self.nap(nap);
                Ok(())
            });
        }
    }

    fn nap(&self, nap: &mut Duration) {
        let state = self.lock();
        if !state.armed {
            return;
        }
        let slept = self.changed.wait_timeout(state, *nap);
        let timed_out = slept.unwrap_or_else(PoisonError::into_inner).1.timed_out();
        // Woken early, it is for another wait.
        *nap = if timed_out {
            (*nap * 2).min(LONGEST_NAP)
        } else {
            FIRST_NAP
        };
    }

    /// Looks, under the lock: so nothing is taken from a queue behind the half's back.
    fn look(&self, state: &mut State) -> bool {
        match (self.look)(state.wanted) {
            Seen::Nothing => false,
            Seen::Something => true,
            Seen::Empty(mtype) => {
                state.empty = Some(mtype);
                true
            }
        }
    }

    fn silence(&self, state: &mut State) {
        if std::mem::take(&mut state.rung) {
            let _ = self.bell.read();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
