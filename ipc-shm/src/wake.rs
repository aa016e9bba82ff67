//! Who is to be woken, and how no wake-up is lost, though whoever publishes passes no fence.
//!
//! A side that is about to sleep *asks*: it stores, in a word that only it writes, the position that
//! the other side is to wake it at, passes a barrier, looks once more, and only then sleeps on its
//! doorbell. The other side *answers*: it publishes up to a position, loads the word, and rings if
//! what it has just published reaches the position asked for. Each side is both: a receiver asks for
//! data and answers for space, a sender the other way round.
//!
//! # The word
//!
//! | it holds | the one who publishes | the one who asks next |
//! |---|---|---|
//! | [`CALM`] | loads it, with no fence, and is done | stores a position, then `membarrier(2)`, then looks |
//! | a position | passes a full fence, and loads it again | stores a position, then a full fence, then looks |
//!
//! A barrier on all processors costs the sleeper up to 13 us, a fence costs the publisher of a small
//! message most of its rate. So the first sleep pays for the barrier, sleeps that follow each other
//! pay for fences, and after [`CALMING`] waits that ended without a sleep the word is calm again.
//!
//! # Why no wake-up is lost
//!
//! *While a position stands* both sides pass a full fence between their store and their load. Of the
//! two fences one comes first in the single total order of sequentially consistent fences. If the
//! sleeper's does, the load behind the publisher's fence sees the position. If the publisher's does,
//! the look behind the sleeper's fence sees what was published. Loom checks it (`src/model.rs`).
//!
//! *When the word was calm* the publisher has stored, and then loaded, with nothing between but the
//! promise of its compiler, and the processor may do it in either order. `membarrier` makes every
//! processor that runs a registered process pass a full barrier, at a moment between the sleeper's
//! store and its look. That moment lies somewhere in the publisher's program: behind its store, and
//! then the look sees what was published; or before its load, and then the load sees the position;
//! or both. A publisher that is not running is given its processor by a context switch, which is a
//! full barrier too. From then on every load of that publisher sees a position, this or a later
//! one, so it passes its fence, until the word is calm again. `src/model.rs` has loom try every such
//! moment, with the call as it is described here, and `tests.rs` tries the call itself.
//!
//! In both cases a ring stays in the pipe until it is read, so it does not matter whether the sleeper
//! sleeps already. Nor is a ring forgotten: a position is reached by exactly one publishing, and
//! that one rings, unless it came so early that the sleeper's look saw it. A busy side therefore
//! rings once for an asking, however long the word stands. A ring that comes late, for what the
//! sleeper had found by itself, wakes it in vain, and what it asks for by then still stands.
//!
//! # Where the barrier does not reach
//!
//! The call's success proves nothing: it is the same when nobody is registered. So each side sees
//! to its own part, and believes nothing of the other:
//!
//! - Every half registers its process when it is made and when it is put together from parts. The
//!   kernel keeps a registration over a fork, and forgets it at an exec, which halves survive as parts
//!   only. Where it is refused (before Linux 4.16, or by a seccomp filter) the half passes the fence
//!   at every publishing, whatever the word holds.
//! - A sleeper whose call is refused leaves the word uncalm for ever. Only the first time this may
//!   come too late for a publisher that is just loading it; so then it naps for [`NAP`], in which that
//!   publisher's store becomes visible, before it looks.
//!
//! A hostile peer may write any word at any time. What it gains is that this side passes fences and
//! rings a bell once for each message; what it loses are its own wake-ups.

#[cfg(all(test, not(loom)))]
mod tests;

use std::sync::atomic::{Ordering, compiler_fence};
use std::thread;
use std::time::Duration;

use crate::ring::Line;
use crate::sync::{barrier, fence, register};

/// Nobody sleeps, and nobody will without a barrier.
const CALM: u64 = 0;
/// Nobody sleeps now: a position that is never reached.
const NOBODY: u64 = u64::MAX;
/// So many waits without a sleep make the word calm. A model has none to spare.
const CALMING: u32 = if cfg!(loom) { 0 } else { 32 };
/// Long past the time that a processor takes to make a store visible.
const NAP: Duration = Duration::from_millis(1);

/// The side that may sleep.
#[derive(Debug)]
pub(crate) struct Asking {
    /// What stands in the word.
    asked: u64,
    /// Waits since a position was asked for.
    waits: u32,
    /// Whether `membarrier` is not to be had.
    refused: bool,
}

impl Asking {
    /// Goes on where an earlier life of this side left its word.
    pub(crate) fn new(word: &Line) -> Self {
        let mut asking = Asking {
            asked: word.load(),
            waits: 0,
            refused: false,
        };
        if !register() {
            asking.refused(word);
        }
        asking
    }

    /// Asks to be woken at `position`, which is not 0. Look once more afterwards, always, before
    /// sleeping.
    pub(crate) fn ask(&mut self, word: &Line, position: u64) {
        self.waits = 0;
        if self.asked == position {
            return; // and has passed its barrier
        }
        let calm = self.asked == CALM;
        self.asked = position;
        word.store(position);
        fence(Ordering::SeqCst);
        if calm && !barrier() {
            self.refused(word);
        }
    }

    /// Notes that a wait is over, whether it slept or not.
    #[inline]
    pub(crate) fn waited(&mut self, word: &Line) {
        if self.asked == CALM || self.refused {
            return;
        }
        self.waits += 1;
        if self.waits > CALMING {
            self.asked = CALM;
            word.store(CALM);
        }
    }

    /// From now on the word is never calm.
    #[cold]
    fn refused(&mut self, word: &Line) {
        self.refused = true;
        if self.asked == CALM {
            self.asked = NOBODY;
            word.store(NOBODY);
        }
        fence(Ordering::SeqCst);
        if cfg!(not(loom)) {
            thread::sleep(NAP); // a model has no clock
        }
    }
}

/// The side that wakes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answering {
    /// Whether the sleeper's barrier does not reach this process.
    fenced: bool,
}

impl Answering {
    pub(crate) fn new() -> Self {
        let fenced = !register();
        // What a sleeper stored before its barrier missed this process is visible from here on.
        fence(Ordering::SeqCst);
        Answering { fenced }
    }

    /// Whether to ring, now that everything from `before` up to `reached` has been published. Call
    /// it after every publishing, and ring if it says so.
    #[inline]
    pub(crate) fn owes(self, word: &Line, before: u64, reached: u64) -> bool {
        compiler_fence(Ordering::SeqCst);
        if word.peek() == CALM && !self.fenced {
            return false;
        }
        fence(Ordering::SeqCst);
        let asked = word.peek();
        before < asked && asked <= reached
    }
}
