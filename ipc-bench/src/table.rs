//! The table: by message size, each mechanism with its floors below it.

use crate::cells::Latency;
use crate::grid::{Grid, Weight};
use crate::mechanisms::Mechanism;
use crate::placement::Placement;
use crate::plan::{Pattern, Plan, Polling};
use crate::results::Row;
use crate::ui::Screen;
use crate::units::{Unit, bytes, digits, rate_unit, time_unit, with_unit};

/// What stands where nothing was measured.
const NOTHING: &str = "-";

/// The rows as a table; on a screen that is too narrow for all of it, as one for each pattern.
pub(crate) fn render(rows: &[Row], plan: &Plan, screen: Screen) -> String {
    let whole = grid(rows, plan);
    if whole.width() <= screen.columns {
        return whole.render(screen.colours);
    }
    let of_one = |&pattern: &Pattern| {
        let patterns = vec![pattern];
        let plan = Plan {
            patterns,
            ..plan.clone()
        };
        grid(rows, &plan).render(screen.colours)
    };
    plan.patterns.iter().map(of_one).collect()
}

fn grid(rows: &[Row], plan: &Plan) -> Grid {
    let mut grid = Grid::default();
    for &placement in &plan.placements {
        for &size in &plan.sizes {
            let table = Table {
                rows,
                plan,
                placement,
                size,
            };
            table.fill(&mut grid);
        }
    }
    grid
}

/// The part for one placement and size.
struct Table<'a> {
    rows: &'a [Row],
    plan: &'a Plan,
    placement: Placement,
    size: usize,
}

/// The repetitions of one cell.
type Repetitions<'a> = Vec<&'a Row>;

impl<'a> Table<'a> {
    fn fill(&self, grid: &mut Grid) {
        let subjects = self.subjects();
        if subjects.is_empty() {
            return;
        }
        grid.push(Weight::Plain, Vec::new());
        grid.push(Weight::Bold, self.titles());
        for (mechanism, spin) in subjects {
            let weight = if mechanism.is_floor() {
                Weight::Dim
            } else {
                Weight::Plain
            };
            let mut cells = vec![self.label(mechanism, spin)];
            for &pattern in &self.plan.patterns {
                let own = self.repetitions(mechanism.name, pattern, spin);
                let floor = self.floor(mechanism, pattern, spin);
                match pattern {
                    Pattern::RoundTrip => self.round_trip(&mut cells, &own, &floor),
                    Pattern::Stream => self.stream(&mut cells, &own, &floor),
                }
            }
            grid.push(weight, cells);
        }
    }

    fn titles(&self) -> Vec<String> {
        let mut titles = vec![match self.plan.placements.len() {
            1 => bytes(self.size),
            _ => format!("{}, {}", bytes(self.size), self.placement.name()),
        }];
        for pattern in &self.plan.patterns {
            let columns: &[(&str, bool)] = match pattern {
                Pattern::RoundTrip => &[
                    ("there and back: p50", true),
                    ("p99", false),
                    ("p99.9", false),
                    ("max", false),
                    ("of floor", true),
                ],
                Pattern::Stream => &[
                    ("one way: msg/s", true),
                    ("MiB/s", false),
                    ("of floor", true),
                ],
            };
            for &(title, spread) in columns {
                titles.push(title.to_owned());
                if spread && self.spreads() {
                    titles.push("min-max".to_owned());
                }
            }
        }
        titles
    }

    fn label(&self, mechanism: &Mechanism, spin: Option<Polling>) -> String {
        let indent = if mechanism.is_floor() { "  " } else { "" };
        match spin {
            Some(spin) if self.plan.spins.len() > 1 => {
                format!("{indent}{}, {}", mechanism.name, spin.name())
            }
            _ => format!("{indent}{}", mechanism.name),
        }
    }

    fn round_trip(&self, cells: &mut Vec<String>, own: &[&Row], floor: &[&Row]) {
        let of = |rows: &[&Row], value: fn(&Latency) -> u64| -> Vec<f64> {
            let latencies = rows.iter().filter_map(|row| row.latency.as_ref());
            latencies.map(|latency| value(latency) as f64).collect()
        };
        let time = |values: Vec<f64>| {
            let value = median(&values);
            value.map_or(NOTHING.to_owned(), |ns| with_unit(ns, time_unit(ns)))
        };
        self.with_spread(cells, &of(own, |l| l.p50_ns), time_unit);
        cells.push(time(of(own, |l| l.p99_ns)));
        cells.push(time(of(own, |l| l.p999_ns)));
        let max = of(own, |l| l.max_ns).into_iter().reduce(f64::max);
        cells.push(time(max.into_iter().collect()));
        self.ratio(cells, &of(own, |l| l.p50_ns), &of(floor, |l| l.p50_ns));
    }

    fn stream(&self, cells: &mut Vec<String>, own: &[&Row], floor: &[&Row]) {
        let rates = |rows: &[&Row]| -> Vec<f64> { rows.iter().map(|row| row.msgs_per_s).collect() };
        let own = rates(own);
        self.with_spread(cells, &own, rate_unit);
        let mib = median(&own).map(|rate| rate * self.size as f64 / f64::from(1 << 20));
        cells.push(mib.map_or(NOTHING.to_owned(), digits));
        self.ratio(cells, &own, &rates(floor));
    }

    /// The median in its unit and, of several repetitions, the least and the most.
    fn with_spread(&self, cells: &mut Vec<String>, values: &[f64], unit: fn(f64) -> Unit) {
        let middle = median(values);
        let unit = unit(middle.unwrap_or_default());
        cells.push(middle.map_or(NOTHING.to_owned(), |middle| with_unit(middle, unit)));
        if self.spreads() {
            let (least, most) = range(values);
            cells.push(match middle {
                Some(_) => format!("{}-{}", digits(least / unit.0), digits(most / unit.0)),
                None => String::new(),
            });
        }
    }

    /// The ratio of the medians, and the range of those of each repetition.
    fn ratio(&self, cells: &mut Vec<String>, own: &[f64], floor: &[f64]) {
        let ratio = median(own)
            .zip(median(floor))
            .map(|(own, floor)| own / floor);
        cells.push(ratio.map_or(String::new(), digits));
        if self.spreads() {
            let each: Vec<f64> = own
                .iter()
                .zip(floor)
                .map(|(own, floor)| own / floor)
                .collect();
            let (least, most) = range(&each);
            let spread = format!("{}-{}", digits(least), digits(most));
            cells.push(ratio.map_or(String::new(), |_| spread));
        }
    }

    fn spreads(&self) -> bool {
        self.plan.repeat > 1
    }

    /// What has rows here, in the registry's order.
    fn subjects(&self) -> Vec<(&'static Mechanism, Option<Polling>)> {
        let mut subjects = Vec::new();
        for &mechanism in &self.plan.mechanisms {
            for row in self.here().filter(|row| row.mechanism == mechanism.name) {
                if !subjects
                    .iter()
                    .any(|&(m, s): &(&Mechanism, _)| m.name == row.mechanism && s == row.spin)
                {
                    subjects.push((mechanism, row.spin));
                }
            }
        }
        subjects
    }

    /// The rows of a mechanism's floor: the polled one for ends that always poll, if there is one.
    fn floor(&self, of: &Mechanism, pattern: Pattern, spin: Option<Polling>) -> Repetitions<'a> {
        let Some(name) = of.floor_of(self.placement, spin) else {
            return Vec::new();
        };
        let always = Some(Polling::Always);
        let order = if spin == always {
            [always, None]
        } else {
            [None, always]
        };
        let found = order.map(|spin| self.repetitions(name, pattern, spin));
        found
            .into_iter()
            .find(|rows| !rows.is_empty())
            .unwrap_or_default()
    }

    fn repetitions(&self, name: &str, pattern: Pattern, spin: Option<Polling>) -> Repetitions<'a> {
        self.here()
            .filter(|row| row.mechanism == name && row.pattern == pattern && row.spin == spin)
            .collect()
    }

    fn here(&self) -> impl Iterator<Item = &'a Row> + use<'a> {
        let (plan, placement, size) = (self.plan, self.placement, self.size);
        self.rows
            .iter()
            .filter(move |row| row.placement == placement && row.size == size)
            .filter(|row| plan.patterns.contains(&row.pattern))
    }
}

/// The middle one, or the mean of the two in the middle.
pub(crate) fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let upper = *sorted.get(sorted.len() / 2)?;
    let lower = sorted[(sorted.len() - 1) / 2];
    Some(f64::midpoint(lower, upper))
}

/// The least and the most.
pub(crate) fn range(values: &[f64]) -> (f64, f64) {
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    (least, most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0]), Some(3.0));
        assert_eq!(median(&[3.0, 1.0]), Some(2.0));
        assert_eq!(median(&[9.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(range(&[2.0, 1.0, 3.0]), (1.0, 3.0));
    }
}
