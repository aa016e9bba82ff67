//! Forking a child that holds the other end.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{ExitCode, Termination};
use std::time::Duration;
use std::{mem, thread};

use ipc_core::Inherit;
use nix::sys::wait::waitpid;
use nix::unistd::Pid;

use crate::attributes::{Attributes, Report};
use crate::stdio::Redirect;
use crate::title::{set_name, threads};
use crate::{Child, Error, ProcessOptions, Result, siblings, signals, sys};

/// Forks a child that runs `f` with `theirs` and ends; `ours` stays here.
///
/// Each process is left with its own end: the child closes `ours` and the ends that this process
/// kept at earlier forks, this process drops `theirs`. Pairs and vectors of ends are ends too, `()`
/// is none, and an end of an earlier fork is handed on as (a part of) `theirs`. What else `f`
/// captures is copied by the fork, but never capture an end that an earlier `fork` returned, nor, in
/// a child, the end that it was given: its descriptors are closed before `f` runs.
///
/// What the child's exit status says is what a program's would: that of the
/// [`ExitCode`](std::process::ExitCode) or `Result` that `f` returns (an error is printed on stderr
/// and is 1), 101 for a panic. It then ends at once: the destructors of the parent's variables and
/// the `atexit` handlers are not the child's to run. What is printed before the fork is printed
/// once.
///
/// Named and `SysV` objects are owned by the ends of the process that made them. Keep one of the
/// pair: if all its ends are in `theirs`, the object is removed when this process drops them, which
/// is right after the fork.
///
/// # Errors
///
/// After an error no child has run `f`, and both ends are dropped. [`Threaded`](Error::Threaded) if
/// this process has more than one thread; [`Os`](Error::Os) if the kernel refuses (`EAGAIN` is a
/// limit on processes), is older than 5.4, or /proc is not mounted.
///
/// fork(2), `pidfd_open(2)`
pub fn fork<A, B, R>((ours, theirs): (A, B), f: impl FnOnce(B) -> R) -> Result<(Child, A)>
where
    A: Inherit,
    B: Inherit,
    R: Termination,
{
    ProcessOptions::new().fork((ours, theirs), f)
}

impl ProcessOptions {
    /// [`fork`](crate::fork()) with these options.
    ///
    /// # Errors
    ///
    /// As there; and [`Os`](Error::Os) for an option that the kernel refuses.
    pub fn fork<A, B, R>(
        &self,
        (ours, theirs): (A, B),
        f: impl FnOnce(B) -> R,
    ) -> Result<(Child, A)>
    where
        A: Inherit,
        B: Inherit,
        R: Termination,
    {
        refuse_threads()?;
        let attributes = Attributes::new(self)?;
        let redirect = self.redirect.then(Redirect::new).transpose()?;
        let (report, heard) = Report::new()?;
        let gate = Gate::new()?;
        let inherited =
            siblings::descriptors().map_err(|e| Error::os("open", "/proc/self/fd", e))?;
        let streams = streams(&theirs)?;
        flush_streams();
        let forked = sys::fork()
            .map_err(|e| Error::os("fork", "this process (limits: RLIMIT_NPROC, pids.max)", e))?;
        let Some(pid) = forked else {
            drop((streams, heard));
            end_with(|| {
                self.enter(redirect, &attributes, report);
                gate.pass();
                close_all_but(&theirs, ours, inherited);
                siblings::start_with(&theirs);
                theirs.forked();
                f(theirs)
            })
        };
        drop(report);
        let pidfd = match sys::pidfd_open(pid) {
            Ok(pidfd) => pidfd,
            Err(error) => {
                gate.keep_shut(pid);
                return Err(Error::os("pidfd_open", format!("child {pid}"), error));
            }
        };
        let mut child = Child::new(pid, pidfd);
        if !attributes.is_plain() {
            Report::hear(heard)?; // after an error the child is reaped here
        }
        gate.open();
        drop_silently(theirs, streams, child.as_fd());
        siblings::add(&ours);
        ours.forked();
        if let Some(redirect) = redirect {
            redirect.give(&mut child);
        }
        Ok((child, ours))
    }

    /// In the child: makes of it what was asked for.
    fn enter(&self, redirect: Option<Redirect>, attributes: &Attributes, report: Report) {
        signals::forget();
        if let Some(redirect) = redirect {
            redirect.enter();
        }
        if let Some(name) = &self.name {
            let _ = set_name(name); // a child without its name is as good
        }
        if attributes.apply(&report).is_err() {
            sys::exit_now(1);
        }
        drop(report); // its end is the parent's answer
    }
}

/// Where a new child waits until its parent knows it, before it has done anything: a pipe.
struct Gate {
    pass: OwnedFd,
    open: OwnedFd,
}

impl Gate {
    fn new() -> Result<Self> {
        let (pass, open) =
            sys::pipe().map_err(|e| Error::os("pipe2", "a new child (limit: RLIMIT_NOFILE)", e))?;
        Ok(Gate { pass, open })
    }

    /// In the child: waits for the word, and ends if it can no longer come.
    fn pass(self) {
        drop(self.open);
        if File::from(self.pass).read_exact(&mut [0]).is_err() {
            sys::exit_now(1);
        }
    }

    /// In the parent: lets the child go on. That `pass` is open here, too, keeps SIGPIPE away, should
    /// somebody have killed it.
    fn open(self) {
        let _ = File::from(self.open).write_all(&[0]);
    }

    /// In the parent: has the child end. It is not killed: that may be forbidden.
    fn keep_shut(self, pid: Pid) {
        drop(self);
        while waitpid(pid, None) == Err(nix::Error::EINTR) {}
    }
}

/// Runs `f` as if it were `main`, and ends this process.
fn end_with<R: Termination>(f: impl FnOnce() -> R) -> ! {
    let code = catch_unwind(AssertUnwindSafe(|| number(f().report())));
    let code = code.unwrap_or_else(|payload| {
        mem::forget(payload); // its destructor could panic in its turn
        101
    });
    flush_streams();
    sys::exit_now(code)
}

/// Leaves the child with `theirs` alone. `ours` is not dropped: that would send its tail twice.
fn close_all_but(theirs: &impl Inherit, ours: impl Inherit, inherited: Vec<RawFd>) {
    let given = siblings::numbers(theirs);
    let mut closing = siblings::numbers(&ours);
    closing.extend(inherited);
    closing.sort_unstable();
    closing.dedup();
    mem::forget(ours);
    closing.retain(|fd| !given.contains(fd));
    closing.into_iter().for_each(sys::close);
}

/// The streams of an end, each with a copy.
fn streams(end: &impl Inherit) -> Result<Vec<(RawFd, OwnedFd)>> {
    let mut streams = Vec::new();
    end.fds(&mut |fd| {
        if sys::is_stream(fd) {
            let copy = fd.try_clone_to_owned();
            streams.push(copy.map(|copy| (fd.as_raw_fd(), copy)));
        }
    });
    let streams: io::Result<_> = streams.into_iter().collect();
    streams.map_err(|e| Error::os("fcntl", "the child's end (limit: RLIMIT_NOFILE)", e))
}

/// Drops this process's copy of `theirs`, which must not send what the child is going to send: the
/// tail of a message that was begun before the fork.
fn drop_silently(theirs: impl Inherit, streams: Vec<(RawFd, OwnedFd)>, deaf: BorrowedFd<'_>) {
    for (fd, _) in &streams {
        sys::replace(*fd, deaf);
    }
    drop(theirs);
    // What is open still is shared with a half that stays here.
    for (fd, copy) in streams {
        sys::replace(fd, copy.as_fd());
    }
}

pub(crate) fn refuse_threads() -> Result<()> {
    // A thread that was joined is listed for an instant more.
    const PATIENCE: u32 = 50;
    for look in 0.. {
        match threads().map_err(|e| Error::os("open", "/proc/self/task", e))? {
            0 | 1 => break,
            _ if look < PATIENCE => thread::sleep(Duration::from_millis(1)),
            threads => return Err(Error::Threaded { threads }),
        }
    }
    Ok(())
}

/// What is buffered would be written by both processes.
pub(crate) fn flush_streams() {
    // A stream that cannot be written is for its next writer to find out.
    let _ = io::stdout().flush();
    let _ = io::stderr().flush();
    sys::flush_c_streams();
}

/// `ExitCode` tells its number only by comparison.
pub(crate) fn number(code: ExitCode) -> u8 {
    (0..=u8::MAX)
        .find(|&number| code == ExitCode::from(number))
        .unwrap_or(1)
}
