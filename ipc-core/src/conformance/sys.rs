//! Processes, signals and memory, as the suite and its runner need them.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::io;
use std::os::fd::{FromRawFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use nix::errno::Errno;
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::prctl;
use nix::sys::signal::{
    SaFlags, SigAction, SigHandler, SigSet, Signal, kill, killpg, sigaction, signal,
};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid};

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

/// SIGALRM, 5,000 times a second, by a handler that does nothing and restarts nothing.
pub(super) struct Storm;

impl Storm {
    pub(super) fn start() -> Self {
        extern "C" fn ignore(_: libc::c_int) {}
        let action = SigAction::new(
            SigHandler::Handler(ignore),
            SaFlags::empty(),
            SigSet::empty(),
        );
        // SAFETY: the handler does nothing, which is async-signal-safe.
        unsafe { sigaction(Signal::SIGALRM, &action) }.expect("sigaction");
        set_timer(200);
        Storm
    }
}

impl Drop for Storm {
    fn drop(&mut self) {
        set_timer(0); // the handler stays: a last signal may be on its way
    }
}

/// setitimer(2)
fn set_timer(microseconds: i64) {
    let period = libc::timeval {
        tv_sec: 0,
        tv_usec: microseconds,
    };
    let timer = libc::itimerval {
        it_interval: period,
        it_value: period,
    };
    // SAFETY: the new value is live, and the old one is not asked for.
    let set = unsafe { libc::setitimer(libc::ITIMER_REAL, &raw const timer, std::ptr::null_mut()) };
    assert_eq!(set, 0, "setitimer");
}

/// Lets SIGPIPE kill, as it does where no Rust runtime ignores it.  signal(2)
pub(super) fn reset_sigpipe() {
    // SAFETY: the default action is no handler.
    unsafe { signal(Signal::SIGPIPE, SigHandler::SigDfl) }.expect("signal");
}

/// SIGPIPE's disposition, and whether it is blocked and pending.  `proc_pid_status(5)`
pub(super) fn sigpipe() -> [bool; 5] {
    let status = std::fs::read_to_string("/proc/thread-self/status").expect("procfs");
    ["SigIgn:", "SigCgt:", "SigBlk:", "SigPnd:", "ShdPnd:"].map(|field| {
        let mask = status.lines().find_map(|line| line.strip_prefix(field));
        let mask = u64::from_str_radix(mask.expect(field).trim(), 16).expect(field);
        mask >> (libc::SIGPIPE - 1) & 1 == 1
    })
}

/// How often a child began something, and ended it, in memory that it shares with its parent.
#[derive(Clone, Copy)]
pub(super) struct Marks(&'static [AtomicU64; 2]);

impl Marks {
    /// Marks for the rest of this process's life.  mmap(2)
    pub(super) fn new() -> Self {
        // SAFETY: a new mapping at a place that the kernel chooses.
        let page = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                size_of::<[AtomicU64; 2]>(),
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        assert_ne!(page, libc::MAP_FAILED, "mmap");
        // SAFETY: zeroed, aligned as pages are, never unmapped, and touched through atomics only.
        Marks(unsafe { &*page.cast() })
    }

    pub(super) fn reset(self) {
        self.0
            .iter()
            .for_each(|mark| mark.store(0, Ordering::SeqCst));
    }

    pub(super) fn begin(self) {
        self.0[0].fetch_add(1, Ordering::SeqCst);
    }

    pub(super) fn end(self) {
        self.0[1].fetch_add(1, Ordering::SeqCst);
    }

    /// How often it was begun, and ended.
    pub(super) fn read(self) -> (u64, u64) {
        let ended = self.0[1].load(Ordering::SeqCst);
        (self.0[0].load(Ordering::SeqCst), ended)
    }
}

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);
static LARGEST: AtomicUsize = AtomicUsize::new(0);

/// The system allocator, which counts; [`conformance!`](crate::conformance!) installs it.
#[derive(Debug)]
pub struct CountingAllocator;

/// How often memory was asked for, by this whole process, through [`CountingAllocator`].
pub fn allocations() -> usize {
    ALLOCATIONS.load(Ordering::Relaxed)
}

/// The most bytes that this whole process asked for at once, through [`CountingAllocator`], since
/// this was called last.
pub fn take_largest_allocation() -> usize {
    LARGEST.swap(0, Ordering::Relaxed)
}

fn count(size: usize) {
    ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
    LARGEST.fetch_max(size, Ordering::Relaxed);
}

// SAFETY: every call goes to the system allocator as it came; counting allocates nothing.
unsafe impl GlobalAlloc for CountingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller keeps the same contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller keeps the same contract.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size);
        // SAFETY: the caller keeps the same contract.
        unsafe { System.realloc(memory, layout, size) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the same contract.
        unsafe { System.dealloc(memory, layout) }
    }
}
