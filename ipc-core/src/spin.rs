//! The one polling policy: how long to look before sleeping in the kernel.
//!
//! Across processors a wake-up by the kernel costs tens of microseconds, and a look that finds the
//! message costs well under one; on a shared processor every look delays the peer. So the policy
//! learns from success. Its figures come from measurements, given in `DESIGN.md`.

use std::hint;
use std::thread;
use std::time::{Duration, Instant};

use crate::{Result, Wait};

/// Whether a waiting half polls before it sleeps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Spin {
    /// Polls for a bounded time that is learned from success, yields the processor in between, then
    /// sleeps. Near spinning across processors, near sleeping on a shared one, idle at no cost.
    #[default]
    Adaptive,
    /// Sleeps at once.
    Never,
    /// Never sleeps. For a processor of one's own, and for measuring.
    Always,
}

/// What one look costs: the policy spends time, not looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// A load from memory.
    Load,
    /// A system call.
    Call,
}

/// The longest poll before a sleep: above two wake-ups, so that two polling ends can meet again.
const MAX: Duration = Duration::from_micros(50);
/// A budget under this is none.
const MIN: Duration = Duration::from_micros(2);
/// The poll that follows a wake-up, where there is no budget.
const AFTERGLOW: Duration = Duration::from_micros(4);
/// The longest wait that a probe tries to catch.
const PROBED: Duration = Duration::from_micros(100);
/// A failed probe is paid for by this many times its length without another.
const PROBE_COST: u32 = 50;
/// Processor yields before a sleep.
const YIELDS: u32 = 4;
/// How often [`Spin::Always`] asks the kernel whether the peer still lives.
const ALIVE: Duration = Duration::from_micros(50);

/// One half's polling, and what it has learned.
///
/// Used by the mechanisms' own halves; a program chooses a [`Spin`].
#[derive(Debug)]
pub struct Poller {
    spin: Spin,
    looks: u32,
    max: Duration,
    budget: Duration,
    yields: Backoff,
    afterglow: Backoff,
    woken: bool,
    /// How long the last wait took that no poll caught.
    missed: Duration,
    no_probe_until: Option<Instant>,
}

impl Poller {
    /// A poller that has learned nothing yet.
    pub fn new(spin: Spin, look: Look) -> Self {
        Poller {
            spin,
            looks: match look {
                Look::Load => 64,
                Look::Call => 8,
            },
            max: MAX,
            budget: MAX,
            yields: Backoff::default(),
            afterglow: Backoff::default(),
            woken: false,
            missed: Duration::ZERO,
            no_probe_until: None,
        }
    }

    /// The policy.
    pub fn spin(&self) -> Spin {
        self.spin
    }

    /// Tells the length of the messages at hand: the poll must cover the peer's copy of one.
    #[inline]
    pub fn expect_len(&mut self, len: usize) {
        self.max = MAX + Duration::from_nanos(len as u64 / 8);
    }

    /// Waits until `look` finds something: polls as the policy says, then calls `sleep`, again and
    /// again. The caller has looked once already.
    ///
    /// `sleep` may return early; with [`Wait::Never`] it only asks whether the peer still lives,
    /// which is how [`Spin::Always`] notices a death that `look` cannot see.
    ///
    /// # Errors
    ///
    /// What `look` and `sleep` fail with, and [`Wait::error`] when the wait is over.
    #[inline(never)]
    pub fn wait<C, T>(
        &mut self,
        wait: Wait,
        context: &mut C,
        mut look: impl FnMut(&mut C) -> Result<Option<T>>,
        mut sleep: impl FnMut(&mut C, Wait) -> Result<()>,
    ) -> Result<T> {
        let mut look = |context: &mut C| look(context).transpose();
        loop {
            let found = match self.spin {
                Spin::Adaptive => self.poll(wait, || look(context)),
                Spin::Never => None,
                Spin::Always => looks(self.looks, &mut || look(context))
                    .or_else(|| spin(Instant::now(), ALIVE, wait, &mut || look(context))),
            };
            if let Some(found) = found {
                return found;
            }
            if wait.is_over() {
                return Err(wait.error());
            }
            if self.spin == Spin::Always {
                sleep(context, Wait::Never)?;
            } else {
                let start = Instant::now();
                sleep(context, wait)?;
                self.woken = true;
                self.missed += start.elapsed();
            }
            if let Some(found) = look(context) {
                return found;
            }
        }
    }

    /// Polls for as long as it seems worth while; `None` is time to sleep.
    fn poll<T>(&mut self, wait: Wait, mut look: impl FnMut() -> Option<T>) -> Option<T> {
        let budget = self.budget.min(self.max);
        if budget > Duration::ZERO {
            // Most waits end here, and a clock read would be a good part of them.
            let found = looks(self.looks, &mut look);
            if found.is_some() {
                self.budget = (budget * 2).min(self.max);
                return self.caught(found);
            }
        }
        let start = Instant::now();
        if budget > Duration::ZERO {
            let found = spin(start, budget, wait, &mut look);
            if found.is_some() {
                self.budget = (budget * 2).min(self.max);
                return self.caught(found);
            }
            self.budget = if budget / 2 < MIN {
                Duration::ZERO
            } else {
                budget / 2
            };
        }
        if self.yields.allows() {
            for _ in 0..YIELDS {
                thread::yield_now();
                let found = look();
                if found.is_some() {
                    self.yields.hit();
                    return self.caught(found);
                }
            }
            self.yields.miss();
        }
        if self.budget > Duration::ZERO {
            return None;
        }
        if self.probes(start) {
            let found = spin(start, self.missed * 3 / 2, wait, &mut look);
            let cost = start.elapsed();
            if found.is_some() && cost <= self.max {
                self.budget = self.max;
                self.afterglow.hit();
            } else {
                self.no_probe_until = start.checked_add(cost * PROBE_COST);
            }
            if found.is_some() {
                return self.caught(found);
            }
        } else if std::mem::take(&mut self.woken) && self.afterglow.allows() {
            let found = spin(start, AFTERGLOW, wait, &mut look);
            if found.is_some() {
                self.afterglow.hit();
                self.budget = MIN * 2;
                return self.caught(found);
            }
            self.afterglow.miss();
        }
        self.missed = start.elapsed();
        None
    }

    fn probes(&mut self, now: Instant) -> bool {
        let worth = self.missed > Duration::ZERO && self.missed <= PROBED;
        worth && self.no_probe_until.is_none_or(|until| now >= until)
    }

    fn caught<T>(&mut self, found: Option<T>) -> Option<T> {
        self.woken = false;
        found
    }
}

/// Looks so many times, without reading the clock.
#[inline]
fn looks<T>(count: u32, look: &mut impl FnMut() -> Option<T>) -> Option<T> {
    for _ in 0..count {
        hint::spin_loop();
        let found = look();
        if found.is_some() {
            return found;
        }
    }
    None
}

/// Looks until something is found, `budget` is spent since `start`, or the wait is over.
fn spin<T>(
    start: Instant,
    budget: Duration,
    wait: Wait,
    look: &mut impl FnMut() -> Option<T>,
) -> Option<T> {
    let mut end = start + budget;
    if let Wait::Until(deadline) = wait {
        end = end.min(deadline);
    }
    while Instant::now() < end {
        let found = looks(8, look);
        if found.is_some() {
            return found;
        }
    }
    None
}

/// Something that is left out 1, 3, 7, 15, 31 times after misses in a row.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    skips: u32,
    left: u32,
}

impl Backoff {
    pub(crate) fn allows(&mut self) -> bool {
        let allowed = self.left == 0;
        self.left = self.left.saturating_sub(1);
        allowed
    }

    pub(crate) fn hit(&mut self) {
        *self = Backoff::default();
    }

    pub(crate) fn miss(&mut self) {
        self.skips = (self.skips * 2 + 1).min(31);
        self.left = self.skips;
    }
}
