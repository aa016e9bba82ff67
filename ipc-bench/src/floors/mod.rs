//! Floors: the same loops with bare system calls, textbook rings and memory itself. What a mechanism
//! costs is what it takes beyond its floor.
//!
//! A floor carries messages of one length, known to both ends, and always waits: it has no framing,
//! no deadline, no notice of death. It keeps the kernel's defaults.

mod copy;
mod line;
mod memcpy;
mod ring;
mod stream;
mod sysv;

pub(crate) use line::line;
pub(crate) use memcpy::memcpy;
pub(crate) use ring::{copying_ring, futex_ring, ring};
pub(crate) use stream::{fifo, pipe, seqpacket, tcp, unix};
pub(crate) use sysv::sysv;
