//! Processors, so that `membarrier(2)` has what it promises: every thread that runs passes a full
//! fence, somewhere between two of its steps, before the call returns. One that does not run passes
//! its fence as it leaves its processor and as it gets one.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::sync::Arc;

use loom::sync::atomic::{AtomicBool, Ordering::Relaxed, Ordering::SeqCst, fence};
use loom::sync::{Condvar, Mutex, MutexGuard};
use loom::thread::{self, ThreadId};

thread_local! {
    /// Whether the kernel of the model has the call.
    static OFFERED: Cell<bool> = const { Cell::new(false) };
    /// The processors of the execution at hand, and who has which.
    static PROCESSORS: RefCell<Vec<Arc<Processor>>> = const { RefCell::new(Vec::new()) };
    static OWNERS: RefCell<HashMap<ThreadId, Arc<Processor>>> = RefCell::default();
}

struct Processor {
    /// What an interrupt is: seen at any later step, and at the latest when the thread leaves.
    interrupt: AtomicBool,
    state: Mutex<State>,
    served: Condvar,
}

#[derive(Default)]
struct State {
    running: bool,
    /// An interrupt has been sent and not served.
    interrupted: bool,
}

/// Forgets the processors of the execution before.
pub(crate) fn forget() {
    OFFERED.set(false);
    PROCESSORS.with_borrow_mut(Vec::clear);
    OWNERS.with_borrow_mut(HashMap::clear);
}

/// Makes a kernel that has `membarrier(2)`, for the threads that [`run`].
pub(crate) fn offer(threads: usize) {
    OFFERED.set(true);
    let processor = || {
        Arc::new(Processor {
            interrupt: AtomicBool::new(false),
            state: Mutex::default(),
            served: Condvar::new(),
        })
    };
    PROCESSORS.set((0..threads).map(|_| processor()).collect());
}

/// Runs `life` on the processor of that number, if there are any.
pub(crate) fn run<T>(number: usize, life: impl FnOnce() -> T) -> T {
    if let Some(own) = PROCESSORS.with_borrow(|all| all.get(number).cloned()) {
        OWNERS.with_borrow_mut(|owners| owners.insert(thread::current().id(), own));
    }
    enter();
    let result = life();
    leave();
    result
}

/// As the real one: whether barriers reach this process from now on.
pub(crate) fn register() -> bool {
    OFFERED.get()
}

/// As the real one: whether there is such a call.
pub(crate) fn barrier() -> bool {
    let Some(own) = own() else {
        return false;
    };
    leave(); // who waits for others can be interrupted
    for other in PROCESSORS.with_borrow(Vec::clone) {
        let mut state = other.lock();
        if state.running && !Arc::ptr_eq(&own, &other) {
            state.interrupted = true;
            other.interrupt.store(true, Relaxed);
            while state.interrupted {
                state = other
                    .served
                    .wait(state)
                    .expect("no model panics and goes on");
            }
        }
    }
    enter();
    true
}

/// Between two steps: serves an interrupt, if it has come.
pub(crate) fn interrupts() {
    if let Some(own) = own() {
        if own.interrupt.load(Relaxed) {
            own.serve(true);
        }
    }
}

/// Before a thread sleeps.
pub(crate) fn leave() {
    if let Some(own) = own() {
        own.serve(false);
    }
}

/// When a thread goes on.
pub(crate) fn enter() {
    if let Some(own) = own() {
        own.serve(true);
        fence(SeqCst);
    }
}

fn own() -> Option<Arc<Processor>> {
    if !OFFERED.get() {
        return None;
    }
    OWNERS.with_borrow(|owners| owners.get(&thread::current().id()).cloned())
}

impl Processor {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no model panics and goes on")
    }

    /// Passes a full fence, and says so to who waits for it.
    fn serve(&self, running: bool) {
        fence(SeqCst);
        let mut state = self.lock();
        self.interrupt.store(false, Relaxed);
        *state = State {
            running,
            interrupted: false,
        };
        self.served.notify_all();
    }
}
