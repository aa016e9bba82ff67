//! When a dead worker is replaced: at once, later, or not for a while. It reads no clock.

use std::time::{Duration, Instant};

/// The delay before the second replacement in a row.
const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(10);
/// So many deaths in a row of one worker open the circuit.
const IN_A_ROW: u32 = 8;
/// How long it stays open.
const COOLING: Duration = Duration::from_secs(30);

/// What is known of the deaths so far.
#[derive(Debug, Default)]
pub(crate) struct Restarts {
    /// By worker: lives in a row that proved nothing.
    rows: Vec<u32>,
    open: Option<Instant>,
    /// The most deaths of any kind within a time, if that is limited.
    intensity: Option<(usize, Duration)>,
    recent: Vec<Instant>,
}

/// How a worker's life ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct End {
    /// It had done something since its start, and is no sign of a fault that the next one would share.
    pub(crate) proved: bool,
    /// It ended by itself, and well: the next is made later if it did nothing, but that opens no circuit.
    pub(crate) well: bool,
}

/// When a worker is to be replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    Now,
    At(Instant),
}

impl Restarts {
    /// With a limit of deaths of any kind within a time.
    pub(crate) fn new(intensity: Option<(usize, Duration)>) -> Self {
        Restarts {
            intensity,
            ..Restarts::default()
        }
    }

    /// Notes the end of a worker. `random` is any number.
    pub(crate) fn ended(&mut self, worker: usize, end: End, now: Instant, random: u64) -> Next {
        if self.rows.len() <= worker {
            self.rows.resize(worker + 1, 0);
        }
        let row = &mut self.rows[worker];
        *row = match end {
            End { proved: true, .. } => 0,
            End { well: true, .. } => (*row + 1).min(IN_A_ROW - 1),
            End { .. } => *row + 1,
        };
        let row = *row;
        if !end.well && (row >= IN_A_ROW || self.is_too_many(now)) {
            self.open = Some(now + COOLING);
        }
        if let Some(until) = self.open.filter(|&until| until > now) {
            return Next::At(until);
        }
        if row <= 1 {
            Next::Now
        } else {
            Next::At(now + delay(row, random))
        }
    }

    /// Whether nothing is replaced for a while.
    pub(crate) fn is_open(&self, now: Instant) -> bool {
        self.open.is_some_and(|until| until > now)
    }

    /// Begins anew, as a reload does.
    pub(crate) fn forget(&mut self) {
        self.rows.clear();
        self.recent.clear();
        self.open = None;
    }

    fn is_too_many(&mut self, now: Instant) -> bool {
        let Some((most, within)) = self.intensity else {
            return false;
        };
        self.recent
            .retain(|&then| now.duration_since(then) < within);
        self.recent.push(now);
        self.recent.len() > most
    }
}

/// 100 ms after the second death in a row, then twice as long each time, up to 10 s; three quarters
/// of that at least, so that many workers do not start all at once.
fn delay(row: u32, random: u64) -> Duration {
    let whole = FIRST.saturating_mul(1 << (row - 2).min(16)).min(LONGEST);
    let part = u32::try_from(random % 1024).unwrap_or(0);
    whole * 3 / 4 + whole / 4096 * part
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAULT: End = End {
        proved: false,
        well: false,
    };
    const KILL: End = End {
        proved: true,
        well: false,
    };

    /// The delays of so many deaths in a row, of a worker that dies at once.
    fn delays(deaths: usize) -> Vec<Duration> {
        let (mut restarts, mut now) = (Restarts::default(), Instant::now());
        let die = |_| match restarts.ended(0, FAULT, now, 1023) {
            Next::Now => Duration::ZERO,
            Next::At(then) => {
                let delay = then - now;
                now = then;
                delay
            }
        };
        (0..deaths).map(die).collect()
    }

    #[test]
    fn the_first_is_replaced_at_once_then_ever_later() {
        let delays = delays(7);
        assert_eq!(delays[0], Duration::ZERO);
        assert!(delays[1] > FIRST * 99 / 100 && delays[1] <= FIRST);
        assert!(
            delays
                .windows(2)
                .skip(1)
                .all(|pair| pair[1] >= pair[0] * 3 / 2)
        );
    }

    #[test]
    fn a_row_opens_the_circuit_for_all() {
        let (mut restarts, now) = (Restarts::default(), Instant::now());
        for _ in 0..IN_A_ROW {
            restarts.ended(0, FAULT, now, 0);
        }
        assert!(restarts.is_open(now));
        assert_eq!(restarts.ended(1, KILL, now, 0), Next::At(now + COOLING));
        assert!(!restarts.is_open(now + COOLING));
        assert_eq!(restarts.ended(1, KILL, now + COOLING, 0), Next::Now);
    }

    #[test]
    fn deaths_after_work_are_replaced_at_once_however_many() {
        let (mut restarts, now) = (Restarts::default(), Instant::now());
        assert!((0..1000).all(|_| restarts.ended(0, KILL, now, 0) == Next::Now));
    }

    #[test]
    fn a_configured_rate_counts_every_death() {
        let now = Instant::now();
        let mut restarts = Restarts::new(Some((3, Duration::from_secs(1))));
        let died = |restarts: &mut Restarts, at| restarts.ended(0, KILL, at, 0);
        assert!((0..3).all(|_| died(&mut restarts, now) == Next::Now));
        assert_ne!(died(&mut restarts, now), Next::Now);
        let later = now + COOLING;
        assert_eq!(died(&mut restarts, later), Next::Now);
    }

    #[test]
    fn who_ends_well_is_replaced_later_if_he_did_nothing_but_opens_no_circuit() {
        let now = Instant::now();
        let mut restarts = Restarts::new(Some((3, Duration::from_secs(1))));
        let mut ended = |proved| restarts.ended(0, End { proved, well: true }, now, 0);
        assert!((0..100).all(|_| ended(true) == Next::Now));
        let last = (0..100).map(|_| ended(false)).last().unwrap();
        assert!(matches!(last, Next::At(then) if then < now + LONGEST));
        assert!(!restarts.is_open(now));
    }

    #[test]
    fn jitter_takes_a_quarter_at_most() {
        for random in 0..2000 {
            let delay = delay(3, random);
            assert!(delay >= FIRST * 2 * 3 / 4 && delay <= FIRST * 2);
        }
    }
}
