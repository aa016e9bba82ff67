//! Attachment by name: what two processes give each other, and how.
//!
//! A client sends the listener's socket one datagram, with what it gives and a socket for the answer,
//! and the listener answers with what it gives, or why not. That is all: there is no connection that
//! somebody could leave half open, and nothing that the listener ever waits for.
//!
//! What is given is the same both ways: the two memfds that the giver writes, and the write ends of
//! the two pipes that it listens to. The pipes' read ends never leave their maker, and the write ends are opened
//! anew by whoever gets them, so that nobody shares a description with a peer.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use ipc_core::inherit::{Reader, Writer};

use crate::doorbell::{Bell, Ear};
use crate::handover::Ends;
use crate::segment::{Memory, Part, Segment, Trust};
use crate::sys::socket;
use crate::{Duplex, Error, Result, ShmDuplex, ShmOptions};

const MAGIC: u64 = u64::from_le_bytes(*b"ipc-shm\0");
const VERSION: u64 = 1;
/// Bytes of a greeting.
pub(crate) const LEN: usize = 5 * 8;

/// The rings that an end wants to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Terms {
    pub(crate) capacity: usize,
    pub(crate) trust: Trust,
}

/// What a greeting is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Word {
    /// Take this.
    Offer,
    /// The two ends want different rings.
    Terms,
    /// The client is another user, whom the listener does not trust.
    User,
    /// What was given is not what it should be.
    Unfit,
    /// The listener has no memory or no descriptors left.
    Shortage,
}

/// The bytes of a message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Greeting {
    pub(crate) word: Word,
    pub(crate) terms: Terms,
}

/// What this end gives.
pub(crate) struct Offer {
    data: Memory,
    control: Memory,
    /// Where a receiver there tells of space, and a sender of messages.
    ears: [Ear; 2],
    bells: [OwnedFd; 2],
}

/// What the peer gave, checked.
pub(crate) struct Taken {
    data: Memory,
    control: Memory,
    bells: [Bell; 2],
}

impl Greeting {
    pub(crate) fn write(self) -> Vec<u8> {
        let mut bytes = Writer::new();
        bytes
            .u64(MAGIC)
            .u64(VERSION)
            .u64(self.word as u64)
            .u64(self.terms.trust as u64)
            .len(self.terms.capacity);
        bytes.finish()
    }

    /// The greeting, or why this is none.
    pub(crate) fn read(bytes: &[u8]) -> std::result::Result<Self, String> {
        let fields = || -> Result<[u64; 5]> {
            let mut bytes = Reader::new(bytes);
            let mut fields = [0; 5];
            for field in &mut fields {
                *field = bytes.u64()?;
            }
            bytes.end()?;
            Ok(fields)
        };
        let Ok([MAGIC, version, word, trust, capacity]) = fields() else {
            return Err("it speaks another protocol".to_owned());
        };
        if version != VERSION {
            return Err(format!(
                "it speaks version {version}, and this end {VERSION}"
            ));
        }
        let words = [
            Word::Offer,
            Word::Terms,
            Word::User,
            Word::Unfit,
            Word::Shortage,
        ];
        let word = words.into_iter().find(|known| *known as u64 == word);
        let tiers = [Trust::Full, Trust::None];
        let trust = tiers.into_iter().find(|known| *known as u64 == trust);
        match (word, trust, usize::try_from(capacity)) {
            (Some(word), Some(trust), Ok(capacity)) => Ok(Greeting {
                word,
                terms: Terms { capacity, trust },
            }),
            _ => Err("it says what nobody understands".to_owned()),
        }
    }
}

impl Offer {
    pub(crate) fn new(terms: Terms) -> Result<Self> {
        let Terms { capacity, trust } = terms;
        let ((space, for_space), (messages, for_messages)) = (ear(trust)?, ear(trust)?);
        Ok(Offer {
            data: Memory::create(Part::Data(capacity), trust)?,
            control: Memory::create(Part::Control(capacity), trust)?,
            ears: [space, messages],
            bells: [for_space, for_messages],
        })
    }

    /// What is sent, in the order in which it is [taken](Taken::new).
    pub(crate) fn fds(&self) -> [BorrowedFd<'_>; 4] {
        let [space, messages] = &self.bells;
        [
            self.data.as_fd(),
            self.control.as_fd(),
            space.as_fd(),
            messages.as_fd(),
        ]
    }

    /// The endpoint that this and the peer's make.
    pub(crate) fn join(
        self,
        taken: Taken,
        terms: Terms,
        options: &ShmOptions,
    ) -> Result<ShmDuplex> {
        let Terms { capacity, trust } = terms;
        let [space, messages] = self.ears;
        let [of_space, of_messages] = taken.bells;
        let sender = Ends {
            segment: Segment::sender(self.data, taken.control, capacity, trust),
            bell: of_messages,
            ear: space,
        };
        let receiver = Ends {
            segment: Segment::receiver(taken.data, self.control, capacity, trust)?,
            bell: of_space,
            ear: messages,
        };
        let (sender, receiver) = options.halves(sender, receiver)?;
        Ok(Duplex::new(sender, receiver))
    }
}

impl Taken {
    /// Checks what was given, trusting nothing about it.
    ///
    /// # Errors
    ///
    /// [`Malformed`](Error::Malformed) if the peer is to blame.
    pub(crate) fn new(fds: Vec<OwnedFd>, terms: Terms) -> Result<Self> {
        let Terms { capacity, trust } = terms;
        let [data, control, space, messages] = <[OwnedFd; 4]>::try_from(fds).map_err(|fds| {
            Error::malformed(
                "attachment",
                format!("{} descriptors were given, not 4", fds.len()),
            )
        })?;
        Ok(Taken {
            data: Memory::of_peer(data, Part::Data(capacity), trust)?,
            control: Memory::of_peer(control, Part::Control(capacity), trust)?,
            bells: [Bell::reopened(&space)?, Bell::reopened(&messages)?],
        })
    }
}

/// A doorbell: the end that listens, and a descriptor to give away.
fn ear(trust: Trust) -> Result<(Ear, OwnedFd)> {
    let (ear, bell) = Ear::new()?;
    if trust == Trust::None {
        let opened = socket::open_to_others(&bell);
        opened.map_err(|error| Error::os("fchmod", "doorbell pipe", error))?;
    }
    Ok((ear, bell))
}

impl std::fmt::Display for Terms {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let tier = match self.trust {
            Trust::Full => "trusted",
            Trust::None => "untrusted",
        };
        write!(f, "{tier} rings of {} bytes", self.capacity)
    }
}

/// Whether an error is the peer's fault.
pub(crate) fn is_the_peers(error: &Error) -> bool {
    error.kind() == io::ErrorKind::InvalidData
}
