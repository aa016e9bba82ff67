//! The isolated runner: every case in its own single-threaded process, under a watchdog.
//!
//! Umask, descriptors, signals, allocator and forks belong to a process as a whole, so tests that
//! touch them cannot share one. The test binary (`harness = false`) lists its cases as libtest
//! would; to run one it executes itself again.

use std::env;
use std::fs::File;
use std::io::{Read, Seek};
use std::os::fd::AsFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{self, Command, ExitCode, ExitStatus, Stdio};
use std::time::Duration;

use libtest_mimic::{Arguments, Completion, Failed, Trial};

use super::sys;
use crate::{Interest, Wait, poll};

/// Names the case that this process is to run.
const CASE: &str = "IPC_TEST_CASE";
/// Seconds until a case counts as hung: for a debugger, an emulator, or a test of the watchdog.
const SECONDS: &str = "IPC_TEST_SECONDS";
const DEFAULT_SECONDS: u64 = 60;
/// The exit status of a case that skipped itself, as automake has it.
const SKIPPED: i32 = 77;

/// Expands to the `main` of a test binary that runs each of these functions isolated.
///
/// A case is a `fn()` that panics to fail. It runs on the main thread of a process of its own, in
/// which no other thread exists, and may fork, change the umask or die. A case that takes more than
/// a minute is killed with all its children and fails; so does one that leaves a child behind, a
/// zombie included. `cargo test` takes its usual arguments.
///
/// ```no_run
/// fn umask_is_ours_to_change() {
///     // ...
/// }
///
/// ipc_core::cases! { umask_is_ours_to_change }
/// ```
///
/// What this binary is to do in other processes, those that a case starts, say, comes before: `first { .. }`.
#[macro_export]
macro_rules! cases {
    (first $first:block $($case:path),+ $(,)?) => {
        fn main() -> ::std::process::ExitCode {
            $first
            $crate::conformance::run(vec![
                $($crate::conformance::Case::new(stringify!($case), $case)),+
            ])
        }
    };
    ($($case:path),+ $(,)?) => {
        $crate::cases! { first {} $($case),+ }
    };
}

/// One test, by name.
pub struct Case {
    name: &'static str,
    run: Box<dyn Fn()>,
    excepted: bool,
}

impl Case {
    /// A case that fails when `run` panics.
    pub fn new(name: &'static str, run: impl Fn() + 'static) -> Self {
        Case {
            name,
            run: Box::new(run),
            excepted: false,
        }
    }

    /// The same case, listed as ignored; `--ignored` runs it.
    #[must_use]
    pub fn except(self) -> Self {
        Case {
            excepted: true,
            ..self
        }
    }

    /// Its name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Runs it here, without isolation.
    pub fn call(&self) {
        (self.run)();
    }

    fn trial(&self, nocapture: bool) -> Trial {
        let name = self.name;
        Trial::ignorable_test(name, move || isolate(name, nocapture))
            .with_ignored_flag(self.excepted)
    }
}

impl std::fmt::Debug for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Case")
            .field("name", &self.name)
            .field("excepted", &self.excepted)
            .finish_non_exhaustive()
    }
}

/// The `main` of a test binary: runs the one case that this process was started for, or, as the
/// test runner, every case that the command line asks for in a process of its own.
///
/// # Panics
///
/// If the case fails, or leaves a process behind.
#[expect(clippy::needless_pass_by_value)] // it runs once, at the end of everything
pub fn run(cases: Vec<Case>) -> ExitCode {
    let Ok(name) = env::var(CASE) else {
        let arguments = Arguments::from_args();
        let trials = cases.iter().map(|case| case.trial(arguments.nocapture));
        return libtest_mimic::run(&arguments, trials.collect()).exit_code();
    };
    sys::enter_isolation(CASE);
    let case = cases.iter().find(|case| case.name == name);
    case.unwrap_or_else(|| panic!("there is no case {name}"))
        .call();
    let left = sys::kill_children();
    assert!(left.is_empty(), "left a process behind: {left:?}");
    ExitCode::SUCCESS
}

/// Ends this case as skipped, visibly: the test runner lists it as ignored, with the reason.
///
/// Only for what the machine lacks.
pub fn skip(reason: &str) -> ! {
    eprintln!("{reason}");
    process::exit(SKIPPED)
}

/// Runs the case `name` in a process of its own, and its whole group with it out of the world.
fn isolate(name: &str, nocapture: bool) -> Result<Completion, Failed> {
    // A file, not a pipe: a child that was left behind cannot hold its end open.
    let mut output = File::from(sys::memfd()?);
    let mut command = Command::new(env::current_exe()?);
    command
        .env(CASE, name)
        .process_group(0)
        .stdin(Stdio::null());
    if !nocapture {
        command
            .stdout(output.try_clone()?)
            .stderr(output.try_clone()?);
    }
    let mut child = command.spawn()?;
    let pidfd = sys::pidfd_open(child.id())?;
    let limit = limit();
    let ended = poll(pidfd.as_fd(), Interest::Read, Wait::from(limit))?;
    // Not reaped yet, so that the group's id is still its own.
    sys::kill_group(child.id());
    let status = child.wait()?;

    let mut text = String::new();
    output.rewind()?;
    output.read_to_string(&mut text)?;
    if !ended {
        return Err(format!("{text}\nhung: killed after {limit:?}").into());
    }
    match status.code() {
        Some(0) => Ok(Completion::Completed),
        Some(SKIPPED) => {
            let reason = text.lines().last().unwrap_or_default();
            Ok(Completion::ignored_with(reason))
        }
        _ => Err(format!("{text}\n{}", describe(status)).into()),
    }
}

fn limit() -> Duration {
    let seconds = env::var(SECONDS).ok().and_then(|text| text.parse().ok());
    Duration::from_secs(seconds.unwrap_or(DEFAULT_SECONDS))
}

fn describe(status: ExitStatus) -> String {
    match status.signal() {
        Some(signal) => format!("killed by signal {signal}"),
        None => format!("{status}"),
    }
}
