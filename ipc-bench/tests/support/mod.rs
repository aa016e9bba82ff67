//! What several tests need.
#![allow(dead_code, reason = "each test needs a part")]

pub(crate) mod run;

use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};

const PATIENCE: Duration = Duration::from_secs(20);

/// Orphans are this process's children: it is their subreaper.
pub(crate) fn until_everybody_has_ended() {
    until("everybody has ended", || {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Err(Errno::ECHILD) => Some(()),
            Ok(WaitStatus::StillAlive) => None,
            other => other.map(|_| None).unwrap(),
        }
    });
}

pub(crate) fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(start.elapsed() < PATIENCE, "waited in vain until {what}");
        thread::sleep(Duration::from_millis(10));
    }
}
