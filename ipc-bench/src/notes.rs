//! What stands above and below the table: on what was measured, and what to keep in mind.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::columns::{median, range};
use crate::plan::{Plan, Verify};
use crate::results::{Missing, Row, Run};
use crate::units::{bytes, digits, time_unit, with_unit};

/// On what, and how.
pub(crate) fn heading(run: &Run, plan: &Plan) -> String {
    let names = |names: Vec<&str>| names.join("/");
    let verified = match plan.verify {
        Verify::Sample => "every message checked",
        Verify::Full => "every byte of every message checked",
    };
    let seconds = plan.time.as_secs_f64();
    let repeated = match plan.repeat {
        1 => String::new(),
        n => format!(", medians of {n} repetitions"),
    };
    format!(
        "{}\n\
         two processes, placement {}, spin {}, {seconds} s a cell{repeated}, {verified}\n",
        run.machine.describe(),
        names(plan.placements.iter().map(|p| p.name()).collect()),
        names(plan.spins.iter().map(|s| s.name()).collect()),
    )
}

/// What to keep in mind.
pub(crate) fn notes(run: &Run) -> String {
    let mut text = String::from("\n");
    if run
        .results
        .iter()
        .any(|row| !row.mechanism.starts_with("raw-"))
    {
        text += "of floor: p50 (under 1 is quicker), or msg/s (over 1 is quicker), divided by the \
                 floor's below; that of shm\nis raw-ring, of shm-untrusted \
                 raw-ring-copy, where both have a core and it polls, else raw-futex-ring; of async-* \
                 it is tokio-*\n";
    }
    let probes: Vec<f64> = run
        .results
        .iter()
        .filter_map(|row| row.core_to_core_ns)
        .collect();
    if let Some(middle) = median(&probes) {
        let time = |ns| with_unit(ns, time_unit(ns));
        let (least, most) = range(&probes);
        let _ = writeln!(
            text,
            "core to core: a cache line took {} there and back ({} to {}), probed around each cell",
            time(middle),
            time(least),
            time(most)
        );
    }
    let _ = writeln!(
        text,
        "clock: reading it costs {} ns, which each round trip includes",
        digits(run.machine.clock_ns)
    );
    text + &asks(&run.results)
        + &missing("cannot carry", &run.refused)
        + &missing("FAILED", &run.failed)
}

/// What rows ask for beyond the defaults; in which pattern, where not all of that size do.
fn asks(rows: &[Row]) -> String {
    let mut asked = BTreeMap::<_, Vec<usize>>::new();
    for row in rows {
        if let Some(what) = &row.asks {
            let same = |r: &&Row| r.mechanism == row.mechanism && r.size == row.size;
            let all = rows.iter().filter(same).all(|r| r.asks.is_some());
            let pattern = (!all).then(|| row.pattern.name());
            let sizes = asked.entry((&row.mechanism, what, pattern)).or_default();
            if !sizes.contains(&row.size) {
                sizes.push(row.size);
            }
        }
    }
    let mut text = String::new();
    for ((mechanism, what, pattern), sizes) in asked {
        let mut cells: Vec<_> = sizes.into_iter().map(bytes).collect();
        cells.extend(pattern.map(str::to_owned));
        let _ = writeln!(text, "{mechanism} at {}: asks for {what}", cells.join(", "));
    }
    text
}

/// A line for each mechanism, size and reason.
fn missing(verdict: &str, cells: &[Missing]) -> String {
    let mut lines = Vec::new();
    for cell in cells {
        let (name, size) = (&cell.mechanism, bytes(cell.size));
        let line = match verdict {
            "FAILED" => format!(
                "{name} FAILED at {size}, {}: {}\n",
                cell.pattern.name(),
                cell.reason
            ),
            _ => format!("{name} {verdict} {size}: {}\n", cell.reason),
        };
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    lines.concat()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::plan::Pattern;
    use crate::results::tests::{cell, measured};

    #[test]
    fn asks_tell_the_pattern_where_not_all_do() {
        let row = |(pattern, size)| {
            let measured = measured(1, Duration::from_secs(1));
            Row::new(&cell("shm", pattern, size), &measured)
        };
        let (small, large) = (65_536, 1 << 20);
        let rows = [
            (Pattern::RoundTrip, small),
            (Pattern::InPlace, small),
            (Pattern::RoundTrip, large),
            (Pattern::InPlace, large),
        ];
        assert_eq!(
            asks(&rows.map(row)),
            "shm at 1 MiB: asks for rings of two messages\n\
             shm at 64 KiB, in-place: asks for rings of two messages\n"
        );
    }
}
