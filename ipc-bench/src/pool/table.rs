//! The tables: tasks, replacements, reloads.

use std::fmt::Write;

use super::options::{Plan, What};
use super::results::{ReloadRow, ReplacementRow, Run, TaskRow};
use super::step::{Condition, Load, Subject, describe};
use crate::columns::{FOR_P99, median, range};
use crate::grid::{Grid, Weight};
use crate::placement::Placement;
use crate::units::{digits, rate_unit, time_unit, with_unit};

/// What stands where nothing was measured.
const NOTHING: &str = "-";

pub(super) fn render(run: &Run, plan: &Plan, colours: bool) -> String {
    let mut text = heading(run, plan);
    for what in &plan.what {
        text.push('\n');
        text += &match what {
            What::Tasks => tasks(run, plan),
            What::Replacement => replacements(run),
            What::Reload => reloads(run),
        }
        .render(colours);
    }
    text + &notes(run)
}

fn heading(run: &Run, plan: &Plan) -> String {
    let mut text = run.machine.describe() + "\na manager and its workers";
    if plan.what.contains(&What::Tasks) {
        let seconds = plan.time.as_secs_f64();
        let _ = write!(
            text,
            ", tasks of 64 B, {seconds} s a row, every answer checked"
        );
    }
    if plan.repeat > 1 {
        let _ = write!(text, ", medians of {} repetitions", plan.repeat);
    }
    text + "\n"
}

fn tasks(run: &Run, plan: &Plan) -> Grid {
    let mut grid = Grid::default();
    for &placement in &plan.placements {
        for &workers in &plan.workers {
            let here = |row: &&TaskRow| row.placement == placement && row.workers == workers;
            if !run.results.iter().any(|row| here(&row)) {
                continue;
            }
            if !grid.is_empty() {
                grid.push(Weight::Plain, Vec::new());
            }
            grid.push(Weight::Bold, titles(workers, placement, plan));
            for &task in &plan.tasks {
                for &window in &plan.windows {
                    let ns = u64::try_from(task.as_nanos()).unwrap_or(u64::MAX);
                    let own =
                        |row: &&TaskRow| here(row) && row.window == window && row.task_ns == ns;
                    let rows: Vec<_> = run.results.iter().filter(own).collect();
                    let floors: Vec<_> = run.floors.iter().filter(own).collect();
                    let label = format!("window {window}, {}", describe(task));
                    grid.push(Weight::Plain, line(label, &rows, &floors, plan.repeat > 1));
                }
            }
        }
    }
    grid
}

fn titles(workers: usize, placement: Placement, plan: &Plan) -> Vec<String> {
    let cores = match placement {
        Placement::Split => "two cores",
        Placement::Same => "one core",
        Placement::Free => "any core",
    };
    let s = if workers == 1 { "" } else { "s" };
    let mut titles = vec![
        format!("{workers} worker{s}, {cores}"),
        "tasks/s".to_owned(),
    ];
    titles.extend((plan.repeat > 1).then(|| "min-max".to_owned()));
    titles.extend(["p50", "p99", "fork: tasks/s", "pool of it"].map(str::to_owned));
    if workers == 1 {
        titles.extend(["rings: tasks/s", "pool of it"].map(str::to_owned));
    }
    titles
}

fn line(label: String, rows: &[&TaskRow], floors: &[&TaskRow], spreads: bool) -> Vec<String> {
    let rates = |rows: &[&TaskRow], subject: Subject| -> Vec<f64> {
        let of_it = rows.iter().filter(|row| row.subject == subject);
        of_it.map(|row| row.tasks_per_s).collect()
    };
    let times = |time: fn(&TaskRow) -> Option<u64>| -> Vec<f64> {
        let times = rows.iter().filter_map(|row| time(row));
        times.map(|ns| ns as f64).collect()
    };
    let own = rates(rows, Subject::Pool);
    let mut cells = vec![label, rate(&own)];
    cells.extend(spreads.then(|| spread(&own)));
    cells.push(time(&times(|row| Some(row.p50_ns))));
    cells.push(time(&times(|row| {
        (row.count >= FOR_P99).then_some(row.p99_ns)
    })));
    for floor in [Subject::Fork, Subject::Rings] {
        let floor = rates(floors, floor);
        if floor.is_empty() {
            continue;
        }
        cells.push(rate(&floor));
        cells.push(ratio(&own, &floor));
    }
    cells
}

fn replacements(run: &Run) -> Grid {
    let mut grid = Grid::default();
    let titles = [
        "SIGKILL of a worker to the next one's first instruction",
        "p50",
        "p99",
        "max",
        "fork: p50",
        "pool of it",
    ];
    grid.push(Weight::Bold, titles.map(str::to_owned).to_vec());
    for condition in Condition::ALL {
        let values = |subject: Subject, value: fn(&ReplacementRow) -> Option<f64>| -> Vec<f64> {
            let rows = run.replacement.iter();
            let rows = rows.filter(|row| row.subject == subject && row.condition == condition);
            rows.filter_map(value).map(|ms| ms * 1e6).collect()
        };
        let own = values(Subject::Pool, |row| Some(row.p50_ms));
        let floor = values(Subject::Fork, |row| Some(row.p50_ms));
        grid.push(
            Weight::Plain,
            vec![
                condition.name().to_owned(),
                time(&own),
                time(&values(Subject::Pool, |row| {
                    (row.kills >= FOR_P99).then_some(row.p99_ms)
                })),
                longest(&values(Subject::Pool, |row| Some(row.max_ms))),
                time(&floor),
                ratio(&own, &floor),
            ],
        );
    }
    grid
}

fn reloads(run: &Run) -> Grid {
    let mut grid = Grid::default();
    let titles = ["reload of 4 workers under load", "p50", "max", "tasks lost"];
    grid.push(Weight::Bold, titles.map(str::to_owned).to_vec());
    for load in Load::ALL {
        let rows: Vec<_> = run.reload.iter().filter(|row| row.load == load).collect();
        let values = |value: fn(&ReloadRow) -> f64| -> Vec<f64> {
            rows.iter().map(|row| value(row) * 1e6).collect()
        };
        let lost: u64 = rows.iter().map(|row| row.lost_tasks).sum();
        grid.push(
            Weight::Plain,
            vec![
                load.name().to_owned(),
                time(&values(|row| row.p50_ms)),
                longest(&values(|row| row.max_ms)),
                if rows.is_empty() {
                    NOTHING.to_owned()
                } else {
                    lost.to_string()
                },
            ],
        );
    }
    grid
}

/// What to keep in mind.
fn notes(run: &Run) -> String {
    let mut text = String::from("\n");
    if !run.results.is_empty() {
        text += "fork: forked processes, each with a unix socketpair on which it echoes; rings: one, with a bare \
                 ring each way,\nwhich spins, and where there is one core sleeps; neither survives a death\n";
    }
    let all = run.results.iter().chain(&run.floors);
    let probes: Vec<f64> = all.filter_map(|row| row.core_to_core_ns).collect();
    if let Some(middle) = median(&probes) {
        let (least, most) = range(&probes);
        let _ = writeln!(
            text,
            "core to core: a cache line took {} there and back ({} to {}), probed around each row",
            time(&[middle]),
            time(&[least]),
            time(&[most])
        );
    }
    for missing in &run.failed {
        let _ = writeln!(text, "{} FAILED: {}", missing.step, missing.reason);
    }
    text
}

fn rate(values: &[f64]) -> String {
    median(values).map_or(NOTHING.to_owned(), |rate| with_unit(rate, rate_unit(rate)))
}

/// The least and the most, in the unit of the median.
fn spread(values: &[f64]) -> String {
    let Some(middle) = median(values) else {
        return String::new();
    };
    let (one, _) = rate_unit(middle);
    let (least, most) = range(values);
    format!("{}-{}", digits(least / one), digits(most / one))
}

fn time(values: &[f64]) -> String {
    median(values).map_or(NOTHING.to_owned(), |ns| with_unit(ns, time_unit(ns)))
}

/// The longest of all repetitions.
fn longest(values: &[f64]) -> String {
    time(values.iter().copied().reduce(f64::max).as_slice())
}

/// The ratio of the medians.
fn ratio(own: &[f64], floor: &[f64]) -> String {
    let both = median(own).zip(median(floor));
    both.map_or(NOTHING.to_owned(), |(own, floor)| digits(own / floor))
}
