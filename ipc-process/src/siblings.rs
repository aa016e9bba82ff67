//! The ends that this process holds, so that children forked later do not hold them too.
//!
//! A peer meets its end of file only when the last copy of the other end is closed: a second child
//! that inherited the parent's end to the first would keep it open.

use std::fs;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::sync::{Mutex, MutexGuard, PoisonError};

use ipc_core::Inherit;

use crate::sys::{self, Identity};

/// What the ends are open on. Descriptors come and go under other numbers (a duplicate, a number
/// that was closed and given out again); the object is what counts.
static HELD: Mutex<Vec<Identity>> = Mutex::new(Vec::new());

/// The descriptors of the ends that were kept at earlier forks.
///
/// Ends that are no longer open are forgotten, since an inode number comes back one day.
pub(crate) fn descriptors() -> io::Result<Vec<RawFd>> {
    let mut held = held();
    if held.is_empty() {
        return Ok(Vec::new());
    }
    let open: Vec<(RawFd, Identity)> = open_descriptors()?
        .into_iter()
        .filter_map(|fd| Some((fd, sys::identity(fd)?)))
        .filter(|(_, identity)| held.contains(identity))
        .collect();
    held.retain(|identity| open.iter().any(|(_, one)| one == identity));
    // The standard streams are nobody's end, whatever they are open on.
    let numbers = open.into_iter().map(|(fd, _)| fd);
    Ok(numbers.filter(|&fd| fd > libc::STDERR_FILENO).collect())
}

/// Adds an end to those that this process holds.
pub(crate) fn add(end: &impl Inherit) {
    end.fds(&mut |fd| add_fd(fd));
}

/// Adds a descriptor to those that this process holds.
pub(crate) fn add_fd(fd: BorrowedFd<'_>) {
    let Some(identity) = sys::identity(fd.as_raw_fd()) else {
        return;
    };
    let mut held = held();
    if !held.contains(&identity) {
        held.push(identity);
    }
}

/// In a new process, which has the end it was given and no other.
pub(crate) fn start_with(end: &impl Inherit) {
    held().clear();
    add(end);
}

/// The numbers of an end's descriptors.
pub(crate) fn numbers(end: &impl Inherit) -> Vec<RawFd> {
    let mut numbers = Vec::new();
    end.fds(&mut |fd| numbers.push(fd.as_raw_fd()));
    numbers
}

fn open_descriptors() -> io::Result<Vec<RawFd>> {
    let entries = fs::read_dir("/proc/self/fd")?;
    let names: io::Result<Vec<_>> = entries.map(|entry| Ok(entry?.file_name())).collect();
    let numbers = names?.into_iter();
    Ok(numbers
        .filter_map(|name| name.to_str()?.parse().ok())
        .collect())
}

fn held() -> MutexGuard<'static, Vec<Identity>> {
    HELD.lock().unwrap_or_else(PoisonError::into_inner)
}
