//! System calls: a page that two processes share, a copy of this process that is its parent's child,
//! the flag that SIGTERM sets.
#![allow(unsafe_code)]

use std::ffi::{CString, c_int};
use std::io;
use std::num::NonZeroUsize;
use std::os::fd::{IntoRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr::NonNull;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering};

use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, kill, sigaction};
use nix::sys::wait::waitpid;
use nix::unistd::Pid;

/// Bytes of a shared page: what a worker announces, on cache lines of its own.
const PAGE: NonZeroUsize = NonZeroUsize::new(4096).unwrap();

/// What a worker says while it works, for the pool to read when it is dead.
#[derive(Debug)]
pub(crate) struct Page {
    place: NonNull<Words>,
}

#[derive(Debug)]
#[repr(C, align(128))]
struct Words {
    /// The id of the task whose handler was called last.
    running: AtomicU64,
}

// SAFETY: the place is mapped as long as the page lives, and made of atomics.
unsafe impl Send for Page {}
// SAFETY: as above.
unsafe impl Sync for Page {}

impl Page {
    /// The first page of `fd`, a memfd of that size at least.  mmap(2)
    pub(crate) fn map(fd: &OwnedFd) -> io::Result<Self> {
        let flags = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: a new mapping at a place of the kernel's choice.
        let place = unsafe { mmap(None, PAGE, flags, MapFlags::MAP_SHARED, fd, 0) }?;
        Ok(Page {
            place: place.cast(),
        })
    }

    /// Announces that the handler is about to run the task `id`.
    #[inline]
    pub(crate) fn announce(&self, id: u64) {
        self.words().running.store(id, Ordering::Relaxed);
    }

    /// What was announced last; 0 is nothing.
    pub(crate) fn running(&self) -> u64 {
        self.words().running.load(Ordering::Relaxed)
    }

    fn words(&self) -> &Words {
        // SAFETY: a page that is mapped, zeroed or written by this type alone, and atomic.
        unsafe { self.place.as_ref() }
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        // SAFETY: mapped by `map`, and nobody has a reference any more.
        let _ = unsafe { munmap(self.place.cast(), PAGE.get()) };
    }
}

/// A new memfd for a [`Page`].  `memfd_create(2)`
pub(crate) fn page_file() -> io::Result<OwnedFd> {
    use nix::sys::memfd::{MFdFlags, memfd_create};
    let fd = memfd_create(c"ipc-pool", MFdFlags::MFD_CLOEXEC)?;
    nix::unistd::ftruncate(&fd, 4096)?;
    Ok(fd)
}

/// A copy of this single-threaded process, as a child of its parent: `None` in the copy, its number
/// here.  clone(2)
///
/// The C library is told nothing, since there is nothing that it would have to do in a process with
/// one thread, but for the number of that thread, which it keeps: the kernel writes it where it is.
pub(crate) fn clone_as_sibling() -> io::Result<Option<u32>> {
    let mut flags = libc::CLONE_PARENT;
    let mut tid: *mut c_int = std::ptr::null_mut();
    // SAFETY: writes a pointer to where one is.
    if unsafe { libc::prctl(PR_GET_TID_ADDRESS, &raw mut tid) } == 0 && !tid.is_null() {
        flags |= libc::CLONE_CHILD_SETTID | libc::CLONE_CHILD_CLEARTID;
    }
    let null: *mut c_int = std::ptr::null_mut();
    // SAFETY: as fork(2) in a process with one thread, which the caller promises: no stack and no
    // storage of its own. The number is written to where the C library has it.
    #[cfg(target_arch = "x86_64")]
    let pid = unsafe { libc::syscall(libc::SYS_clone, flags, null, null, tid, null) };
    // SAFETY: as above; the last two are the other way round.
    #[cfg(not(target_arch = "x86_64"))]
    let pid = unsafe { libc::syscall(libc::SYS_clone, flags, null, null, null, tid) };
    match u32::try_from(pid) {
        Ok(0) => Ok(None),
        Ok(pid) => Ok(Some(pid)),
        Err(_) => Err(io::Error::last_os_error()),
    }
}

/// Kills a child that nobody has waited for, and waits for it.
pub(crate) fn end_child(pid: u32) {
    let Ok(pid) = i32::try_from(pid).map(Pid::from_raw) else {
        return;
    };
    let _ = kill(pid, Signal::SIGKILL);
    let _ = waitpid(pid, None);
}

/// Since Linux 3.5, if that was built with checkpoints.  prctl(2)
const PR_GET_TID_ADDRESS: c_int = 40;

/// Ends this process without `atexit` handlers and destructors.  _exit(2)
pub(crate) fn exit_now(code: i32) -> ! {
    // SAFETY: the call has no preconditions.
    unsafe { libc::_exit(code) }
}

/// In the template and its copies: the signals of a terminal, of a service manager that means all,
/// and those that the pool's manager takes, are not for them. SIGTERM waits until a worker has its
/// handler; nothing else that was blocked is.  signal(7)
pub(crate) fn leave_signals_to_the_manager() {
    use Signal::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
    let ignore = SigAction::new(SigHandler::SigIgn, SaFlags::empty(), SigSet::empty());
    for signal in [SIGHUP, SIGINT, SIGQUIT, SIGUSR1, SIGUSR2] {
        // SAFETY: no handler is installed.
        let _ = unsafe { sigaction(signal, &ignore) };
    }
    let mut term = SigSet::empty();
    term.add(SIGTERM);
    let _ = term.thread_set_mask();
}

/// Whether SIGTERM has come.
static STOPPING: AtomicBool = AtomicBool::new(false);
/// What the handler writes to, so that a wait ends.
static NUDGE: AtomicI32 = AtomicI32::new(-1);

/// From now on SIGTERM sets a flag, and makes `nudge`, an eventfd, readable. Calls that wait are
/// interrupted.  sigaction(2)
pub(crate) fn catch_sigterm(nudge: OwnedFd) -> io::Result<()> {
    extern "C" fn stop(_: c_int) {
        STOPPING.store(true, Ordering::Relaxed);
        let one = 1u64.to_ne_bytes();
        // SAFETY: async-signal-safe, eight bytes that are there; errno is put back.
        unsafe {
            let errno = *libc::__errno_location();
            libc::write(
                NUDGE.load(Ordering::Relaxed),
                one.as_ptr().cast(),
                one.len(),
            );
            *libc::__errno_location() = errno;
        }
    }
    NUDGE.store(nudge.into_raw_fd(), Ordering::Relaxed);
    let action = SigAction::new(SigHandler::Handler(stop), SaFlags::empty(), SigSet::empty());
    // SAFETY: the handler does nothing but what a handler may.
    unsafe { sigaction(Signal::SIGTERM, &action) }?;
    SigSet::empty().thread_set_mask()?; // one may have come before
    Ok(())
}

/// From now on SIGHUP opens the file anew in the place of stdout and stderr. Stays in copies of this
/// process.  sigaction(2)
pub(crate) fn reopen_at_sighup(path: &Path) {
    static PATH: OnceLock<CString> = OnceLock::new();
    extern "C" fn reopen(_: c_int) {
        let Some(path) = PATH.get() else { return };
        let flags = libc::O_WRONLY | libc::O_APPEND | libc::O_CREAT | libc::O_CLOEXEC;
        // SAFETY: async-signal-safe calls, a string that is never freed; errno is put back.
        unsafe {
            let errno = *libc::__errno_location();
            let fd = libc::open(path.as_ptr(), flags, 0o600);
            if fd >= 0 {
                libc::dup2(fd, libc::STDOUT_FILENO);
                libc::dup2(fd, libc::STDERR_FILENO);
                libc::close(fd);
            }
            *libc::__errno_location() = errno;
        }
    }
    let Ok(path) = CString::new(path.as_os_str().as_bytes()) else {
        return;
    };
    let _ = PATH.set(path);
    let action = SigAction::new(
        SigHandler::Handler(reopen),
        SaFlags::SA_RESTART,
        SigSet::empty(),
    );
    // SAFETY: the handler does nothing but what a handler may.
    let _ = unsafe { sigaction(Signal::SIGHUP, &action) };
}

/// From now on this process does not end with its parent.  `PR_SET_PDEATHSIG(2const)`
pub(crate) fn outlive_the_parent() {
    // SAFETY: two integers.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, 0) };
}

/// Whether SIGTERM has come since [`catch_sigterm`].
pub(crate) fn is_stopping() -> bool {
    STOPPING.load(Ordering::Relaxed)
}
