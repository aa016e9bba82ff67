//! One operation, stopped after every number of instructions.

use std::collections::BTreeMap;
use std::env;
use std::fmt;
use std::ops::RangeInclusive;

use crate::ends::Form;
use crate::tracee::{Step, Tracee};
use crate::watchdog::watch;

/// Stops of an operation where all are: only one that polls, in loops, has twice as many
/// instructions.
const MANY: usize = 20_000;

/// Where to stop an operation. To step through all that lies before would take the square of its
/// length: so it runs up to the last system call before.
#[derive(Clone, Copy)]
pub(crate) struct Point {
    /// Into each system call, and out of it.
    runs: usize,
    /// The instructions so far, and those that follow.
    before: usize,
    steps: usize,
}

/// How far an operation came.
#[derive(Default)]
pub(crate) struct Progress {
    pub(crate) stop: Stop,
    pub(crate) instructions: usize,
    /// Which of them were system calls, and in which of those it slept.
    system_calls: Vec<usize>,
    slept: Vec<usize>,
}

/// Where an operation was stopped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Stop {
    #[default]
    Inside,
    /// In a system call that sleeps.
    Asleep,
    /// Asleep, and nothing is left that could wake it.
    Stuck,
    /// Behind its end.
    Over,
}

impl Point {
    /// Over, or asleep for good.
    pub(crate) const END: Point = Point {
        runs: 0,
        before: 0,
        steps: usize::MAX,
    };

    /// After so many instructions of an operation that was seen to go like this.
    pub(crate) fn after(instructions: usize, seen: &Progress) -> Self {
        let calls = &seen.system_calls;
        let system_calls = calls.partition_point(|&call| call < instructions);
        let before = calls[..system_calls].last().copied().unwrap_or(0);
        Point {
            runs: 2 * system_calls,
            before,
            steps: instructions - before,
        }
    }

    /// In the system call that is this instruction.
    fn inside(call: usize, seen: &Progress) -> Self {
        let system_calls = seen.system_calls.partition_point(|&other| other < call);
        Point {
            runs: 2 * system_calls + 1,
            before: call - 1,
            steps: 1,
        }
    }
}

/// Lets an operation run to `point`. One that sleeps before is woken by `provoke`, which is false
/// when nothing is left that could wake it.
pub(crate) fn advance(
    tracee: &Tracee,
    point: Point,
    mut provoke: impl FnMut() -> bool,
) -> Progress {
    let mut progress = Progress::default();
    let mut wake = |mut step| {
        while step == Step::Asleep {
            if !provoke() {
                return Stop::Stuck;
            }
            step = tracee.finish();
        }
        match step {
            Step::Over => Stop::Over,
            _ => Stop::Inside,
        }
    };
    for _ in 0..point.runs {
        progress.stop = wake(tracee.run());
        if progress.stop != Stop::Inside {
            return progress;
        }
    }
    progress.instructions = point.before;
    for step in 1..=point.steps {
        let call = tracee.is_at_system_call() || (step == 1 && point.runs % 2 == 1);
        let end = tracee.step(call);
        progress.instructions += 1;
        if call {
            progress.system_calls.push(progress.instructions);
        }
        if end == Step::Asleep {
            progress.slept.push(progress.instructions);
            if step == point.steps {
                progress.stop = Stop::Asleep;
                break;
            }
        }
        progress.stop = wake(end);
        if progress.stop != Stop::Inside {
            break;
        }
    }
    progress
}

/// Stops an operation at every instruction, or, unless `SWEEP` in the environment is `all`, at `some`.
/// A trial says how much of the operation its survivor saw: the least and the most must be those of
/// `seen`. The survivor waits in this form and that.
pub(crate) fn sweep(
    name: &str,
    seen: RangeInclusive<usize>,
    forms: &[Form],
    some: usize,
    trial: impl Fn(Point, Form) -> (Progress, usize),
) {
    let all = env::var("SWEEP").is_ok_and(|text| text == "all");
    let stops = if all { MANY } else { some };
    let mut tally = Tally::default();
    watch(usize::MAX);
    let (whole, outcome) = trial(Point::END, forms[0]);
    tally.add(&whole, outcome);
    let points = (0..whole.instructions).step_by((whole.instructions / stops).max(1));
    let points = points.map(|instructions| Point::after(instructions, &whole));
    let slept = whole.slept.iter().map(|&call| Point::inside(call, &whole));
    for (point, &form) in points.chain(slept).zip(forms.iter().cycle()) {
        watch(point.before + point.steps);
        let (progress, outcome) = trial(point, form);
        tally.add(&progress, outcome);
    }
    println!("{name}: {tally}");
    assert!(
        whole.slept.is_empty() || tally.asleep > 0,
        "never stopped asleep"
    );
    assert!(tally.inside > 0, "never stopped inside");
    for outcome in [seen.start(), seen.end()] {
        assert!(tally.outcomes.contains_key(outcome), "never saw {outcome}");
    }
    assert!(tally.outcomes.keys().all(|outcome| seen.contains(outcome)));
}

/// The trials of an operation.
#[derive(Default)]
struct Tally {
    trials: usize,
    inside: usize,
    asleep: usize,
    instructions: usize,
    /// How often so much was seen, and the stops at which it was first and last.
    outcomes: BTreeMap<usize, (usize, usize, usize)>,
}

impl Tally {
    fn add(&mut self, progress: &Progress, seen: usize) {
        let point = progress.instructions;
        self.trials += 1;
        self.inside += usize::from(matches!(progress.stop, Stop::Inside | Stop::Asleep));
        self.asleep += usize::from(progress.stop == Stop::Asleep);
        self.instructions = self.instructions.max(progress.instructions);
        let outcome = self.outcomes.entry(seen).or_insert((0, point, point));
        *outcome = (outcome.0 + 1, outcome.1.min(point), outcome.2.max(point));
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} instructions, {} trials, {} of them inside ({} asleep); torn 0, hangs 0",
            self.instructions, self.trials, self.inside, self.asleep
        )?;
        for (seen, (count, first, last)) in &self.outcomes {
            write!(f, "; saw {seen}: {count} (after {first} to {last})")?;
        }
        Ok(())
    }
}
