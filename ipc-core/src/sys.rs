//! System calls that every kernel stream shares: poll, read and write without SIGPIPE; and what
//! pipes and FIFOs share: capacity, and whether a descriptor is an end of one.
#![allow(unsafe_code)]

use std::ffi::c_int;
use std::fs;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::signal::{SigSet, SigmaskHow, Signal};
use nix::sys::stat::{Mode, SFlag, fstat};
#[cfg(feature = "tokio")]
use tokio::io::unix::AsyncFd;

use crate::{Error, Interest, Result, Wait};

/// Waits until one of `fds` is ready or `wait` is over, retrying interruptions without restarting
/// the deadline; true if one is.  poll(2)
pub(crate) fn poll(fds: &mut [libc::pollfd], wait: Wait) -> Result<bool> {
    loop {
        let timeout = wait.remaining().map(timespec);
        let timeout = timeout
            .as_ref()
            .map_or(std::ptr::null(), std::ptr::from_ref);
        // SAFETY: `fds` is a valid array of its own length, the timeout is null or a live timespec,
        // and a null signal mask is allowed by ppoll(2).
        let ready = unsafe {
            libc::ppoll(
                fds.as_mut_ptr(),
                fds.len() as libc::nfds_t,
                timeout,
                std::ptr::null(),
            )
        };
        match ready {
            0 => return Ok(false),
            1.. => return Ok(true),
            _ => match io::Error::last_os_error() {
                error if error.kind() == io::ErrorKind::Interrupted => {}
                error => return Err(Error::os("ppoll", "descriptors", error)),
            },
        }
    }
}

/// An entry for [`poll`].
pub(crate) fn pollfd(fd: BorrowedFd<'_>, interest: Interest) -> libc::pollfd {
    let events = match interest {
        Interest::Read => libc::POLLIN,
        Interest::Write => libc::POLLOUT,
    };
    libc::pollfd {
        fd: fd.as_raw_fd(),
        events,
        revents: 0,
    }
}

/// Registers `fd` with the reactor of the current tokio runtime.  `epoll_ctl(2)`
#[cfg(feature = "tokio")]
pub(crate) fn register(fd: OwnedFd, interest: Interest) -> io::Result<AsyncFd<OwnedFd>> {
    let interest = match interest {
        Interest::Read => tokio::io::Interest::READABLE,
        Interest::Write => tokio::io::Interest::WRITABLE,
    };
    // SAFETY: an `OwnedFd` is open, and names one description, as long as it lives; the `AsyncFd`
    // owns it, and nobody else can close it.
    Ok(unsafe { AsyncFd::register_with_interest(fd, interest) }?)
}

fn timespec(duration: Duration) -> libc::timespec {
    libc::timespec {
        tv_sec: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: duration.subsec_nanos().into(),
    }
}

/// read(2)
#[inline]
pub(crate) fn read(fd: &OwnedFd, buf: &mut [u8]) -> io::Result<usize> {
    Ok(nix::unistd::read(fd, buf)?)
}

/// write(2)
#[inline]
pub(crate) fn write(fd: &OwnedFd, buf: &[u8]) -> io::Result<usize> {
    Ok(nix::unistd::write(fd, buf)?)
}

/// writev(2)
#[inline]
pub(crate) fn writev(fd: &OwnedFd, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
    Ok(nix::sys::uio::writev(fd, bufs)?)
}

/// Sets or clears `O_NONBLOCK`.  fcntl(2)
pub(crate) fn set_nonblocking(fd: &OwnedFd, nonblocking: bool) -> io::Result<()> {
    let mut flags = OFlag::from_bits_retain(fcntl(fd, FcntlArg::F_GETFL)?);
    flags.set(OFlag::O_NONBLOCK, nonblocking);
    fcntl(fd, FcntlArg::F_SETFL(flags))?;
    Ok(())
}

/// Whether `fd` is an end of a pipe or a FIFO, open for `interest`.  fstat(2), fcntl(2)
pub(crate) fn is_pipe_end(fd: &OwnedFd, interest: Interest) -> io::Result<bool> {
    let mode = match interest {
        Interest::Read => OFlag::O_RDONLY,
        Interest::Write => OFlag::O_WRONLY,
    };
    let kind = SFlag::from_bits_truncate(fstat(fd)?.st_mode) & SFlag::S_IFMT;
    let flags = OFlag::from_bits_retain(fcntl(fd, FcntlArg::F_GETFL)?);
    let access = flags & OFlag::O_ACCMODE;
    // A FIFO's reader that holds it open for writing, too, never meets an end.
    let holds = interest == Interest::Read && access == OFlag::O_RDWR;
    Ok(kind == SFlag::S_IFIFO && (access == mode || holds))
}

/// What `fd` is open on, opened anew: a description of its own. An anonymous pipe never makes this
/// wait.  open(2), proc(5)
pub(crate) fn reopen(fd: &OwnedFd, interest: Interest, nonblocking: bool) -> io::Result<OwnedFd> {
    let mut flags = match interest {
        Interest::Read => OFlag::O_RDONLY,
        Interest::Write => OFlag::O_WRONLY,
    };
    flags.set(OFlag::O_NONBLOCK, nonblocking);
    let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
    let opened = nix::fcntl::open(&*path, flags | OFlag::O_CLOEXEC, Mode::empty());
    opened.map_err(|errno| {
        let error = io::Error::from(errno);
        let help = match errno {
            Errno::EACCES => "another user made it, and only that user may open it anew",
            Errno::ENOENT => "/proc is not mounted",
            Errno::ENXIO => "nobody reads this FIFO any more",
            _ => return error,
        };
        io::Error::new(error.kind(), format!("{error}: {help}"))
    })
}

/// Puts the description of `new` in the place of that of `fd`, whose number stays.  dup(2)
pub(crate) fn replace(fd: &OwnedFd, new: &OwnedFd) -> io::Result<()> {
    // SAFETY: both are open, and the one replaced is ours: nobody else can have closed it.
    Errno::result(unsafe { libc::dup3(new.as_raw_fd(), fd.as_raw_fd(), libc::O_CLOEXEC) })?;
    Ok(())
}

/// The room in a pipe in bytes.  fcntl(2), `F_GETPIPE_SZ`
pub(crate) fn pipe_capacity(fd: &OwnedFd) -> io::Result<usize> {
    let bytes = fcntl(fd, FcntlArg::F_GETPIPE_SZ)?;
    Ok(usize::try_from(bytes).unwrap_or_default())
}

/// Asks for room for `bytes` in a pipe; the error tells the limits it may be about.  pipe(7)
pub(crate) fn set_pipe_capacity(fd: &OwnedFd, bytes: usize) -> io::Result<()> {
    let set = c_int::try_from(bytes)
        .map_err(|_| Errno::EINVAL)
        .and_then(|bytes| fcntl(fd, FcntlArg::F_SETPIPE_SZ(bytes)));
    let Err(errno) = set else { return Ok(()) };
    let limit = |name: &str| {
        let value = fs::read_to_string(format!("/proc/sys/fs/{name}"));
        value.map_or("?".into(), |value| value.trim().to_owned())
    };
    let error = io::Error::from(errno);
    let hint = match errno {
        Errno::EBUSY => "more than that is waiting in it: receive first".to_owned(),
        _ => format!(
            "fs.pipe-max-size is {} bytes a pipe, fs.pipe-user-pages-soft {} pages for all pipes of a \
             user: ask for less, or raise them",
            limit("pipe-max-size"),
            limit("pipe-user-pages-soft"),
        ),
    };
    let reason = format!("{error} to give room for {bytes} bytes; {hint}");
    Err(io::Error::new(error.kind(), reason))
}

/// Whether SIGPIPE is ignored, as Rust's runtime sets it.  sigaction(2)
pub(crate) fn sigpipe_is_ignored() -> bool {
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: a null new action only asks; the old one is written to a live place of its type, for
    // which all zeroes are valid.
    unsafe {
        libc::sigaction(libc::SIGPIPE, std::ptr::null(), action.as_mut_ptr());
        action.assume_init().sa_sigaction == libc::SIG_IGN
    }
}

/// `writev` that never raises SIGPIPE: by `RWF_NOSIGNAL` where the kernel has it (6.18), else by
/// masking the thread for the call.  pwritev2(2), `pthread_sigmask(3)`
pub(crate) fn write_without_sigpipe(fd: &OwnedFd, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
    const RWF_NOSIGNAL: libc::c_int = 0x100;
    static REFUSED: AtomicBool = AtomicBool::new(false);
    if !REFUSED.load(Ordering::Relaxed) {
        let count = libc::c_int::try_from(bufs.len()).unwrap_or(libc::c_int::MAX);
        // SAFETY: `IoSlice` has the layout of iovec, and `bufs` lives through the call; the offset
        // -1 is the current position.
        let written = unsafe {
            libc::pwritev2(
                fd.as_raw_fd(),
                bufs.as_ptr().cast(),
                count,
                -1,
                RWF_NOSIGNAL,
            )
        };
        match usize::try_from(written).map_err(|_| io::Error::last_os_error()) {
            Err(error)
                if matches!(
                    error.raw_os_error(),
                    Some(libc::EOPNOTSUPP | libc::EINVAL | libc::ENOSYS)
                ) =>
            {
                REFUSED.store(true, Ordering::Relaxed);
            }
            written => return written,
        }
    }
    with_sigpipe_masked(|| writev(fd, bufs))
}

/// Runs `write` with SIGPIPE blocked in this thread; a SIGPIPE that it raised is taken off again.
fn with_sigpipe_masked(write: impl FnOnce() -> io::Result<usize>) -> io::Result<usize> {
    let mut pipe = SigSet::empty();
    pipe.add(Signal::SIGPIPE);
    let before = pipe.thread_swap_mask(SigmaskHow::SIG_BLOCK)?;
    // One that is pending already is somebody else's, and stays.
    let pending = before.contains(Signal::SIGPIPE) && sigpipe_is_pending();
    let written = write();
    if !pending && matches!(&written, Err(error) if error.kind() == io::ErrorKind::BrokenPipe) {
        let now = libc::timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        // SAFETY: the set and the timespec are live, and no information is asked for. The signal of
        // a failed write is pending for this thread alone.
        unsafe { libc::sigtimedwait(pipe.as_ref(), std::ptr::null_mut(), &raw const now) };
    }
    before.thread_set_mask()?;
    written
}

/// Whether a SIGPIPE waits to be delivered to this thread.  sigpending(2)
fn sigpipe_is_pending() -> bool {
    let mut set = MaybeUninit::<libc::sigset_t>::zeroed();
    // SAFETY: the set is written to a live place of its type, for which all zeroes are valid; SIGPIPE
    // is a signal.
    unsafe {
        libc::sigpending(set.as_mut_ptr());
        libc::sigismember(set.as_ptr(), libc::SIGPIPE) == 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use nix::sys::signal::raise;

    /// Writes to a pipe that nobody reads as on a kernel before 6.18, while this thread has SIGPIPE
    /// blocked.
    fn write_to_nobody() {
        let (reader, writer) = nix::unistd::pipe().unwrap();
        drop(reader);
        let written = with_sigpipe_masked(|| {
            assert!(SigSet::thread_get_mask().unwrap().contains(Signal::SIGPIPE));
            write(&writer, b"hello?")
        });
        assert_eq!(written.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }

    /// A blocked signal is pending even if it is ignored, as it is here.
    #[test]
    fn a_failed_write_leaves_the_signals_as_they_were() {
        let before = SigSet::thread_get_mask().unwrap();
        write_to_nobody();
        assert_eq!(SigSet::thread_get_mask().unwrap(), before);

        let pipe: SigSet = [Signal::SIGPIPE].into_iter().collect();
        pipe.thread_block().unwrap();
        write_to_nobody();
        assert!(!sigpipe_is_pending(), "its own is taken off");
        raise(Signal::SIGPIPE).unwrap();
        write_to_nobody();
        assert!(sigpipe_is_pending(), "one from before is not");
        assert!(SigSet::thread_get_mask().unwrap().contains(Signal::SIGPIPE));
    }
}
