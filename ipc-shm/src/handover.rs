//! What a half is made of when it is taken into parts, and when it is put together again.

use std::io;
use std::os::fd::OwnedFd;

use ipc_core::inherit::{Reader, Writer};

use crate::doorbell::{Bell, Ear};
use crate::options::object;
use crate::segment::{Segment, Side, Trust};
use crate::{Error, Inherit, Result, Spin};

const OBJECT: &str = "inherited ring";

/// Where a half stands, besides what lies in its memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct State {
    pub(crate) side: Side,
    pub(crate) capacity: usize,
    pub(crate) spin: Spin,
    /// The position that it has reached.
    pub(crate) position: u64,
    /// Whether the memory is touched at once.
    pub(crate) prefault: bool,
}

/// The descriptors of a half, each again what it was.
pub(crate) struct Ends {
    pub(crate) segment: Segment,
    pub(crate) bell: Bell,
    pub(crate) ear: Ear,
}

impl State {
    /// That of a new half.
    pub(crate) fn new(side: Side, capacity: usize, spin: Spin, prefault: bool) -> Self {
        State {
            side,
            capacity,
            spin,
            position: 0,
            prefault,
        }
    }

    pub(crate) fn write(self) -> Vec<u8> {
        let mut state = Writer::new();
        state
            .u64(self.side as u64)
            .len(self.capacity)
            .spin(self.spin)
            .u64(self.position)
            .u64(self.prefault.into());
        state.finish()
    }

    /// Reads and checks what [`write`](Self::write) wrote.
    pub(crate) fn read(state: &[u8], side: Side) -> Result<Self> {
        let mut state = Reader::new(state);
        if state.u64()? != side as u64 {
            return Err(Error::malformed(OBJECT, format!("it is no {side:?}")));
        }
        let read = State {
            side,
            capacity: state.len()?,
            spin: state.spin()?,
            position: state.u64()?,
            prefault: match state.u64()? {
                0 => false,
                1 => true,
                _ => return Err(Error::malformed(OBJECT, "prefault is neither on nor off")),
            },
        };
        state.end()?;
        if read.position % 8 != 0 || read.position > u64::MAX / 2 {
            let reason = format!("no half reaches position {}", read.position);
            return Err(Error::malformed(OBJECT, reason));
        }
        Ok(read)
    }

    /// Checks and maps the descriptors that came with this state.
    pub(crate) fn ends(&self, fds: Vec<OwnedFd>) -> Result<Ends> {
        let [data, control, bell, ear] = <[OwnedFd; 4]>::try_from(fds).map_err(|fds| {
            let reason = format!("{} descriptors were handed over, not 4", fds.len());
            Error::malformed(OBJECT, reason)
        })?;
        let mut segment = Segment::inherited(data, control, self.capacity, self.side)?;
        if self.prefault {
            segment.prefault()?;
        }
        Ok(Ends {
            segment,
            bell: Bell::inherited(bell)?,
            ear: Ear::inherited(ear)?,
        })
    }
}

/// A half's descriptors, to outlive it.
pub(crate) fn duplicates(half: &impl Inherit, segment: &Segment) -> Result<Vec<OwnedFd>> {
    let capacity = segment.capacity();
    if segment.trust() == Trust::None {
        let reason = "the memory of an untrusted ring is sealed, and no other program can map it to \
                      write: let that program connect by itself (ShmOptions::connect)";
        let error = io::Error::new(io::ErrorKind::Unsupported, reason);
        return Err(Error::os("mmap", object(capacity), error));
    }
    let mut fds = Vec::new();
    half.fds(&mut |fd| fds.push(fd.try_clone_to_owned()));
    let fds: io::Result<Vec<OwnedFd>> = fds.into_iter().collect();
    fds.map_err(|error| Error::os("fcntl(F_DUPFD)", object(capacity), error))
}
