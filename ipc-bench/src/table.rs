//! The table: by message size, each mechanism with its floors below it.

use crate::columns::{self, Columns, Repetitions};
use crate::grid::{Grid, Weight};
use crate::mechanisms::Mechanism;
use crate::placement::Placement;
use crate::plan::{Pattern, Plan, Polling};
use crate::results::Row;
use crate::ui::Screen;
use crate::units::bytes;

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
                let columns = Columns {
                    own: self.repetitions(mechanism.name, pattern, spin),
                    floor: self.floor(mechanism, pattern, spin),
                    blocking: self.blocking(mechanism, pattern, spin),
                    spreads: self.spreads(),
                };
                columns.fill(pattern, &mut cells);
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
            for &(title, spread) in columns::titles(*pattern) {
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

    fn spreads(&self) -> bool {
        self.plan.repeat > 1
    }

    /// What has rows here, in the registry's order.
    fn subjects(&self) -> Vec<(&'static Mechanism, Option<Polling>)> {
        let mut subjects = Vec::new();
        for &mechanism in &self.plan.mechanisms {
            let own = |row: &&Row| row.mechanism == mechanism.name;
            let shown = |row: &&Row| self.plan.patterns.contains(&row.pattern);
            for row in self.here().filter(own).filter(shown) {
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

    /// The rows of a mechanism's floor: the polled one for ends that always poll, if there is one. A
    /// floor without batches is compared one message by one.
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
        let patterns: &[Pattern] = match pattern {
            Pattern::Batch => &[Pattern::Batch, Pattern::Stream],
            _ => &[pattern],
        };
        let found = patterns
            .iter()
            .flat_map(|&pattern| order.map(|spin| self.repetitions(name, pattern, spin)));
        found
            .into_iter()
            .find(|rows| !rows.is_empty())
            .unwrap_or_default()
    }

    /// The rows of the same mechanism that sleeps at once.
    fn blocking(&self, of: &Mechanism, pattern: Pattern, spin: Option<Polling>) -> Repetitions<'a> {
        let never = Some(Polling::Never);
        match spin {
            Some(spin) if Some(spin) != never => self.repetitions(of.name, pattern, never),
            _ => Vec::new(),
        }
    }

    fn repetitions(&self, name: &str, pattern: Pattern, spin: Option<Polling>) -> Repetitions<'a> {
        self.here()
            .filter(|row| row.mechanism == name && row.pattern == pattern && row.spin == spin)
            .collect()
    }

    fn here(&self) -> impl Iterator<Item = &'a Row> + use<'a> {
        let (placement, size) = (self.placement, self.size);
        self.rows
            .iter()
            .filter(move |row| row.placement == placement && row.size == size)
    }
}

#[cfg(test)]
mod tests;
