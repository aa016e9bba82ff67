//! Running another program.

use std::os::fd::{AsFd, OwnedFd, RawFd};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Weak};
use std::{fmt, io};

use ipc_core::Inherit;

use crate::attributes::{Attributes, Report};
use crate::handover::{Manifest, VARIABLE};
use crate::sys::{self, BeforeExec};
use crate::{Child, Error, ProcessOptions, Result, siblings, signals, stdio};

/// Runs another program, which takes `theirs` by [`inherited`](crate::inherited); `ours` stays here.
///
/// The program and its surroundings are those of the `Command`, pipes for its standard streams
/// too: they are the child's fields. A program that knows nothing of this crate is given
/// descriptors by [`CommandExt::fd`], and `()`.
///
/// A program has its own memory and no copy of anybody's descriptors, so this is safe in a program
/// with threads.
///
/// # Errors
///
/// After an error the program has not run. [`Os`](Error::Os) if it cannot be run or the kernel
/// refuses; [`Ipc`](Error::Ipc) if `theirs` cannot be taken apart. But for two:
/// [`Unknown`](Error::Unknown) if SIGCHLD is ignored, and the program has run and ended already;
/// [`Os`](Error::Os) of `pidfd_open` if other threads took the last descriptor, and the program
/// was killed as soon as it ran.
///
/// ```
/// use std::process::{Command, Stdio};
///
/// # fn main() -> ipc_process::Result<()> {
/// let mut sort = Command::new("sort");
/// sort.stdin(Stdio::piped()).stdout(Stdio::piped());
/// let (child, ()) = ipc_process::run(((), ()), &mut sort)?;
/// let output = child.communicate(b"pear\napple\n")?; // closes stdin, or sort would wait for more
/// assert_eq!(output.stdout, b"apple\npear\n");
/// # Ok(())
/// # }
/// ```
pub fn run<A: Inherit, B: Inherit>(ends: (A, B), program: &mut Command) -> Result<(Child, A)> {
    ProcessOptions::new().run(ends, program)
}

impl ProcessOptions {
    /// [`run`](crate::run()) with these options.
    ///
    /// # Errors
    ///
    /// As there; and [`Os`](Error::Os) for an option that the kernel refuses.
    pub fn run<A: Inherit, B: Inherit>(
        &self,
        (ours, theirs): (A, B),
        program: &mut Command,
    ) -> Result<(Child, A)> {
        use std::os::unix::process::CommandExt as _;
        if let Some(name) = &self.name {
            program.arg0(name);
        }
        let manifest = Manifest::new("", "", theirs)?;
        Ok((self.start(manifest, program)?, ours_of(ours)))
    }

    /// Starts `program` with what it is handed.
    pub(crate) fn start(&self, manifest: Manifest, program: &mut Command) -> Result<Child> {
        if self.redirect {
            program.stdin(Stdio::piped());
            program.stdout(Stdio::piped());
            program.stderr(Stdio::piped());
        }
        program.env(VARIABLE, manifest.number());
        let (report, heard) = Report::new()?;
        let start = Arc::new(Start {
            blocked: signals::blocked(),
            attributes: Attributes::new(self)?,
            manifest,
            report,
        });
        sys::before_exec(program, Once(Arc::downgrade(&start)));
        let started = program.spawn();
        drop(start);
        let mut running = match started {
            Ok(running) => running,
            Err(error) => {
                Report::hear(heard)?; // one of the options?
                let object = format!("program {}", Path::new(program.get_program()).display());
                return Err(Error::os("execve", object, error));
            }
        };
        let mut child = Child::adopt(running.id()).inspect_err(|_| {
            // Only while its status is to be had is the number sure to be its own.
            if running.try_wait().is_ok() && running.kill().is_ok() {
                let _ = running.wait();
            }
        })?;
        child.stdin = running.stdin.take();
        child.stdout = running.stdout.take();
        child.stderr = running.stderr.take();
        stdio::remember(&child);
        Ok(child)
    }
}

/// What stays here is not for children that are forked later.
pub(crate) fn ours_of<A: Inherit>(ours: A) -> A {
    siblings::add(&ours);
    ours
}

/// All that a child does before exec.
#[derive(Debug)]
struct Start {
    blocked: sys::Signals,
    attributes: Attributes,
    manifest: Manifest,
    report: Report,
}

/// A command keeps its steps, and may be run again: then this one is over.
struct Once(Weak<Start>);

impl BeforeExec for Once {
    fn run(&self) -> io::Result<()> {
        self.0.upgrade().map_or(Ok(()), |start| {
            sys::unblock(start.blocked)?;
            // First: it writes to a file, and the options may forbid that.
            let passed = start.manifest.pass();
            passed.map_err(|error| start.report.ends(error))?;
            start.attributes.apply(&start.report)
        })
    }
}

/// Descriptors for a program that knows nothing of this crate.
pub trait CommandExt: sealed::Sealed {
    /// The program finds `fd` open under `number`, as a shell does it with `3>file`.
    ///
    /// It is closed here when the command is dropped. What the program should find blocking must
    /// be so: take an end's `into_blocking()`.
    ///
    /// # Errors
    ///
    /// [`Os`](Error::Os) if no descriptors are left, or for a number of a standard stream.
    ///
    /// ```
    /// use ipc_process::{CommandExt, run};
    /// use std::io::Read;
    /// use std::process::Command;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (mut reader, writer) = std::os::unix::net::UnixStream::pair()?;
    /// let mut shell = Command::new("sh");
    /// shell.args(["-c", "echo hello >&3"]).fd(3, writer)?;
    /// let (child, ()) = run(((), ()), &mut shell)?;
    /// drop(shell);
    /// let mut text = String::new();
    /// reader.read_to_string(&mut text)?;
    /// assert_eq!(text, "hello\n");
    /// child.join()?;
    /// # Ok(())
    /// # }
    /// ```
    fn fd(&mut self, number: RawFd, fd: impl Into<OwnedFd>) -> Result<&mut Self>;
}

impl CommandExt for Command {
    fn fd(&mut self, number: RawFd, fd: impl Into<OwnedFd>) -> Result<&mut Self> {
        let object = || format!("descriptor {number} of a new program");
        let os = |e: io::Error| Error::os("dup2", object(), e);
        if number <= libc::STDERR_FILENO {
            let help = "the standard streams are Command's: stdin, stdout, stderr";
            return Err(os(io::Error::new(io::ErrorKind::InvalidInput, help)));
        }
        let original = fd.into();
        let copy = sys::copy_from(original.as_fd(), number).map_err(os)?;
        sys::before_exec(
            self,
            Numbered {
                number,
                copy,
                _original: original,
            },
        );
        Ok(self)
    }
}

/// A descriptor on its way to its number. Both copies stay open here: in a number that is free the
/// standard library would put a pipe of its own, by which it hears whether exec failed.
struct Numbered {
    number: RawFd,
    copy: OwnedFd,
    _original: OwnedFd,
}

impl BeforeExec for Numbered {
    fn run(&self) -> io::Result<()> {
        sys::put_under(self.copy.as_fd(), self.number)
    }
}

impl fmt::Debug for Once {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Once").finish_non_exhaustive()
    }
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for std::process::Command {}
}
