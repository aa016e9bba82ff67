//! What the two processes of a cell do: one drives and measures, the other is its peer.

mod batch;
mod idle;
mod in_place;
mod latencies;
mod marks;
mod paced;
mod round_trip;
mod stall;
mod stream;

use std::time::Duration;

use ipc_core::{Duplex, Receiver, Sender};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;
use serde::{Deserialize, Serialize};

use crate::Result;
use crate::plan::{Cell, Pattern};

pub use batch::BytesPair;
pub use in_place::{InPlace, InPlacePair};
pub(crate) use latencies::Latencies;
pub use latencies::Latency;
pub(crate) use marks::Marks;
use round_trip::Sent;
pub(crate) use round_trip::WARM_UP;
pub use stall::Late;
pub(crate) use stream::messages_per_look;

/// Which of the two processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The one that measures: it begins a round trip, and receives what goes one way.
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
    /// Of round trips and of paced messages; after a stall, of recoveries.
    pub latency: Option<Latency>,
    /// Of stalls only.
    pub late: Option<Late>,
}

impl Figures {
    /// Those without latencies.
    pub(crate) fn plain(count: u64, elapsed: Duration) -> Self {
        Figures {
            count,
            elapsed,
            latency: None,
            late: None,
        }
    }
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

impl<S, R> Pair<S, R> {
    fn end(&mut self, role: Role) -> (&mut S, &mut R) {
        let (sender, receiver) = match role {
            Role::Driver => &mut self.driver,
            Role::Peer => &mut self.peer,
        };
        (sender, receiver)
    }
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

impl<S: Sender + Send, R: Receiver> Ends for Pair<S, R> {
    fn play(&mut self, role: Role, cell: &Cell) -> Result<Part> {
        let (sender, receiver) = self.end(role);
        play_end(sender, receiver, role, cell)
    }

    fn halves(&mut self, role: Role) -> Option<(&mut dyn Sender, &mut dyn Receiver)> {
        let (sender, receiver) = self.end(role);
        Some((sender, receiver))
    }
}

/// Plays a part with one end's halves. It is compiled for each mechanism: a ring's send takes less
/// than a call through a table.
fn play_end<S: Sender + Send, R: Receiver>(
    sender: &mut S,
    receiver: &mut R,
    role: Role,
    cell: &Cell,
) -> Result<Part> {
    match (cell.pattern, role) {
        (Pattern::RoundTrip, Role::Driver) => {
            round_trip::drive(Sent::new(sender, receiver, cell), cell)
        }
        (Pattern::RoundTrip | Pattern::Idle, Role::Peer) => {
            round_trip::echo(sender, receiver, cell)
        }
        (Pattern::Stream, Role::Driver) => stream::receive(receiver, cell),
        (Pattern::Stream, Role::Peer) => stream::send(sender, cell),
        (Pattern::Paced, Role::Driver) => paced::receive(receiver, cell),
        (Pattern::Paced, Role::Peer) => paced::send(sender, cell),
        (Pattern::Idle, Role::Driver) => idle::drive(sender, receiver, cell),
        (Pattern::Stall, Role::Driver) => stall::drive(sender, receiver, cell),
        (Pattern::Stall, Role::Peer) => stall::echo(sender, receiver, cell),
        (Pattern::Batch, Role::Driver) => batch::receive(receiver, cell),
        (Pattern::Batch, Role::Peer) => batch::send(sender, cell, batch::send_messages),
        (Pattern::InPlace, _) => Err("it lends no room to write a message in place".into()),
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

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;

    use ipc_core::{Error, Wait};

    use super::*;
    use crate::placement::Placement;
    use crate::plan::Verify;

    /// What happens to the messages on their way.
    type Fault = fn(number: usize, msg: &mut Vec<u8>);

    #[derive(Debug)]
    struct FaultySender(mpsc::SyncSender<Vec<u8>>, Fault, usize);
    #[derive(Debug)]
    struct PlainReceiver(mpsc::Receiver<Vec<u8>>, Vec<u8>);

    impl Sender for FaultySender {
        fn send_wait(&mut self, msg: &[u8], _: Wait) -> ipc_core::Result<()> {
            let mut msg = msg.to_vec();
            self.1(self.2, &mut msg);
            self.2 += 1;
            self.0.send(msg).map_err(|_| Error::Disconnected)
        }

        fn max_len(&self) -> usize {
            1024
        }
    }

    impl InPlace for FaultySender {
        fn send_with(&mut self, len: usize, write: impl FnOnce(&mut [u8])) -> ipc_core::Result<()> {
            let mut msg = vec![0; len];
            write(&mut msg);
            self.send(&msg)
        }
    }

    impl Receiver for PlainReceiver {
        fn recv_wait(&mut self, _: Wait) -> ipc_core::Result<()> {
            self.1 = self.0.recv().map_err(|_| Error::Disconnected)?;
            Ok(())
        }

        fn message(&self) -> &[u8] {
            &self.1
        }
    }

    /// Plays a cell between two threads; the driver's part, or what went wrong in either.
    fn play(pattern: Pattern, verify: Verify, fault: Fault) -> Result<Part, String> {
        let cell = Cell {
            mechanism: "faulty".to_owned(),
            pattern,
            size: 64,
            placement: Placement::Free,
            spin: None,
            time: Duration::from_millis(20),
            rate: 10_000,
            verify,
            repetition: 1,
        };
        let channel = || {
            let (tx, rx) = mpsc::sync_channel(16);
            (FaultySender(tx, fault, 0), PlainReceiver(rx, Vec::new()))
        };
        let pair = Pair::of_channels(channel(), channel());
        let part = |(sender, receiver), role| {
            let cell = cell.clone();
            thread::spawn(move || {
                let (mut sender, mut receiver) = (sender, receiver);
                let (sender, receiver) = (&mut sender, &mut receiver);
                let part = match cell.pattern {
                    Pattern::InPlace => in_place::play(sender, receiver, role, &cell),
                    _ => play_end(sender, receiver, role, &cell),
                };
                part.map_err(|error| error.to_string())
            })
        };
        let peer = part(pair.peer, Role::Peer);
        let driver = part(pair.driver, Role::Driver).join().unwrap();
        let peer = peer.join().unwrap();
        // One who sees the fault goes; the other is told that it has gone.
        let gone = |error: &String| *error == Error::Disconnected.to_string();
        match (driver, peer) {
            (Err(error), Err(other)) if gone(&error) => Err(other),
            (Err(error), _) | (Ok(_), Err(error)) => Err(error),
            (Ok(part), Ok(_)) => Ok(part),
        }
    }

    #[test]
    fn sound_ends_pass() {
        for &pattern in Pattern::ALL {
            let part = play(pattern, Verify::Sample, |_, _| {}).unwrap();
            let figures = part.figures.unwrap();
            assert!(figures.count > 0);
            let timed = !matches!(pattern, Pattern::Stream | Pattern::Batch | Pattern::Idle);
            assert_eq!(figures.latency.is_some(), timed);
            assert_eq!(figures.late.is_some(), pattern == Pattern::Stall);
        }
    }

    #[test]
    fn faulty_ends_are_caught() {
        let faults: [(Fault, &str); 4] = [
            (|n, msg| msg[63] ^= u8::from(n == 3), "byte 63"),
            (
                |n, msg| msg.truncate(if n == 3 { 63 } else { 64 }),
                "has 63 bytes",
            ),
            (|n, msg| msg[0] ^= u8::from(n == 3), "was expected"),
            (|n, msg| msg[30] ^= u8::from(n == 2), "byte 30"),
        ];
        for &pattern in Pattern::ALL {
            // Of a message in place nobody looks at byte 30, unless asked to.
            let sampled = faults.len() - usize::from(pattern == Pattern::InPlace);
            for &(fault, found) in &faults[..sampled] {
                let error = play(pattern, Verify::Sample, fault).unwrap_err();
                assert!(
                    error.contains("corrupt") && error.contains(found),
                    "{error}"
                );
            }
            let inner: Fault = |n, msg| msg[30] ^= u8::from(n == 3);
            assert!(play(pattern, Verify::Full, inner).is_err());
        }
    }
}
