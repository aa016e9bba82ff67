//! Into the background.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use nix::sys::wait::waitpid;
use nix::unistd::{Pid, setsid};

use crate::fork::{flush_streams, refuse_threads};
use crate::log_file::append_to;
use crate::{Error, LogFile, PidFile, Result, sys};

/// How a program goes into the background.
///
/// ```no_run
/// use ipc_process::{DaemonOptions, Signals};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let daemon = DaemonOptions::new()
///     .pid_file("/run/service.pid")
///     .log_file("/var/log/service.log")
///     .daemonize()?;
/// let mut signals = Signals::new([libc::SIGTERM, libc::SIGHUP])?;
/// while signals.recv()?.number() == libc::SIGHUP {
///     daemon.reopen_log()?;
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct DaemonOptions {
    pid_file: Option<PathBuf>,
    log_file: Option<PathBuf>,
}

/// What a daemon has. Dropping it removes the pid file.
#[derive(Debug)]
pub struct Daemon {
    pid_file: Option<PidFile>,
    log_file: Option<LogFile>,
}

impl DaemonOptions {
    /// No pid file; what is printed goes nowhere.
    pub fn new() -> Self {
        DaemonOptions::default()
    }

    /// Locks this file, so that there is one such daemon at a time: see [`PidFile`].
    pub fn pid_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.pid_file = Some(path.into());
        self
    }

    /// Appends stdout and stderr to this file: see [`LogFile`].
    pub fn log_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.log_file = Some(path.into());
        self
    }

    /// Goes on in the background: in a process of a new session, without a terminal, in the
    /// directory `/`. The process that was here ends with status 0 as soon as the daemon is there.
    ///
    /// Call it at the top of `main`: children stay those of the old process, and named objects and
    /// `SysV` queues that it made are left for somebody to remove. Under a service manager such as
    /// systemd call it not at all; a [`PidFile`] and [`Signals`](crate::Signals) do.
    ///
    /// # Errors
    ///
    /// After an error this process goes on, in the foreground, and there is no daemon.
    /// [`Held`](Error::Held) if there is such a daemon already; [`Threaded`](Error::Threaded);
    /// [`Os`](Error::Os) if a file cannot be opened or the kernel refuses.
    ///
    /// daemon(7), setsid(2)
    pub fn daemonize(&self) -> Result<Daemon> {
        refuse_threads()?;
        let mut pid_file = self
            .pid_file
            .as_deref()
            .map(PidFile::lock_only)
            .transpose()?;
        // Now, while somebody reads the error and the directory is the one that was meant.
        let log_file = self
            .log_file
            .as_deref()
            .map(std::path::absolute)
            .transpose();
        let log_file = log_file.map_err(|e| Error::os("getcwd", "log file", e))?;
        log_file.as_deref().map(append_to).transpose()?;
        let (told, tell) =
            sys::pipe().map_err(|e| Error::os("pipe2", "a daemon (limit: RLIMIT_NOFILE)", e))?;
        flush_streams();
        if let Some(child) = fork()? {
            drop(tell);
            let answer = hear(told.into());
            while waitpid(child, None) == Err(nix::Error::EINTR) {}
            answer?;
            sys::exit_now(0);
        }
        drop(told);
        let become_daemon = || -> Result<Option<LogFile>> {
            setsid().map_err(|e| Error::os("setsid", "the daemon", e))?;
            if fork()?.is_some() {
                sys::exit_now(0); // its child leads no session, and can get no terminal
            }
            std::env::set_current_dir("/").map_err(|e| Error::os("chdir", "/", e))?;
            pid_file.as_mut().map(PidFile::take_over).transpose()?;
            no_streams().map_err(|e| Error::os("open", "/dev/null", e))?;
            log_file.map(LogFile::open).transpose()
        };
        let mut tell = File::from(tell);
        match become_daemon() {
            Ok(log_file) => {
                let _ = tell.write_all(&[0]);
                Ok(Daemon { pid_file, log_file })
            }
            Err(error) => {
                let _ = write!(tell, "{error}");
                sys::exit_now(1)
            }
        }
    }
}

impl Daemon {
    /// Opens the log file anew, if there is one: what SIGHUP is for.
    ///
    /// # Errors
    ///
    /// As [`LogFile::reopen`].
    pub fn reopen_log(&self) -> Result<()> {
        self.log_file.as_ref().map_or(Ok(()), LogFile::reopen)
    }

    /// The pid file.
    pub fn pid_file(&self) -> Option<&PidFile> {
        self.pid_file.as_ref()
    }
}

fn fork() -> Result<Option<Pid>> {
    sys::fork().map_err(|e| Error::os("fork", "a daemon (limits: RLIMIT_NPROC, pids.max)", e))
}

/// What the daemon says: that it is there, or why not.
fn hear(mut told: File) -> Result<()> {
    let mut answer = Vec::new();
    let read = told.read_to_end(&mut answer);
    let reason = match read.map(|_| &*answer) {
        Ok([0]) => return Ok(()),
        Ok([]) => "it was killed before it was there".into(),
        Ok(text) => String::from_utf8_lossy(text).into_owned(),
        Err(error) => error.to_string(),
    };
    Err(Error::os(
        "daemonize",
        "the daemon",
        io::Error::other(reason),
    ))
}

/// Lets go of the terminal.
fn no_streams() -> io::Result<()> {
    let mut options = File::options();
    let null = options.read(true).write(true).custom_flags(libc::O_NOCTTY);
    let null = sys::off_the_standard_streams(null.open("/dev/null")?)?;
    nix::unistd::dup2_stdin(&null)?;
    nix::unistd::dup2_stdout(&null)?;
    nix::unistd::dup2_stderr(&null)?;
    Ok(())
}
