//! What a half has learned about its waits: which ways of waiting are worth trying, and for how long.
//!
//! Nothing here reads a clock or sleeps; the figures' reasons are in `DESIGN.md`.

use std::time::Duration;

/// The longest poll before a sleep: above two wake-ups, so that two polling ends can meet again.
const MAX: Duration = Duration::from_micros(50);
/// A budget under this is none.
const MIN: Duration = Duration::from_micros(2);
/// The poll that follows a wake-up, where there is no budget.
const AFTERGLOW: Duration = Duration::from_micros(4);
/// The longest wait that a probe tries to catch: two wake-ups, and some work.
const PROBED: Duration = Duration::from_micros(75);
/// A sleep shorter than this was none: the message was there.
const NO_SLEEP: Duration = Duration::from_micros(1);
/// Receives that begin with a yield after one that a yield won.
const YIELDS_FIRST: u32 = 16;

/// What was learned.
#[derive(Debug)]
pub(super) struct Habit {
    /// Bytes of the messages at hand.
    len: usize,
    budget: Duration,
    yields: Backoff,
    yields_first: u32,
    probe: Backoff,
    afterglow: Backoff,
    /// Whether the last wait ended in sleep.
    woken: bool,
    /// How long it took that wait.
    missed: Duration,
}

/// A poll without a budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Attempt {
    /// As long as the last wait took: the peer may have learned to sleep, and each wakes the other.
    Probe(Duration),
    /// Short: the peer may have answered already.
    Afterglow,
}

impl Default for Habit {
    fn default() -> Self {
        Habit {
            len: 0,
            budget: MAX,
            yields: Backoff::default(),
            yields_first: 0,
            probe: Backoff::default(),
            afterglow: Backoff::default(),
            woken: false,
            missed: Duration::ZERO,
        }
    }
}

impl Habit {
    /// Messages have this length: the poll must cover the peer's copy of one.
    #[inline]
    pub(super) fn expect_len(&mut self, len: usize) {
        self.len = len;
    }

    /// The longest poll.
    fn max(&self) -> Duration {
        MAX + Duration::from_nanos(self.len as u64 / 8)
    }

    /// How long to poll first.
    #[inline]
    pub(super) fn budget(&self) -> Duration {
        self.budget.min(self.max())
    }

    /// That poll came to its end.
    #[inline]
    pub(super) fn polled(&mut self, found: bool) {
        let budget = self.budget();
        self.budget = match budget / 2 {
            _ if found => (budget * 2).min(self.max()),
            half if half < MIN => Duration::ZERO,
            half => half,
        };
        self.woken &= !found;
    }

    /// Whether to yield the processor a few times now.
    pub(super) fn yields(&mut self) -> bool {
        self.yields.allows()
    }

    /// Those yields came to their end.
    pub(super) fn yielded(&mut self, found: bool) {
        if found {
            self.yields.hit();
            self.woken = false;
        } else {
            self.yields.miss();
        }
        // On a processor of one's own a yield wins by chance.
        let shared = found && self.budget == Duration::ZERO;
        self.yields_first = if shared { YIELDS_FIRST } else { 0 };
    }

    /// Whether to yield before the first look, which is a system call, since it will find nothing.
    pub(super) fn yields_first(&mut self) -> bool {
        let yields = self.yields_first > 0;
        self.yields_first = self.yields_first.saturating_sub(1);
        yields
    }

    /// The poll to try although there is no budget.
    pub(super) fn attempt(&mut self) -> Option<Attempt> {
        if self.may_probe() && self.probe.allows() {
            Some(Attempt::Probe((self.missed * 3 / 2).min(self.max())))
        } else if self.woken && self.afterglow.allows() {
            Some(Attempt::Afterglow)
        } else {
            None
        }
    }

    /// That poll came to its end.
    pub(super) fn attempted(&mut self, attempt: Attempt, found: bool) {
        let max = self.max();
        let (backoff, budget) = match attempt {
            Attempt::Probe(_) => (&mut self.probe, max),
            Attempt::Afterglow => (&mut self.afterglow, MIN * 2),
        };
        if found {
            backoff.hit();
            (self.budget, self.woken) = (budget, false);
        } else {
            backoff.miss();
        }
    }

    /// Whether the next wait would begin with sleep, as the last one ended.
    pub(super) fn sleeps_first(&mut self) -> bool {
        let tries = self.yields.is_due()
            || (self.may_probe() && self.probe.is_due())
            || self.afterglow.is_due();
        if !self.woken || self.budget > Duration::ZERO || tries {
            return false;
        }
        self.yields.allows();
        if self.may_probe() {
            self.probe.allows();
        }
        self.afterglow.allows();
        true
    }

    /// The wait ended in sleep, and took so long in all.
    pub(super) fn slept(&mut self, took: Duration) {
        self.woken = took >= NO_SLEEP;
        self.missed = took;
    }

    fn may_probe(&self) -> bool {
        self.woken && self.missed <= PROBED
    }
}

impl Attempt {
    pub(super) fn length(self) -> Duration {
        match self {
            Attempt::Probe(length) => length,
            Attempt::Afterglow => AFTERGLOW,
        }
    }
}

/// Something that is left out 1, 3, 7, 15, 31 times after misses in a row.
#[derive(Debug, Default)]
pub struct Backoff {
    skips: u32,
    left: u32,
}

impl Backoff {
    /// Whether it is its turn; else one of the times is over that it is left out.
    pub fn allows(&mut self) -> bool {
        let allowed = self.is_due();
        self.left = self.left.saturating_sub(1);
        allowed
    }

    pub(crate) fn is_due(&self) -> bool {
        self.left == 0
    }

    /// It paid: it is its turn at once.
    pub fn hit(&mut self) {
        *self = Backoff::default();
    }

    /// It did not pay: it is left out more often.
    pub fn miss(&mut self) {
        self.skips = (self.skips * 2 + 1).min(31);
        self.left = self.skips;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How a wait ended, in the order in which they are tried.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    enum Won {
        Poll,
        Yield,
        Attempt,
        Sleep,
    }

    const fn us(micros: u64) -> Duration {
        Duration::from_micros(micros)
    }

    /// A wait as the poller makes it, and how long it polled in vain. The message comes after
    /// `comes`, or, on a processor shared with its sender, as soon as this side lets go.
    fn wait(habit: &mut Habit, comes: Duration, shared: bool) -> (Won, Duration) {
        let mut polled = habit.budget();
        if polled > Duration::ZERO {
            let found = !shared && comes <= polled;
            habit.polled(found);
            if found {
                return (Won::Poll, Duration::ZERO);
            }
        }
        let budget = polled;
        if habit.yields() {
            habit.yielded(shared);
            if shared {
                return (Won::Yield, polled);
            }
        }
        let attempt = habit.attempt().filter(|_| budget == Duration::ZERO);
        if let Some(attempt) = attempt {
            let found = !shared && comes <= attempt.length();
            habit.attempted(attempt, found);
            if found {
                return (Won::Attempt, polled);
            }
            polled += attempt.length();
        }
        habit.slept(comes.max(polled) + us(10));
        (Won::Sleep, polled)
    }

    #[test]
    fn a_message_that_comes_soon_is_polled_for() {
        let mut habit = Habit::default();
        for _ in 0..1000 {
            assert_eq!(wait(&mut habit, us(1), false).0, Won::Poll);
            assert!(!habit.sleeps_first() && !habit.yields_first());
        }
    }

    #[test]
    fn rare_messages_cost_next_to_no_polling() {
        for every in [100, 1000] {
            let mut habit = Habit::default();
            for _ in 0..10 {
                wait(&mut habit, us(every), false);
            }
            let polled: Duration = (0..1000)
                .map(|_| wait(&mut habit, us(every), false))
                .map(|(won, polled)| {
                    assert_eq!(won, Won::Sleep);
                    polled
                })
                .sum();
            assert!(polled < us(500), "{every}: {polled:?} in 1000 messages");
        }
    }

    #[test]
    fn rare_messages_are_slept_for_without_a_look() {
        let mut habit = Habit::default();
        let mut at_once = 0;
        for _ in 0..1000 {
            if habit.sleeps_first() {
                habit.slept(us(1000));
                at_once += 1;
            } else {
                wait(&mut habit, us(1000), false);
            }
        }
        assert!((900..980).contains(&at_once), "{at_once}");
        habit.slept(us(0));
        assert!(!habit.sleeps_first(), "what is there is looked for");
    }

    #[test]
    fn two_ends_that_wake_each_other_poll_again_within_32_waits() {
        // Each answers at once; who sleeps takes 20 us to wake up.
        let mut ends = [Habit::default(), Habit::default()];
        for end in &mut ends {
            for _ in 0..200 {
                wait(end, us(1000), false);
            }
        }
        let (mut asleep, mut rounds) = (true, 0);
        let mut in_a_row = 0;
        while in_a_row < 8 {
            for end in &mut ends {
                let comes = if asleep { us(21) } else { us(1) };
                asleep = wait(end, comes, false).0 == Won::Sleep;
                in_a_row = if asleep { 0 } else { in_a_row + 1 };
            }
            rounds += 1;
            assert!(rounds < 64, "{ends:?}");
        }
    }

    #[test]
    fn on_a_shared_processor_waits_are_won_by_yields_alone() {
        let mut habit = Habit::default();
        for _ in 0..10 {
            wait(&mut habit, us(2), true);
        }
        let mut first = 0;
        for _ in 0..170 {
            if habit.yields_first() {
                first += 1; // the look finds it
            } else {
                assert_eq!(wait(&mut habit, us(2), true), (Won::Yield, Duration::ZERO));
            }
        }
        assert_eq!(first, 160);
        habit.yielded(false);
        assert!(!habit.yields_first());
    }

    #[test]
    fn longer_messages_are_polled_for_longer() {
        let mut habit = Habit::default();
        habit.expect_len(1 << 20);
        habit.polled(true);
        assert!(habit.budget() > MAX);
        habit.expect_len(8);
        assert_eq!(habit.budget(), MAX + Duration::from_nanos(1));
    }
}
