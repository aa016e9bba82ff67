//! A hang says where it hangs.  alarm(2), sigaction(2)
#![allow(unsafe_code)]

use std::process::abort;
use std::sync::atomic::{AtomicUsize, Ordering};

use nix::libc::c_int;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use nix::unistd::alarm;

/// Many times what a trial takes.
const SECONDS: u32 = 30;

static STEPS: AtomicUsize = AtomicUsize::new(0);

/// Starts the time of a trial.
pub(crate) fn watch(steps: usize) {
    extern "C" fn hung(_: c_int) {
        // Nothing here is safe in a handler, and nothing is lost any more.
        match STEPS.load(Ordering::Relaxed) {
            usize::MAX => eprintln!("hangs after the whole operation"),
            steps => eprintln!("hangs after {steps} instructions"),
        }
        abort();
    }
    STEPS.store(steps, Ordering::Relaxed);
    let action = SigAction::new(SigHandler::Handler(hung), SaFlags::empty(), SigSet::empty());
    // SAFETY: the handler ends the process; that it may do so badly is accepted above.
    unsafe { sigaction(Signal::SIGALRM, &action) }.unwrap();
    alarm::set(SECONDS);
}
