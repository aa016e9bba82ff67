//! The memory of one direction: two memfds, each written by one side and mapped read-only by the
//! other.
//!
//! | memfd | written by | holds |
//! |---|---|---|
//! | data | the sender | a page with the sender's words, then the records, mapped twice in a row |
//! | control | the receiver | a page with the receiver's words |
//!
//! Neither can be resized, so that no peer can take memory away from under the other (SIGBUS).
//! Between peers that do not trust each other, neither can be mapped writable any more by anybody.
#![allow(unsafe_code)]

use std::num::NonZeroUsize;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;

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

/// What the peer is held capable of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trust {
    /// It may crash.
    Full,
    /// It may do whatever its memory and its doorbells let it do.
    None,
}

/// What a memfd holds, for rings of so many bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Part {
    Data(usize),
    Control(usize),
}

/// A memfd, and where it is mapped.
#[derive(Debug)]
pub(crate) struct Memory {
    fd: OwnedFd,
    mapping: Mapping,
}

/// One direction's memory, as one side has it mapped.
#[derive(Debug)]
pub(crate) struct Segment {
    data: Memory,
    control: Memory,
    capacity: usize,
    trust: Trust,
    ring: Ring,
    /// Where a receiver that trusts nobody keeps its message.
    private: Option<Mapping>,
    prefaulted: bool,
}

impl Part {
    fn capacity(self) -> usize {
        match self {
            Part::Data(capacity) | Part::Control(capacity) => capacity,
        }
    }

    /// Bytes of records.
    fn records(self) -> usize {
        match self {
            Part::Data(capacity) => capacity,
            Part::Control(_) => 0,
        }
    }

    fn len(self) -> usize {
        sys::page_size() + self.records()
    }

    fn error(self, call: &'static str) -> impl FnOnce(std::io::Error) -> Error {
        move |error| Error::os(call, object(self.capacity()), error)
    }
}

impl Memory {
    /// New memory that this process writes.
    pub(crate) fn create(part: Part, trust: Trust) -> Result<Self> {
        let fd = sys::memory(part.len()).map_err(|(call, error)| part.error(call)(error))?;
        let memory = Memory::map(fd, part, true)?;
        let sealed = sys::seal(&memory.fd, trust == Trust::None);
        sealed.map_err(part.error("fcntl(F_ADD_SEALS)"))?;
        Ok(memory)
    }

    /// Memory that the peer writes, checked to be what [`create`](Memory::create) makes.
    pub(crate) fn of_peer(fd: OwnedFd, part: Part, trust: Trust) -> Result<Self> {
        Memory::check(&fd, part, trust)?;
        Memory::map(fd, part, false)
    }

    /// Memory that an earlier program of this process made.
    fn inherited(fd: OwnedFd, part: Part) -> Result<Self> {
        Memory::check(&fd, part, Trust::Full)?;
        Memory::map(fd, part, true)
    }

    pub(crate) fn try_clone(&self, part: Part) -> Result<OwnedFd> {
        self.fd.try_clone().map_err(part.error("fcntl(F_DUPFD)"))
    }

    fn check(fd: &OwnedFd, part: Part, trust: Trust) -> Result<()> {
        let why = sys::is_no_memory(fd, part.len(), trust == Trust::None);
        match why.map_err(part.error("fstat"))? {
            None => Ok(()),
            Some(why) => {
                let len = part.len();
                let reason =
                    format!("a descriptor handed over is not {len} bytes of memory: {why}");
                Err(Error::malformed(object(part.capacity()), reason))
            }
        }
    }

    fn map(fd: OwnedFd, part: Part, writable: bool) -> Result<Self> {
        let page = NonZeroUsize::new(sys::page_size()).expect("pages have a size");
        let mapping = Mapping::new(&fd, page, part.records(), writable);
        Ok(Memory {
            mapping: mapping.map_err(part.error("mmap"))?,
            fd,
        })
    }
}

impl AsFd for Memory {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Segment {
    /// New memory for `capacity` bytes of records, a multiple of the page size; mapped for both
    /// sides.
    pub(crate) fn create(capacity: usize, trust: Trust) -> Result<(Segment, Segment)> {
        let (data, control) = (Part::Data(capacity), Part::Control(capacity));
        let sender = Memory::create(data, trust)?;
        let receiver = Memory::create(control, trust)?;
        // A descriptor per half: they part at a fork.
        let to_sender = Memory::of_peer(receiver.try_clone(control)?, control, trust)?;
        let to_receiver = Memory::of_peer(sender.try_clone(data)?, data, trust)?;
        Ok((
            Segment::sender(sender, to_sender, capacity, trust),
            Segment::receiver(to_receiver, receiver, capacity, trust)?,
        ))
    }

    /// Memory that was handed over between peers that trust each other.
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
        let parts = (Part::Data(capacity), Part::Control(capacity));
        let trust = Trust::Full;
        match side {
            Side::Sender => {
                let data = Memory::inherited(data, parts.0)?;
                let control = Memory::of_peer(control, parts.1, trust)?;
                Ok(Segment::sender(data, control, capacity, trust))
            }
            Side::Receiver => {
                let data = Memory::of_peer(data, parts.0, trust)?;
                let control = Memory::inherited(control, parts.1)?;
                Segment::receiver(data, control, capacity, trust)
            }
        }
    }

    /// The sender's: it made the data, the peer the control memory, for so many bytes of records.
    pub(crate) fn sender(data: Memory, control: Memory, capacity: usize, trust: Trust) -> Self {
        Segment::new(data, control, capacity, trust)
    }

    /// The receiver's: the peer made the data.
    pub(crate) fn receiver(
        data: Memory,
        control: Memory,
        capacity: usize,
        trust: Trust,
    ) -> Result<Self> {
        let mut segment = Segment::new(data, control, capacity, trust);
        if trust == Trust::None {
            let len = NonZeroUsize::new(capacity).expect("a ring has a capacity");
            let private = Mapping::private(len).map_err(Part::Data(capacity).error("mmap"));
            segment.private = Some(private?);
        }
        Ok(segment)
    }

    fn new(data: Memory, control: Memory, capacity: usize, trust: Trust) -> Self {
        // SAFETY: the data begins a page behind the sender's words, is mapped twice in a row, and
        // came zeroed from the kernel; the words are aligned as pages are. The mappings live in the
        // same value, which a half keeps for as long as its side of the ring. `create` maps one
        // side of each kind, and the parts of a half go to one successor.
        let ring = unsafe {
            let start = data.mapping.start();
            let first = start.byte_add(sys::page_size()).cast();
            let words = control.mapping.start().cast();
            Ring::new(first, capacity, start.cast(), words)
        };
        Segment {
            data,
            control,
            capacity,
            trust,
            ring,
            private: None,
            prefaulted: false,
        }
    }

    /// The same, with a ring that lies elsewhere.
    #[cfg(all(test, loom))]
    pub(crate) fn with_ring(self, ring: Ring) -> Segment {
        Segment { ring, ..self }
    }

    /// Moves the records into huge pages: on the side that made them, before anything is there.
    pub(crate) fn make_huge(&self) -> Result<()> {
        let done = self.data.mapping.make_huge(self.capacity);
        done.map_err(Part::Data(self.capacity).error("madvise(MADV_COLLAPSE)"))
    }

    /// Touches all pages, so that using them meets no page fault.
    pub(crate) fn prefault(&mut self) -> Result<()> {
        self.prefaulted = true;
        self.mappings().try_for_each(|mapping| {
            let done = mapping.prefault();
            done.map_err(|(call, error)| Error::os(call, object(self.capacity), error))
        })
    }

    /// Touches them again where they were: a fork copies no page table of shared memory, and takes
    /// the right to write from that of private memory.
    pub(crate) fn forked(&self) {
        if self.prefaulted {
            self.mappings().for_each(|mapping| {
                let _ = mapping.prefault(); // the memory serves as well untouched
            });
        }
    }

    pub(crate) fn is_prefaulted(&self) -> bool {
        self.prefaulted
    }

    pub(crate) fn capacity(&self) -> usize {
        self.capacity
    }

    pub(crate) fn trust(&self) -> Trust {
        self.trust
    }

    pub(crate) fn ring(&self) -> Ring {
        self.ring
    }

    /// As many bytes as the ring has, aligned as pages are, for the copy of a message.
    pub(crate) fn private(&self) -> Option<NonNull<u64>> {
        self.private.as_ref().map(|memory| memory.start().cast())
    }

    fn mappings(&self) -> impl Iterator<Item = &Mapping> {
        let shared = [&self.data.mapping, &self.control.mapping];
        shared.into_iter().chain(&self.private)
    }

    pub(crate) fn fds(&self) -> [BorrowedFd<'_>; 2] {
        [self.data.as_fd(), self.control.as_fd()]
    }
}
