use std::time::Duration;

use super::*;
use crate::cells::{Late, Latency};
use crate::mechanisms;
use crate::plan::Verify;
use crate::results::tests::measured;

/// Half a MiB: as many MiB/s are half as many messages.
const SIZE: usize = 512 << 10;

fn plan(names: &[&str], patterns: &[Pattern]) -> Plan {
    let find = |&name| mechanisms::find(name).unwrap();
    Plan {
        mechanisms: names.iter().map(find).collect(),
        patterns: patterns.to_vec(),
        sizes: vec![SIZE],
        placements: vec![Placement::Split],
        spins: vec![Polling::Adaptive],
        time: Duration::from_secs(1),
        rate: 1000,
        repeat: 1,
        verify: Verify::Sample,
    }
}

/// Each cell of the plan has the next p50 in ns, and half as many messages a second.
fn rows(plan: &Plan, p50s: &[u64]) -> Vec<Row> {
    let cells = plan.cells();
    assert_eq!(cells.len(), p50s.len());
    let row = |(cell, &p50): (_, &u64)| {
        let latency = Latency {
            mean_ns: 0.0,
            p50_ns: p50,
            p90_ns: p50 + 1,
            p99_ns: p50 + 2,
            p999_ns: p50 + 3,
            max_ns: p50 + 4,
        };
        let mut measured = measured(
            1000,
            Duration::from_secs(2000) / u32::try_from(p50).unwrap(),
        );
        measured.figures.latency = Some(latency);
        measured.cpu = Duration::from_micros(p50 + 100);
        Row::new(cell, &measured)
    };
    cells.iter().zip(p50s).map(row).collect()
}

#[track_caller]
fn shows(rows: &[Row], plan: &Plan, expected: &[&str]) {
    let screen = Screen {
        columns: usize::MAX,
        colours: false,
    };
    let text = render(rows, plan, screen);
    assert_eq!(text.lines().collect::<Vec<_>>(), expected, "{text}");
}

#[test]
fn of_floor_is_what_it_was_divided_by_the_floor_of_the_placement() {
    let placements = vec![Placement::Split, Placement::Same];
    let plan = Plan {
        placements,
        ..plan(
            &["shm", "raw-ring", "raw-futex-ring"],
            &[Pattern::RoundTrip, Pattern::Stream],
        )
    };
    let p50s = [200, 100, 800, 600, 200, 100].repeat(2);
    shows(
        &rows(&plan, &p50s),
        &plan,
        &[
            "",
            "512 KiB, split    there and back: p50     p99   p99.9     max  of floor  one way: msg/s  MiB/s  of floor",
            "shm                            200 ns  202 ns  203 ns  204 ns      2.00             300    150      3.00",
            "  raw-ring                     100 ns  102 ns  103 ns  104 ns                       100   50.0",
            "  raw-futex-ring               800 ns  802 ns  803 ns  804 ns                      50.0   25.0",
            "",
            "512 KiB, same     there and back: p50     p99   p99.9     max  of floor  one way: msg/s  MiB/s  of floor",
            "shm                            200 ns  202 ns  203 ns  204 ns      0.25             300    150      6.00",
            "  raw-ring                     100 ns  102 ns  103 ns  104 ns                       100   50.0",
            "  raw-futex-ring               800 ns  802 ns  803 ns  804 ns                      50.0   25.0",
        ],
    );
}

#[test]
fn of_several_repetitions_the_median_stands_beside_the_least_and_the_most() {
    let patterns = [Pattern::RoundTrip, Pattern::Stream];
    let plan = Plan {
        repeat: 3,
        ..plan(&["pipe", "raw-pipe"], &patterns)
    };
    let first = [100, 100, 100, 100];
    let second = [200, 100, 200, 100];
    let third = [600, 200, 600, 200];
    shows(
        &rows(&plan, &[first, second, third].concat()),
        &plan,
        &[
            "",
            "512 KiB     there and back: p50  min-max     p99   p99.9     max  of floor    min-max  one way: msg/s   min-max  MiB/s  of floor    min-max",
            "pipe                     200 ns  100-600  202 ns  203 ns  604 ns      2.00  1.00-3.00             100  50.0-300   50.0      2.00  1.00-3.00",
            "  raw-pipe               100 ns  100-200  102 ns  103 ns  204 ns                                 50.0  50.0-100   25.0",
        ],
    );
}

#[test]
fn paced_messages_are_divided_by_those_of_the_end_that_sleeps_at_once() {
    let plan = Plan {
        spins: vec![Polling::Adaptive, Polling::Never],
        ..plan(&["pipe"], &[Pattern::Paced, Pattern::Idle])
    };
    shows(
        &rows(&plan, &[200, 100, 300, 400]),
        &plan,
        &[
            "",
            "512 KiB         paced: p50     p99  of never  CPU/msg  of never  idle: CPU",
            "pipe, adaptive      200 ns  202 ns      2.00   300 ns      1.50     400 ns",
            "pipe, never         100 ns  102 ns             200 ns               500 ns",
        ],
    );
}

#[test]
fn late_recoveries_are_counted() {
    let plan = Plan {
        repeat: 2,
        ..plan(&["pipe"], &[Pattern::Stall])
    };
    let mut rows = rows(&plan, &[100, 300]);
    for row in &mut rows {
        let (late, given_up) = (3, 1);
        row.late = Some(Late { late, given_up });
    }
    shows(
        &rows,
        &plan,
        &[
            "",
            "512 KiB  recovery: p50  min-max     p99     max  over 1 ms   given up",
            "pipe            200 ns  100-300  202 ns  304 ns  6 of 2000  2 of 2000",
        ],
    );
}

#[test]
fn percentiles_of_too_few_are_left_out() {
    let plan = plan(&["pipe", "fifo", "unix", "tcp"], &[Pattern::RoundTrip]);
    let mut rows = rows(&plan, &[100, 200, 300, 400]);
    for (row, count) in rows.iter_mut().zip([99, 100, 999, 1000]) {
        row.count = count;
    }
    shows(
        &rows,
        &plan,
        &[
            "",
            "512 KiB  there and back: p50     p99   p99.9     max  of floor",
            "pipe                  100 ns       -       -  104 ns",
            "fifo                  200 ns  202 ns       -  204 ns",
            "unix                  300 ns  302 ns       -  304 ns",
            "tcp                   400 ns  402 ns  403 ns  404 ns",
        ],
    );
}
