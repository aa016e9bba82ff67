//! The one polling policy: how long to look before sleeping in the kernel.
//!
//! Across processors a wake-up by the kernel costs tens of microseconds, and a look that finds the
//! message costs well under one; on a shared processor every look delays the peer. So the policy
//! learns from success. Its figures come from measurements, given in `DESIGN.md`.

mod habit;

use std::hint;
use std::thread;
use std::time::{Duration, Instant};

use crate::{Result, Wait};
pub use habit::Backoff;
use habit::Habit;

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

/// Looks between two readings of the clock.
const LOOKS: u32 = 8;
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
    /// Looks without a reading of the clock.
    looks: u32,
    habit: Habit,
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
            habit: Habit::default(),
        }
    }

    /// The policy.
    pub fn spin(&self) -> Spin {
        self.spin
    }

    /// Tells the length of the messages at hand: the poll must cover the peer's copy of one.
    #[inline]
    pub fn expect_len(&mut self, len: usize) {
        self.habit.expect_len(len);
    }

    /// Where a look is a system call, before the first: yields the processor, if that is how the
    /// last waits were won. The look would find nothing.
    #[inline]
    pub fn yield_first(&mut self) {
        if self.spin == Spin::Adaptive && self.habit.yields_first() {
            thread::yield_now();
        }
    }

    /// Where a look is a system call, before the first: whether to sleep at once, by one call that
    /// does what a look and a sleep would. It is to be made by [`sleep`](Self::sleep).
    #[inline]
    pub fn sleeps_first(&mut self) -> bool {
        match self.spin {
            Spin::Adaptive => self.habit.sleeps_first(),
            Spin::Never => true,
            Spin::Always => false,
        }
    }

    /// Makes a call that sleeps until the wait is over.
    #[inline]
    pub fn sleep<T>(&mut self, call: impl FnOnce() -> T) -> T {
        if self.spin == Spin::Never {
            return call();
        }
        let start = Instant::now();
        let done = call();
        self.habit.slept(start.elapsed());
        done
    }

    /// Waits until `look` finds something: polls as the policy says, then calls `sleep`, again and
    /// again. The caller has looked once already. What happened before the deadline is found, however late
    /// this process gets to look.
    ///
    /// `sleep` may return early; with [`Wait::Never`] it only asks whether the peer still lives,
    /// which is how [`Spin::Always`], and a last look, notice a death that `look` cannot see.
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
        let mut start = None;
        loop {
            let found = match self.spin {
                Spin::Adaptive => self.poll(&mut start, wait, &mut || look(context)),
                Spin::Never => None,
                Spin::Always => self.always(wait, &mut || look(context)),
            };
            if let Some(found) = found {
                return found;
            }
            // Others may have had the processor since the last look, and beyond the deadline.
            let is_last = wait.is_over();
            let always = self.spin == Spin::Always;
            sleep(context, if is_last || always { Wait::Never } else { wait })?;
            if let Some(start) = start.filter(|_| !is_last) {
                self.habit.slept(start.elapsed());
            }
            if let Some(found) = look(context) {
                return found;
            }
            if is_last {
                return Err(wait.error());
            }
        }
    }

    /// Polls for as long as it seems worth while; `None` is time to sleep. `start` is when the wait
    /// began, once that was of interest.
    #[inline]
    fn poll<T>(
        &mut self,
        start: &mut Option<Instant>,
        wait: Wait,
        look: &mut impl FnMut() -> Option<T>,
    ) -> Option<T> {
        let budget = self.habit.budget();
        if budget > Duration::ZERO {
            // Most waits end here, and a clock read would be a good part of them.
            let found = looks(self.looks, look).or_else(|| {
                let start = *start.get_or_insert_with(Instant::now);
                spin(start, budget, wait, look)
            });
            self.habit.polled(found.is_some());
            if found.is_some() {
                return found;
            }
        }
        if self.habit.yields() {
            let found = yields(look);
            self.habit.yielded(found.is_some());
            if found.is_some() {
                return found;
            }
        }
        let now = *start.get_or_insert_with(Instant::now);
        if budget > Duration::ZERO {
            return None;
        }
        let attempt = self.habit.attempt()?;
        let found = spin(now, attempt.length(), wait, look);
        self.habit.attempted(attempt, found.is_some());
        found
    }

    fn always<T>(&self, wait: Wait, look: &mut impl FnMut() -> Option<T>) -> Option<T> {
        looks(self.looks, look).or_else(|| spin(Instant::now(), ALIVE, wait, look))
    }
}

/// Looks so many times, without reading the clock.
#[inline]
fn looks<T>(count: u32, look: &mut impl FnMut() -> Option<T>) -> Option<T> {
    (0..count).find_map(|_| {
        hint::spin_loop();
        look()
    })
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
        let found = looks(LOOKS, look);
        if found.is_some() {
            return found;
        }
    }
    None
}

/// Lets others have the processor, who may be the peer.
fn yields<T>(look: &mut impl FnMut() -> Option<T>) -> Option<T> {
    (0..YIELDS).find_map(|_| {
        thread::yield_now();
        look()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Error;

    const MOMENT: Duration = Duration::from_millis(1);

    /// Waits while others have the processor, until after the deadline. Only then something comes: what
    /// the kernel tells when it is asked, and then a look finds.
    fn wait_late(spin: Spin, told: fn() -> Result<()>) -> Result<()> {
        let mut asked = false;
        let look = |asked: &mut bool| {
            thread::sleep(MOMENT * 2);
            Ok(asked.then_some(()))
        };
        let sleep = |asked: &mut bool, wait| {
            *asked = wait == Wait::Never;
            if *asked { told() } else { Ok(()) }
        };
        Poller::new(spin, Look::Call).wait(MOMENT.into(), &mut asked, look, sleep)
    }

    #[test]
    fn who_comes_late_to_his_deadline_looks_once_more() {
        for spin in [Spin::Adaptive, Spin::Never, Spin::Always] {
            assert!(wait_late(spin, || Ok(())).is_ok());
            let gone = wait_late(spin, || Err(Error::Disconnected));
            assert!(matches!(gone, Err(Error::Disconnected)), "{gone:?}");
        }
    }

    #[test]
    fn a_deadline_without_anything_is_kept() {
        for spin in [Spin::Adaptive, Spin::Never, Spin::Always] {
            let nothing = |(): &mut ()| Ok(None::<()>);
            let sleep = |(): &mut (), _| Ok(());
            let start = Instant::now();
            let waited = Poller::new(spin, Look::Load).wait(MOMENT.into(), &mut (), nothing, sleep);
            assert!(matches!(waited, Err(Error::TimedOut)));
            assert!(start.elapsed() >= MOMENT);
        }
    }
}
