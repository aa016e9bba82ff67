//! The atomics that the ring and the wake-ups are made of: std's, or the [model](crate::model)'s.

#[cfg(all(test, loom))]
pub(crate) use crate::model::memory::{AtomicU64, fence, reads, wrote};
#[cfg(all(test, loom))]
pub(crate) use crate::model::processor::{barrier, register};
#[cfg(not(all(test, loom)))]
pub(crate) use crate::sys::{barrier, register};
#[cfg(not(all(test, loom)))]
pub(crate) use std::sync::atomic::{AtomicU64, fence};

/// Tells the model that so many bytes are read without atomics that it knows.
#[cfg(not(all(test, loom)))]
#[inline]
pub(crate) fn reads(_: std::ptr::NonNull<u8>, _: usize) {}

/// Tells the model that so many bytes were written without atomics.
#[cfg(not(all(test, loom)))]
#[inline]
pub(crate) fn wrote(_: std::ptr::NonNull<u8>, _: usize) {}
