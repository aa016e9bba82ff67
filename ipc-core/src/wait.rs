//! How long an operation may wait.

use std::time::{Duration, Instant};

use crate::Error;

/// How long an operation may wait.
///
/// A deadline is a point in time, not a length, so that a call interrupted by signals a thousand
/// times still ends when it was asked to.
///
/// ```
/// use ipc_core::Wait;
/// use std::time::Duration;
///
/// assert_eq!(Wait::from(Duration::MAX), Wait::Forever);
/// assert!(Wait::from(Duration::ZERO).is_over());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Do what can be done now; otherwise [`Error::WouldBlock`]. It never sleeps, but a large message
    /// takes its time, for as long as the peer keeps its bytes coming or takes them.
    Never,
    /// Wait until this instant; then [`Error::TimedOut`].
    Until(Instant),
    /// Wait as long as it takes.
    Forever,
}

impl Wait {
    /// The time left: `None` is no limit.
    pub fn remaining(self) -> Option<Duration> {
        match self {
            Wait::Never => Some(Duration::ZERO),
            Wait::Until(deadline) => Some(deadline.saturating_duration_since(Instant::now())),
            Wait::Forever => None,
        }
    }

    /// Whether no time is left.
    pub fn is_over(self) -> bool {
        self.remaining() == Some(Duration::ZERO)
    }

    /// The same, but no longer than until `deadline`, if there is one.
    pub(crate) fn or_until(self, deadline: Option<Instant>) -> Wait {
        match (self, deadline) {
            (Wait::Until(end), Some(deadline)) => Wait::Until(end.min(deadline)),
            (Wait::Forever, Some(deadline)) => Wait::Until(deadline),
            (wait, _) => wait,
        }
    }

    /// What a call returns whose wait is over: [`Error::WouldBlock`] if it was not allowed to
    /// wait, [`Error::TimedOut`] otherwise.
    pub fn error(self) -> Error {
        match self {
            Wait::Never => Error::WouldBlock,
            Wait::Until(_) | Wait::Forever => Error::TimedOut,
        }
    }
}

impl From<Duration> for Wait {
    /// The deadline that lies `timeout` from now; one too far for the clock is [`Wait::Forever`].
    fn from(timeout: Duration) -> Self {
        Instant::now()
            .checked_add(timeout)
            .map_or(Wait::Forever, Wait::Until)
    }
}
