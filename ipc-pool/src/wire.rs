//! What goes over the channels between the pool and a worker: a header and bytes.

use crate::{Error, Result};

/// Bytes of a header.
pub(crate) const HEADER: usize = 24;

/// One delivery of a task to one instance of a worker. An answer that does not name it exactly is
/// stale.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lease {
    /// The task's id, unique for ever.
    pub(crate) id: u64,
    /// Where the book has it.
    pub(crate) slot: u32,
    /// The instance that it was given to.
    pub(crate) epoch: u32,
    /// Which attempt it is, from 1 on.
    pub(crate) attempt: u32,
}

/// What a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Kind {
    /// To a worker: a task.
    Task,
    /// From a worker: the handler's answer to a lease, published after its effect.
    Done,
    /// From a worker: the handler's error, or its panic.
    Failed,
    /// From a worker: it has started, and takes tasks.
    Ready,
    /// From a worker: it could not start, or go on, for this reason.
    Unfit,
    /// From a worker: it leaves the pool and finishes alone; a replacement is to start.
    Detached,
    /// From a worker: the whole pool is to stop.
    Shutdown,
    /// From a channel: it can be used no more, for this reason.
    Broken,
}

impl Kind {
    const ALL: [Kind; 8] = [
        Kind::Task,
        Kind::Done,
        Kind::Failed,
        Kind::Ready,
        Kind::Unfit,
        Kind::Detached,
        Kind::Shutdown,
        Kind::Broken,
    ];
}

/// Writes a header to the start of `record`.
#[inline]
pub(crate) fn write(record: &mut [u8], kind: Kind, lease: Lease) {
    record[..8].copy_from_slice(&lease.id.to_le_bytes());
    record[8..12].copy_from_slice(&lease.slot.to_le_bytes());
    record[12..16].copy_from_slice(&lease.epoch.to_le_bytes());
    record[16..20].copy_from_slice(&lease.attempt.to_le_bytes());
    record[20..24].copy_from_slice(&(kind as u32).to_le_bytes());
}

/// The parts of a record.
///
/// # Errors
///
/// [`Malformed`](ipc_core::Error::Malformed): the peer is not a worker of this version.
#[inline]
pub(crate) fn read(record: &[u8]) -> Result<(Kind, Lease, &[u8])> {
    let Some((head, body)) = record.split_first_chunk::<HEADER>() else {
        return Err(foreign());
    };
    let u32_at =
        |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
    let kind = *Kind::ALL.get(u32_at(20) as usize).ok_or_else(foreign)?;
    let lease = Lease {
        id: u64::from(u32_at(0)) | u64::from(u32_at(4)) << 32,
        slot: u32_at(8),
        epoch: u32_at(12),
        attempt: u32_at(16),
    };
    Ok((kind, lease, body))
}

#[cold]
fn foreign() -> Error {
    ipc_core::Error::malformed("channel of a worker", "a record of no known kind").into()
}
