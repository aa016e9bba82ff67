//! By how much deadlines were overrun.

use std::fmt;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use super::kill::given;

/// By how much a deadline may be overrun.
const PROMISED: Duration = Duration::from_millis(10);

/// What this process's calls with a deadline took beyond it.
pub(super) struct Overrun {
    worst: Duration,
    /// The same, less the time for which this process was ready to run and others had the processor.
    own: Duration,
    calls: u64,
    /// Of those: so many reached their deadline.
    reached: u64,
    /// None where the kernel keeps no such account: then all is its own.
    schedule: Option<File>,
}

impl Overrun {
    pub(super) fn new() -> Self {
        Overrun {
            worst: Duration::ZERO,
            own: Duration::ZERO,
            calls: 0,
            reached: 0,
            schedule: File::open("/proc/self/schedstat").ok(),
        }
    }

    /// Notes how long `call` took, which may take `timeout`.
    pub(super) fn of<T>(&mut self, timeout: Duration, call: impl FnOnce() -> T) -> T {
        let (start, kept) = (Instant::now(), self.kept_waiting());
        let result = call();
        let took = start.elapsed();
        self.calls += 1;
        if let Some(late) = took.checked_sub(timeout) {
            self.reached += 1;
            self.worst = self.worst.max(late);
            let kept = self.kept_waiting().saturating_sub(kept);
            self.own = self.own.max(late.saturating_sub(kept));
        }
        result
    }

    /// Fails if no deadline was reached, or one was overrun by more than is promised; if the environment
    /// has this variable.
    pub(super) fn check(&self, variable: &str) {
        if given(variable).is_some() {
            assert!(self.reached > 0, "no deadline passed");
            let own = self.own;
            assert!(own < PROMISED, "a deadline was overrun by {own:?}");
        }
    }

    /// How long this process has been ready and did not run.  `proc_pid_schedstat(5)`
    fn kept_waiting(&self) -> Duration {
        let read = || {
            let mut text = [0; 64];
            let len = self.schedule.as_ref()?.read_at(&mut text, 0).ok()?;
            let text = std::str::from_utf8(&text[..len]).ok()?;
            text.split(' ').nth(1)?.parse().ok()
        };
        Duration::from_nanos(read().unwrap_or(0))
    }
}

impl fmt::Display for Overrun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} of {} deadlines reached, overrun by {:?} at most, {:?} of them its own",
            self.reached, self.calls, self.worst, self.own
        )
    }
}
