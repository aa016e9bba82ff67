//! Against a peer that begins a frame and stalls.

use std::time::{Duration, Instant};

use crate::Wait;
use crate::frame::HEADER_LEN;

/// When the header of the next frame must be whole. The first frame's time runs from the start,
/// that of another from when its first byte was seen.
#[derive(Debug, Default)]
pub(super) struct Stall {
    /// `None`: there is no hurry.
    limit: Option<Duration>,
    until: Option<Instant>,
    /// Whether a frame was received.
    begun: bool,
}

impl Stall {
    pub(super) fn new(limit: Duration) -> Self {
        Stall {
            limit: Some(limit),
            until: Instant::now().checked_add(limit),
            begun: false,
        }
    }

    /// Whether waits have to be shortened now and then: by [`shorten`](Self::shorten).
    #[inline]
    pub(super) fn is_watched(&self) -> bool {
        self.limit.is_some()
    }

    /// Notes that a frame was received.
    #[inline]
    pub(super) fn received(&mut self) {
        (self.begun, self.until) = (true, None);
    }

    /// Notes that of the next frame no more than `part` bytes are there; true if that is too late.
    #[inline]
    pub(super) fn is_late(&mut self, part: usize) -> bool {
        let Some(limit) = self.limit else {
            return false;
        };
        if part >= HEADER_LEN || (part == 0 && self.begun) {
            self.received();
            return false;
        }
        let now = Instant::now();
        if self.until.is_none() {
            self.until = now.checked_add(limit);
        }
        self.until.is_some_and(|until| now >= until)
    }

    /// The wait, or until the header is late.
    pub(super) fn shorten(&self, wait: Wait) -> Wait {
        match (wait, self.until) {
            (Wait::Until(end), Some(until)) => Wait::Until(end.min(until)),
            (Wait::Forever, Some(until)) => Wait::Until(until),
            (wait, _) => wait,
        }
    }

    pub(super) fn limit(&self) -> Duration {
        self.limit.unwrap_or_default()
    }
}
