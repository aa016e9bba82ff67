//! When a sender asks the kernel whether its peer still lives.

/// The most sends between two questions. A batch is one: to ask takes as long as to send a hundred
/// messages of it.
const LONGEST: u32 = 1024;

/// Counts sends that nobody had to be woken for, to a limit that doubles.
#[derive(Debug)]
pub(crate) struct Silence {
    left: u32,
    length: u32,
}

impl Silence {
    /// After a ring, which tells by itself whether the peer lives: the second send without one asks.
    pub(crate) fn rung() -> Self {
        Silence { left: 2, length: 1 }
    }

    /// Counts a message or a batch; true if it is time to ask.
    #[inline]
    pub(crate) fn is_due(&mut self) -> bool {
        self.left -= 1;
        self.left == 0
    }

    /// The peer lives: leaves it in peace for twice as long.
    pub(crate) fn extend(&mut self) {
        self.left = self.length;
        self.length = (self.length * 2).min(LONGEST);
    }
}

/// The first send asks.
impl Default for Silence {
    fn default() -> Self {
        Silence { left: 1, length: 1 }
    }
}
