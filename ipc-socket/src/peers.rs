//! How many peers a listener has.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The connections that a listener has accepted and that are not yet dropped.
#[derive(Debug, Default)]
pub(crate) struct Peers(Arc<AtomicUsize>);

impl Peers {
    /// A place for one more, unless there are `max`.
    pub(crate) fn admit(&self, max: usize) -> Option<Slot> {
        let one_more = |count| (count < max).then_some(count + 1);
        let admitted = self
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more);
        admitted.ok().map(|_| Slot(self.0.clone()))
    }

    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// A connection's place, free again when it is dropped.
#[derive(Debug)]
pub(crate) struct Slot(Arc<AtomicUsize>);

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
