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
//! One asking is answered once: the answering side remembers the word it answered last. Positions
//! are multiples of 8, so the lowest three bits count the askings, and the same position asked for
//! again is another word. A sleeper asks again after every ring that it has read, since that may have been
//! the answer to an earlier asking; two rings at most can be read before an answer to the same
//! position is due, so three bits are enough.

use std::sync::atomic::{Ordering, fence};

use crate::ring::Line;

/// No position is asked for. The first that can be is 8.
const NOTHING: u64 = 0;
/// The bits that count askings.
const COUNT: u64 = 7;

/// The side that may sleep.
#[derive(Debug, Default)]
pub(crate) struct Asking {
    asked: u64,
    /// Whether the word stands, and no ring has been read since it was stored.
    stands: bool,
}

impl Asking {
    /// Goes on where an earlier life of this side ended, at this word.
    pub(crate) fn new(asked: u64) -> Self {
        Asking {
            asked,
            stands: false,
        }
    }

    pub(crate) fn asked(&self) -> u64 {
        self.asked
    }

    /// Asks to be woken at `position`. Look once more afterwards, before sleeping.
    pub(crate) fn ask(&mut self, word: &Line, position: u64) {
        if self.stands && self.asked & !COUNT == position {
            return;
        }
        self.asked = position | (self.asked + 1) & COUNT;
        self.stands = true;
        word.store(self.asked);
        fence(Ordering::SeqCst);
    }

    /// Takes the asking back, where the look that followed it found something.
    pub(crate) fn withdraw(&mut self, word: &Line) {
        self.stands = false;
        word.store(NOTHING);
    }

    /// A ring has been read: it may have been the answer.
    pub(crate) fn heard(&mut self) {
        self.stands = false;
    }
}

/// The side that wakes.
#[derive(Debug, Default)]
pub(crate) struct Answering {
    answered: u64,
}

impl Answering {
    /// Goes on where an earlier life of this side ended.
    pub(crate) fn new(answered: u64) -> Self {
        Answering { answered }
    }

    pub(crate) fn answered(&self) -> u64 {
        self.answered
    }

    /// Whether to ring, now that everything up to `reached` has been published. Call it after every
    /// publishing, and ring if it says so: it says so once.
    #[inline]
    pub(crate) fn owes(&mut self, word: &Line, reached: u64) -> bool {
        fence(Ordering::SeqCst);
        let asked = word.load();
        if asked == self.answered || asked & !COUNT > reached || asked == NOTHING {
            return false;
        }
        self.answered = asked;
        true
    }
}
