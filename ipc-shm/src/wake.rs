//! Who is to be woken, and how no wake-up is lost. What a fence costs is paid here and nowhere else.
//!
//! A side that is about to sleep *asks*: it stores, in a word that only it writes, the position that
//! the other side is to wake it at, then passes a full fence, then looks once more, and only then
//! sleeps on its doorbell. The other side *answers*: after it has published up to a position it
//! passes a full fence, loads the word, and rings if the position asked for has been reached.
//!
//! No wake-up is lost: of the two fences one comes first in the single total order of sequentially
//! consistent fences. If the sleeper's does, the load behind the publisher's fence sees the word,
//! and it rings. If the publisher's does, the look behind the sleeper's fence sees what was
//! published, and it does not sleep. In both cases a ring lies in the pipe until it is read, so it
//! does not matter whether the sleeper sleeps already.
//!
//! One asking is answered once: the answering side remembers the position that it answered last.
//! That cannot hide a later asking for the same position, since it was answered because it had been
//! reached: whoever looks there does not ask. A ring that comes late, for a position that the
//! sleeper had found by itself, wakes it in vain; what it asks for meanwhile still stands.

use std::sync::atomic::Ordering;

use crate::ring::Line;
use crate::sync::fence;

/// No position is asked for. The first that can be is 8.
const NOTHING: u64 = 0;

/// The side that may sleep.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Asking {
    asked: u64,
}

impl Asking {
    /// Goes on where an earlier life of this side ended.
    pub(crate) fn new(asked: u64) -> Self {
        Asking { asked }
    }

    pub(crate) fn asked(self) -> u64 {
        self.asked
    }

    /// Asks to be woken at `position`. Look once more afterwards, before sleeping.
    pub(crate) fn ask(&mut self, word: &Line, position: u64) {
        if self.asked != position {
            self.asked = position;
            word.store(position);
            fence(Ordering::SeqCst);
        }
    }

    /// Takes the asking back, where the look that followed it found something.
    pub(crate) fn withdraw(&mut self, word: &Line) {
        self.asked = NOTHING;
        word.store(NOTHING);
    }
}

/// The side that wakes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Answering {
    answered: u64,
}

impl Answering {
    /// Goes on where an earlier life of this side ended.
    pub(crate) fn new(answered: u64) -> Self {
        Answering { answered }
    }

    pub(crate) fn answered(self) -> u64 {
        self.answered
    }

    /// Whether to ring, now that everything up to `reached` has been published. Call it after every
    /// publishing, and ring if it says so: it says so once.
    #[inline]
    pub(crate) fn owes(&mut self, word: &Line, reached: u64) -> bool {
        fence(Ordering::SeqCst);
        let asked = word.load();
        if asked == self.answered || asked > reached || asked == NOTHING {
            return false;
        }
        self.answered = asked;
        true
    }
}
