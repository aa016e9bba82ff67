//! The marks of what goes one way: between them it is measured.

use std::time::{Duration, Instant};

use super::{Figures, Part, cpu_time};
use crate::Result;
use crate::payload::Kind;

/// How many messages came between the marks, and when those did.
#[derive(Default)]
pub(crate) struct Marks {
    count: u64,
    start: Option<(Instant, Result<Duration>)>,
    end: Option<(Instant, Result<Duration>)>,
}

impl Marks {
    /// Notes what came.
    #[inline]
    pub(crate) fn note(&mut self, kind: Kind) {
        match kind {
            Kind::Message | Kind::Whole => self.count += 1,
            Kind::Mark => (self.count, self.start) = (0, Some((Instant::now(), cpu_time()))),
            Kind::End => self.end = Some((Instant::now(), cpu_time())),
        }
    }

    /// Whether the last one came.
    #[inline]
    pub(crate) fn are_over(&self) -> bool {
        self.end.is_some()
    }

    /// What the receiver found out.
    pub(crate) fn part(self) -> Result<Part> {
        let marks = self.start.zip(self.end);
        let ((start, cpu), (end, cpu_end)) = marks.ok_or("no mark came before the end")?;
        Ok(Part {
            cpu: cpu_end?.saturating_sub(cpu?),
            figures: Some(Figures::plain(self.count, end - start)),
        })
    }
}
