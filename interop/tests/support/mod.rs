//! What both languages are tested with.

pub(crate) mod queues;
pub(crate) mod streams;
