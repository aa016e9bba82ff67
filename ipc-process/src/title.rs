//! What a process is called in lists of processes.

use std::ffi::CString;
use std::{fs, io};

use crate::{Error, Result, sys};

/// Names this process, as ps(1), top(1) and pstree(1) show it.
///
/// The short name, of which the kernel keeps 15 bytes, is the calling thread's own. In a process
/// with one thread the command line is overwritten too, with as much as the old one has room for;
/// [`std::env::args`] then finds the new one. A child is named at its start by
/// [`ProcessOptions::name`](crate::ProcessOptions::name).
///
/// # Errors
///
/// [`Os`](Error::Os) for a name with a zero byte.
///
/// `PR_SET_NAME(2const)`, `proc_pid_cmdline(5)`
pub fn set_name(name: &str) -> Result<()> {
    set_short_name(name)?;
    if let (Ok(1), Some((start, end))) = (threads(), arguments()) {
        sys::overwrite_arguments(start, end, name.as_bytes());
    }
    Ok(())
}

/// The name of the calling thread alone.
pub(crate) fn set_short_name(name: &str) -> Result<()> {
    let error = |e: io::Error| Error::os("prctl", format!("the name {name:?}"), e);
    let text = CString::new(name).map_err(|e| error(e.into()))?;
    nix::sys::prctl::set_name(&text).map_err(|e| error(e.into()))
}

/// How many threads this process has.
pub(crate) fn threads() -> io::Result<usize> {
    Ok(fs::read_dir("/proc/self/task")?.count())
}

/// Where the arguments lie.  `proc_pid_stat(5)`, fields 48 and 49
fn arguments() -> Option<(usize, usize)> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    let after_name = stat.rsplit_once(") ")?.1; // fields 3 and on
    let mut fields = after_name.split(' ').skip(48 - 3);
    let mut next = || fields.next()?.parse().ok();
    Some((next()?, next()?))
}
