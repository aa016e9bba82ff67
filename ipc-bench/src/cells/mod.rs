//! What the two processes of a cell do: one drives and measures, the other is its peer.

mod latencies;
mod round_trip;
mod stream;

use std::time::Duration;

use ipc_core::{Duplex, Receiver, Sender};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;
use serde::{Deserialize, Serialize};

use crate::Result;
use crate::plan::{Cell, Pattern};

pub use latencies::Latency;

/// Which of the two processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The one that measures: it begins a round trip, and receives a stream.
    Driver,
    /// The other one.
    Peer,
}

/// What a process found out.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Part {
    /// Processor time of the measured part, user and system.
    pub cpu: Duration,
    /// From the driver only.
    pub figures: Option<Figures>,
}

/// What a cell measures.
#[derive(Debug, Serialize, Deserialize)]
pub struct Figures {
    /// Messages, or round trips.
    pub count: u64,
    /// How long they took together.
    pub elapsed: Duration,
    /// Of round trips only.
    pub latency: Option<Latency>,
}

/// The two connected ends of a cell, made before the processes are forked that play them.
pub trait Ends {
    /// Plays one part of the cell's pattern in this process.
    ///
    /// # Errors
    ///
    /// When a call fails, or a message is not what was sent.
    fn play(&mut self, role: Role, cell: &Cell) -> Result<Part>;

    /// One end's halves; `None` where there are none.
    fn halves(&mut self, role: Role) -> Option<(&mut dyn Sender, &mut dyn Receiver)>;

    /// Why messages of `size` bytes cannot be carried.
    fn refusal(&mut self, size: usize) -> Option<ipc_core::Error> {
        let (sender, _) = self.halves(Role::Driver)?;
        if size <= sender.max_len() {
            return None;
        }
        // Refused before anything is sent, and the error names the limit.
        sender.send(&vec![0; size]).err()
    }
}

/// Two equal endpoints of any mechanism or floor.
#[derive(Debug)]
pub struct Pair<S, R> {
    driver: (S, R),
    peer: (S, R),
}

impl<S: Sender, R: Receiver> Pair<S, R> {
    /// Of a toolkit's pair.
    pub fn new((driver, peer): (Duplex<S, R>, Duplex<S, R>)) -> Self {
        Pair {
            driver: driver.split(),
            peer: peer.split(),
        }
    }

    /// Of two channels, one each way.
    pub fn of_channels(there: (S, R), back: (S, R)) -> Self {
        Pair {
            driver: (there.0, back.1),
            peer: (back.0, there.1),
        }
    }
}

impl<S: Sender, R: Receiver> Ends for Pair<S, R> {
    fn play(&mut self, role: Role, cell: &Cell) -> Result<Part> {
        let (sender, receiver) = match role {
            Role::Driver => &mut self.driver,
            Role::Peer => &mut self.peer,
        };
        match (cell.pattern, role) {
            (Pattern::RoundTrip, Role::Driver) => round_trip::drive(sender, receiver, cell),
            (Pattern::RoundTrip, Role::Peer) => round_trip::echo(sender, receiver, cell),
            (Pattern::Stream, Role::Driver) => stream::receive(receiver, cell),
            (Pattern::Stream, Role::Peer) => stream::send(sender, cell),
        }
    }

    fn halves(&mut self, role: Role) -> Option<(&mut dyn Sender, &mut dyn Receiver)> {
        let (sender, receiver) = match role {
            Role::Driver => &mut self.driver,
            Role::Peer => &mut self.peer,
        };
        Some((sender, receiver))
    }
}

/// Processor time that this process has used.  getrusage(2)
pub(crate) fn cpu_time() -> Result<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_SELF)?;
    let duration = |time: TimeVal| {
        Duration::new(time.tv_sec().unsigned_abs(), 0)
            + Duration::from_micros(time.tv_usec().unsigned_abs())
    };
    Ok(duration(usage.user_time()) + duration(usage.system_time()))
}
