//! What the naive program has for workers: forked processes that answer on a socketpair, or through
//! two bare rings.

use std::time::Duration;

use ipc_core::Wait;
use ipc_process::Child;
use nix::unistd::getpid;

use super::drive::{Client, PAYLOAD, drive, work};
use super::step::{Subject, Tasks};
use super::tasks::sit;
use crate::Result;
use crate::cells::{Ends, Figures, Role};
use crate::mechanisms;
use crate::placement::Placement;
use crate::plan::{Cell, Pattern, Verify};
use crate::runner::die_with;

pub(super) fn tasks(step: &Tasks, seats: &[Option<usize>]) -> Result<Figures> {
    let mechanism = match (step.subject, step.placement) {
        (Subject::Rings, Placement::Same) => "raw-futex-ring",
        (Subject::Rings, _) => "raw-ring",
        _ => "raw-unix",
    };
    let workers = seats.iter().map(|&seat| Echo::start(mechanism, seat, step));
    let workers = workers.collect::<Result<_>>()?;
    drive(&mut RoundRobin { workers, next: 0 }, step)
}

/// A process that does tasks. Dropping it kills it.
struct Echo {
    ends: Box<dyn Ends>,
    _process: Child,
}

impl Echo {
    fn start(mechanism: &'static str, seat: Option<usize>, step: &Tasks) -> Result<Self> {
        let mut ends = connect(mechanism, step)?;
        let (parent, task) = (getpid(), step.task);
        let (process, ()) = ipc_process::fork(((), ()), |()| -> Result<()> {
            die_with(parent)?;
            sit(seat)?;
            echo(&mut *ends, task)
        })?;
        Ok(Echo {
            ends,
            _process: process,
        })
    }
}

fn echo(ends: &mut dyn Ends, task: Duration) -> Result<()> {
    let (tx, rx) = ends.halves(Role::Peer).ok_or("no halves")?;
    loop {
        rx.recv_wait(Wait::Forever)?;
        work(task);
        tx.send_wait(rx.message(), Wait::Forever)?;
    }
}

/// The ends of a floor of `ipc-bench run`.
fn connect(mechanism: &str, step: &Tasks) -> Result<Box<dyn Ends>> {
    let cell = Cell {
        mechanism: mechanism.to_owned(),
        pattern: Pattern::RoundTrip,
        size: PAYLOAD,
        placement: step.placement,
        spin: None,
        time: step.time,
        rate: 1,
        verify: Verify::Sample,
        repetition: 1,
    };
    let mechanism = mechanisms::find(mechanism).ok_or("unknown floor")?;
    (mechanism.connect)(&cell)
}

/// Gives tasks to one after the other.
struct RoundRobin {
    workers: Vec<Echo>,
    next: usize,
}

impl Client for RoundRobin {
    type Claim = usize;

    #[inline]
    fn submit(&mut self, payload: &[u8]) -> Result<usize> {
        let at = self.next;
        self.next = (at + 1) % self.workers.len();
        let halves = self.workers[at].ends.halves(Role::Driver);
        let (tx, _) = halves.ok_or("no halves")?;
        tx.send_wait(payload, Wait::Forever)?;
        Ok(at)
    }

    #[inline]
    fn wait<T>(&mut self, at: usize, look: impl FnOnce(&[u8]) -> T) -> Result<T> {
        let halves = self.workers[at].ends.halves(Role::Driver);
        let (_, rx) = halves.ok_or("no halves")?;
        rx.recv_wait(Wait::Forever)?;
        Ok(look(rx.message()))
    }
}
