//! Children to be waited for and signalled.
#![allow(dead_code, unreachable_pub)]

use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use ipc_process::{Child, fork};
use nix::errno::Errno;
use nix::sys::wait::waitpid;

pub const LONG: Duration = Duration::from_secs(100);

/// A child that lives until somebody ends it.
pub fn idle() -> Child {
    fork(((), ()), |()| thread::sleep(LONG)).unwrap().0
}

pub fn ends_with(code: u8) -> Child {
    fork(((), ()), |()| ExitCode::from(code)).unwrap().0
}

pub fn nobody_is_left() -> bool {
    waitpid(None, None) == Err(Errno::ECHILD)
}

/// The state letter of a process.  `proc_pid_stat(5)`
pub fn stat_of(child: &Child) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", child.pid())).ok()?;
    stat.rsplit(") ").next()?.chars().next()
}
