//! Death: a thread that does no more than so many steps.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, Ordering};

use loom::thread::{self, ThreadId};

use super::processor::interrupts;

thread_local! {
    /// Who is to die, and the steps that are left to it.
    static DOOMED: Cell<Option<(ThreadId, usize)>> = const { Cell::new(None) };
}

/// What a dying thread throws.
struct Killed;

/// Lets this thread do `steps` steps of `life`; true if it was killed before the end.
pub(crate) fn kill_after(steps: usize, life: impl FnOnce()) -> bool {
    DOOMED.set(Some((thread::current().id(), steps)));
    let end = catch_unwind(AssertUnwindSafe(life));
    DOOMED.set(None);
    match end {
        Ok(()) => false,
        Err(thrown) if thrown.is::<Killed>() => true,
        Err(panic) => resume_unwind(panic),
    }
}

/// Before everything that another thread can notice.
pub(crate) fn step() {
    interrupts();
    let Some((doomed, left)) = DOOMED.get() else {
        return;
    };
    if doomed != thread::current().id() {
        return;
    }
    if left == 0 {
        DOOMED.set(None);
        resume_unwind(Box::new(Killed));
    }
    DOOMED.set(Some((doomed, left - 1)));
}

/// Calls `model` with every number of steps, until there is no execution in which it kills any more.
pub(crate) fn after_every_step(model: impl Fn(usize, &'static AtomicBool)) -> usize {
    for steps in 0.. {
        let killed: &AtomicBool = Box::leak(Box::default());
        model(steps, killed);
        if !killed.load(Ordering::Relaxed) {
            return steps;
        }
    }
    unreachable!("the steps of a model are counted")
}
