//! Lines of cells, printed in columns.

use std::fmt::Write;

/// What a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Weight {
    /// Titles.
    Bold,
    Plain,
    /// What is there for comparison.
    Dim,
}

/// Lines of cells: the first column is set left, the others right.
#[derive(Debug, Default)]
pub(crate) struct Grid {
    lines: Vec<(Weight, Vec<String>)>,
}

impl Grid {
    pub(crate) fn push(&mut self, weight: Weight, cells: Vec<String>) {
        self.lines.push((weight, cells));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// The text, each line with its end; `colours` for a terminal.
    pub(crate) fn render(&self, colours: bool) -> String {
        let widths = self.widths();
        let mut text = String::new();
        for (weight, cells) in &self.lines {
            let mut line = String::new();
            for (column, (cell, &width)) in cells.iter().zip(&widths).enumerate() {
                let _ = match column {
                    0 => write!(line, "{cell:<width$}"),
                    _ => write!(line, "  {cell:>width$}"),
                };
            }
            text += &paint(line.trim_end(), *weight, colours);
            text.push('\n');
        }
        text
    }

    /// Columns that the longest line takes.
    pub(crate) fn width(&self) -> usize {
        let widths = self.widths();
        widths.iter().sum::<usize>() + 2 * widths.len().saturating_sub(1)
    }

    fn widths(&self) -> Vec<usize> {
        let width = |column| {
            let cells = self.lines.iter().filter_map(|(_, cells)| cells.get(column));
            cells.map(|cell: &String| cell.chars().count()).max()
        };
        (0..).map_while(width).collect()
    }
}

fn paint(line: &str, weight: Weight, colours: bool) -> String {
    match weight {
        Weight::Bold if colours => format!("\x1b[1m{line}\x1b[0m"),
        Weight::Dim if colours => format!("\x1b[2m{line}\x1b[0m"),
        _ => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let mut grid = Grid::default();
        grid.push(
            Weight::Bold,
            ["8 B", "p50", "max"].map(str::to_owned).to_vec(),
        );
        grid.push(
            Weight::Plain,
            ["pipe", "1.25 us", "1 s"].map(str::to_owned).to_vec(),
        );
        assert_eq!(
            grid.render(false),
            "8 B       p50  max\npipe  1.25 us  1 s\n"
        );
        assert_eq!(grid.width(), 18);
        assert!(
            grid.render(true)
                .starts_with("\x1b[1m8 B       p50  max\x1b[0m\n")
        );
    }
}
