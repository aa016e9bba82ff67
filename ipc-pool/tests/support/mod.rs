//! What several tests need.
#![allow(dead_code, reason = "each test needs a part")]

use std::fs;

use ipc_pool::{Handle, Status};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Waits until the pool is so, and says how it is then.
pub(crate) fn until(pool: &Handle, is: impl Fn(&Status) -> bool) -> Status {
    pool.wait_until(is).unwrap()
}

/// So many workers, all of them ready.
pub(crate) fn are_ready(count: usize) -> impl Fn(&Status) -> bool {
    move |status| {
        status.workers.len() == count && status.workers.iter().all(|worker| worker.is_ready)
    }
}

pub(crate) fn send(pid: u32, signal: Signal) {
    kill(Pid::from_raw(i32::try_from(pid).unwrap()), signal).unwrap();
}

/// Whether there is such a process, and it is no zombie.
pub(crate) fn is_alive(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"));
    stat.is_ok_and(|stat| !stat.rsplit_once(") ").unwrap().1.starts_with('Z'))
}

/// Whose child it is, if there is such a process.
pub(crate) fn parent_of(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(") ")?;
    fields.split(' ').nth(1)?.parse().ok()
}
