//! The death of a parent.

use nix::unistd::Pid;

use crate::{Error, Result, sys};

/// Has the kernel send this process `signal` when the process `parent` dies, of SIGKILL even; if
/// that is no longer the parent, because it has died already, sends it at once.
///
/// [`ProcessOptions::parent_death`](crate::ProcessOptions::parent_death) does this for a new child,
/// where nothing can come before it. This is for one that was made in another way, or that calls it
/// again after a change of user or group, at which the kernel forgets it. It counts for the thread
/// that made this process, as there.
///
/// # Errors
///
/// [`Os`](Error::Os) for a number that is no signal.
///
/// `PR_SET_PDEATHSIG(2const)`, getppid(2)
pub fn set_parent_death(signal: i32, parent: u32) -> Result<()> {
    let pid = Pid::from_raw(parent.try_into().unwrap_or(-1));
    sys::set_parent_death(signal, pid)
        .map_err(|e| Error::os("prctl(PR_SET_PDEATHSIG)", format!("signal {signal}"), e))
}
