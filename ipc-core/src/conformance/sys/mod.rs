//! Processes, signals and memory, as the suite and its runner need them.
#![allow(unsafe_code)]

mod memory;
mod signals;

use std::io;
use std::os::fd::{FromRawFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use nix::errno::Errno;
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::prctl;
use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid, waitpid};
use nix::unistd::{ForkResult, Pid};

pub(super) use memory::Marks;
pub use memory::{CountingAllocator, allocations, take_largest_allocation};
pub(super) use signals::{Storm, reset_sigpipe, sigpipe};

/// A nameless file in memory.  `memfd_create(2)`
pub(super) fn memfd() -> io::Result<OwnedFd> {
    Ok(memfd_create(c"output", MFdFlags::MFD_CLOEXEC)?)
}

/// A descriptor that turns readable when the process ends.  `pidfd_open(2)`
pub(super) fn pidfd_open(pid: u32) -> io::Result<OwnedFd> {
    // SAFETY: the call takes two integers.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    match i32::try_from(fd) {
        // SAFETY: the kernel has just made this descriptor, and nobody else knows it.
        Ok(fd) if fd >= 0 => Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Kills whoever is in the process group that `leader` leads.  killpg(3)
pub(super) fn kill_group(leader: u32) {
    let _ = killpg(pid(leader), Signal::SIGKILL); // fails if nobody is left: that is the aim
}

/// Makes this process, which has one thread, the one that answers for its case: it dies with the
/// runner, inherits its children's orphans, and hands `variable` to nobody.  prctl(2)
pub(super) fn enter_isolation(variable: &str) {
    prctl::set_pdeathsig(Signal::SIGKILL).expect("prctl(PR_SET_PDEATHSIG)");
    prctl::set_child_subreaper(true).expect("prctl(PR_SET_CHILD_SUBREAPER)");
    // SAFETY: no other thread exists yet that could read the environment.
    unsafe { std::env::remove_var(variable) };
}

/// Kills and reaps every child and orphan that is left, zombies included, and returns who they were.
pub(super) fn kill_children() -> Vec<i32> {
    let mut found = Vec::new();
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Err(Errno::ECHILD) => return found,
            Ok(WaitStatus::StillAlive) => {
                for child in children() {
                    let _ = kill(Pid::from_raw(child), Signal::SIGKILL);
                }
                let _ = waitpid(None, None).map(|status| note(&mut found, status));
            }
            Ok(status) => note(&mut found, status),
            Err(_) => {}
        }
    }
}

fn note(found: &mut Vec<i32>, status: WaitStatus) {
    found.extend(status.pid().map(Pid::as_raw));
}

/// This process's living children.  `proc_pid_task(5)`
fn children() -> Vec<i32> {
    let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten();
    let lists = tasks.flatten().map(|task| task.path().join("children"));
    lists
        .filter_map(|list| std::fs::read_to_string(list).ok())
        .flat_map(|list| {
            list.split_whitespace()
                .flat_map(str::parse)
                .collect::<Vec<_>>()
        })
        .collect()
}

/// Whether this process has a child, be it a zombie.  waitid(2)
pub(super) fn has_children() -> bool {
    let look = WaitPidFlag::WNOHANG | WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT;
    waitid(Id::All, look) != Err(Errno::ECHILD)
}

fn pid(id: u32) -> Pid {
    Pid::from_raw(i32::try_from(id).expect("a process id"))
}

/// A child that was forked here.
pub(super) struct Process(Pid);

impl Process {
    /// Waits for its end, and fails unless it succeeded.
    pub(super) fn join(self) {
        let status = waitpid(self.0, None);
        assert_eq!(
            status,
            Ok(WaitStatus::Exited(self.0, 0)),
            "the child failed"
        );
    }

    /// Kills it, and waits for its end.
    pub(super) fn kill(self) {
        kill(self.0, Signal::SIGKILL).expect("kill");
        waitpid(self.0, None).expect("waitpid");
    }
}

/// Forks; `None` is the child.  fork(2)
pub(super) fn fork() -> Option<Process> {
    // SAFETY: clauses fork before they start a thread, so that the child has all that it needs.
    match unsafe { nix::unistd::fork() }.expect("fork") {
        ForkResult::Parent { child } => Some(Process(child)),
        ForkResult::Child => None,
    }
}

/// Runs `f`, and ends this forked child with nothing of its parent's run.  _exit(2)
pub(super) fn exit_after(f: impl FnOnce()) -> ! {
    let failed = catch_unwind(AssertUnwindSafe(f)).is_err();
    // SAFETY: always safe; it skips the parent's exit handlers, which is the aim.
    unsafe { libc::_exit(failed.into()) }
}

/// Moves this process to a System V namespace of its own; false where it may not.  `ipc_namespaces(7)`
pub(super) fn own_queues() -> bool {
    // SAFETY: the call takes a number.
    unsafe { libc::unshare(libc::CLONE_NEWIPC) == 0 }
}

/// Lets whatever this process makes for a while be made in `directory`.
pub(super) fn make_files_in(directory: &Path) {
    for variable in ["TMPDIR", "XDG_RUNTIME_DIR"] {
        // SAFETY: a case has one thread, and no other reads the environment.
        unsafe { std::env::set_var(variable, directory) };
    }
}
