//! Against a peer that begins a frame and stalls.

use std::time::{Duration, Instant};

use crate::Result;
use crate::frame::HEADER_LEN;
use crate::inherit::{Reader, Writer};

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

    /// Whether waits have to be shortened now and then: by [`until`](Self::until).
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

    /// When the header is late.
    pub(super) fn until(&self) -> Option<Instant> {
        self.until
    }

    /// Writes what [`from_state`](Stall::from_state) reads.
    pub(super) fn write(&self, state: &mut Writer) {
        let nanos = |limit: Duration| u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX);
        // One more, since 0 is none.
        let limit = self.limit.map_or(0, |limit| nanos(limit).saturating_add(1));
        state.u64(limit).u64(self.begun.into());
    }

    /// As it was in another process, but for the time: a first frame's runs anew.
    pub(super) fn from_state(state: &mut Reader<'_>) -> Result<Self> {
        let (limit, begun) = (state.u64()?, state.u64()? != 0);
        let limit = limit.checked_sub(1).map(Duration::from_nanos);
        let mut stall = limit.map_or_else(Stall::default, Stall::new);
        if begun {
            stall.received();
        }
        Ok(stall)
    }

    pub(super) fn limit(&self) -> Duration {
        self.limit.unwrap_or_default()
    }
}
