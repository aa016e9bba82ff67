//! The memory of one direction: two memfds, each written by one side and mapped read-only by the
//! other.
//!
//! | memfd | written by | holds |
//! |---|---|---|
//! | data | the sender | a page with the sender's words, then the records, mapped twice in a row |
//! | control | the receiver | a page with the receiver's words |
#![allow(unsafe_code)]

use std::num::NonZeroUsize;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use ipc_core::{Error, Result};

use crate::options::{MAX_CAPACITY, object};
use crate::ring::Ring;
use crate::sys::{self, Mapping};

/// Which half a mapping is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Sender,
    Receiver,
}

/// One direction's memory, as one side has it mapped.
#[derive(Debug)]
pub(crate) struct Segment {
    data: OwnedFd,
    control: OwnedFd,
    capacity: usize,
    ring: Ring,
    _mappings: [Mapping; 2],
}

impl Segment {
    /// New memory for `capacity` bytes of records, a multiple of the page size; mapped for both
    /// sides.
    pub(crate) fn create(capacity: usize) -> Result<(Segment, Segment)> {
        let new = |len| {
            let memory = sys::memory(len);
            memory.map_err(|(call, error)| Error::os(call, object(capacity), error))
        };
        let page = sys::page_size();
        let (data, control) = (new(page + capacity)?, new(page)?);
        // A descriptor per half: they part at a fork.
        let clone = |fd: &OwnedFd| {
            let fd = fd.try_clone();
            fd.map_err(|error| Error::os("fcntl(F_DUPFD)", object(capacity), error))
        };
        let fds = (clone(&data)?, clone(&control)?);
        Ok((
            Segment::map(data, control, capacity, Side::Sender)?,
            Segment::map(fds.0, fds.1, capacity, Side::Receiver)?,
        ))
    }

    /// Memory that was handed over, checked to be what [`create`](Self::create) makes.
    pub(crate) fn inherited(
        data: OwnedFd,
        control: OwnedFd,
        capacity: usize,
        side: Side,
    ) -> Result<Segment> {
        let page = sys::page_size();
        if capacity == 0 || capacity % page != 0 || capacity > MAX_CAPACITY {
            let reason = format!("{capacity} bytes are no capacity of a ring");
            return Err(Error::malformed("inherited ring", reason));
        }
        for (fd, len) in [(&data, page + capacity), (&control, page)] {
            let found = sys::memory_len(fd);
            let found = found.map_err(|error| Error::os("fstat", object(capacity), error))?;
            if found != Some(len as u64) {
                let reason = format!("a descriptor handed over is not {len} bytes of memory");
                return Err(Error::malformed(object(capacity), reason));
            }
        }
        Segment::map(data, control, capacity, side)
    }

    fn map(data: OwnedFd, control: OwnedFd, capacity: usize, side: Side) -> Result<Segment> {
        let os = |error| Error::os("mmap", object(capacity), error);
        let page = NonZeroUsize::new(sys::page_size()).expect("pages have a size");
        let records = Mapping::new(&data, page, capacity, side == Side::Sender).map_err(os)?;
        let words = Mapping::new(&control, page, 0, side == Side::Receiver).map_err(os)?;
        // SAFETY: the data begins a page behind the sender's words, is mapped twice in a row, and
        // came zeroed from the kernel; the words are aligned as pages are. The mappings live in the
        // same value, which a half keeps for as long as its side of the ring. `create` maps one
        // side of each kind, and the parts of a half go to one successor.
        let ring = unsafe {
            let start = records.start();
            let first = start.byte_add(page.get()).cast();
            Ring::new(first, capacity, start.cast(), words.start().cast())
        };
        Ok(Segment {
            data,
            control,
            capacity,
            ring,
            _mappings: [records, words],
        })
    }

    pub(crate) fn capacity(&self) -> usize {
        self.capacity
    }

    pub(crate) fn ring(&self) -> Ring {
        self.ring
    }

    pub(crate) fn fds(&self) -> [BorrowedFd<'_>; 2] {
        [self.data.as_fd(), self.control.as_fd()]
    }
}
