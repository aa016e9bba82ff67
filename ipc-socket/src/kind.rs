//! Kinds of sockets.

use std::fmt;

/// What kind of socket carries the messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A unix stream: frames of a length and a body, which may be larger than any buffer.
    #[default]
    Unix,
    /// A unix seqpacket socket: every message is one packet of the kernel's, sent and received whole
    /// in one call, no longer than the send buffer.
    Seqpacket,
    /// A TCP connection: frames, as on a unix stream.
    Tcp,
}

/// `unix`, `seqpacket`, `tcp`.
impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Kind::Unix => "unix",
            Kind::Seqpacket => "seqpacket",
            Kind::Tcp => "tcp",
        })
    }
}
