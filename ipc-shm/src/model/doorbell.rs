//! Doorbells of a model: what [the real ones](../doorbell.rs) promise, made of loom's parts.
#![allow(unsafe_code)]
#![allow(clippy::unnecessary_wraps)] // the real ones can fail

use std::cell::RefCell;
use std::collections::HashMap;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::thread::panicking; // then the model has failed already

use ipc_core::{Error, Result, Wait};
use loom::sync::{Condvar, Mutex, MutexGuard};

use crate::model::death::step;
use crate::model::processor::{enter, leave};

/// As the real ones have it.
pub(crate) const LOOKS: u32 = 8;

/// The end that rings.
#[derive(Debug)]
pub(crate) struct Bell(Arc<Pipe>);

/// The end that listens.
#[derive(Debug)]
pub(crate) struct Ear(Arc<Pipe>);

/// What a listener heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    Nothing,
    Ring,
    /// Every copy of the other end is closed.
    Gone,
}

#[derive(Debug)]
struct Pipe {
    number: RawFd,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    rung: bool,
    bell: bool,
    ear: bool,
}

thread_local! {
    /// The doorbells of the execution at hand, by number.
    static PIPES: RefCell<HashMap<RawFd, Arc<Pipe>>> = RefCell::default();
}

/// Forgets the doorbells of the execution before.
pub(crate) fn forget() {
    PIPES.with_borrow_mut(HashMap::clear);
}

/// Waits, as `poll(2)` does, until the doorbell behind an [`Ear`]'s descriptor has something to say.
pub(crate) fn readable(fd: BorrowedFd<'_>) {
    let pipe = PIPES.with_borrow(|pipes| Arc::clone(&pipes[&fd.as_raw_fd()]));
    let state = pipe.lock();
    drop(pipe.wait(state));
}

/// A new doorbell.
pub(crate) fn doorbell() -> Result<(Bell, Ear)> {
    let pipe = Arc::new(Pipe {
        number: RawFd::try_from(PIPES.with_borrow(HashMap::len)).unwrap(),
        state: Mutex::new(State {
            rung: false,
            bell: true,
            ear: true,
        }),
        changed: Condvar::new(),
    });
    PIPES.with_borrow_mut(|pipes| pipes.insert(pipe.number, Arc::clone(&pipe)));
    Ok((Bell(Arc::clone(&pipe)), Ear(pipe)))
}

impl Pipe {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no model panics and goes on")
    }

    /// Waits for a ring or the end.
    fn wait<'a>(&'a self, mut state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        if !state.rung && state.bell {
            leave();
            while !state.rung && state.bell {
                state = self.changed.wait(state).expect("as above");
            }
            enter();
        }
        state
    }
}

impl Bell {
    pub(crate) fn reopened(_: &OwnedFd) -> Result<Self> {
        unimplemented!("nobody attaches in a model")
    }

    pub(crate) fn inherited(_: OwnedFd) -> Result<Self> {
        unimplemented!("models hand nothing over")
    }

    pub(crate) fn ring(&self) -> Result<()> {
        step();
        let mut state = self.0.lock();
        if !state.ear {
            return Err(Error::Disconnected);
        }
        state.rung = true;
        self.0.changed.notify_all();
        Ok(())
    }
}

impl Ear {
    pub(crate) fn new() -> Result<(Self, OwnedFd)> {
        unimplemented!("nobody attaches in a model")
    }

    pub(crate) fn inherited(_: OwnedFd) -> Result<Self> {
        unimplemented!("models hand nothing over")
    }

    pub(crate) fn listen(&self, wait: Wait) -> Result<Heard> {
        step();
        let mut state = self.0.lock();
        if wait == Wait::Forever {
            state = self.0.wait(state);
        }
        Ok(if std::mem::take(&mut state.rung) {
            Heard::Ring
        } else if state.bell {
            Heard::Nothing
        } else {
            Heard::Gone
        })
    }
}

impl Drop for Bell {
    fn drop(&mut self) {
        if !panicking() {
            self.0.lock().bell = false;
            self.0.changed.notify_all();
        }
    }
}

impl Drop for Ear {
    fn drop(&mut self) {
        if !panicking() {
            self.0.lock().ear = false;
        }
    }
}

impl AsFd for Bell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsFd for Ear {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsFd for Pipe {
    fn as_fd(&self) -> BorrowedFd<'_> {
        // SAFETY: it is a number for `readable`; no system call is made with it.
        unsafe { BorrowedFd::borrow_raw(self.number) }
    }
}
