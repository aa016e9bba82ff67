//! Tasks of a pool: submitted, done and answered.

use std::thread;
use std::time::Duration;

use super::cores::Cores;
use super::drive::{Client, drive, work};
use super::floors;
use super::step::{Finding, Subject, Tasks};
use crate::Result;
use crate::cells::{Figures, Role};
use crate::placement::{self, Placement};
use ipc_pool::{Handle, Pool, Ticket};

pub(super) fn measure(step: &Tasks) -> Result<Finding> {
    let seats = seats(step)?;
    let mut cores = Cores::new(step.placement)?;
    placement::enter(step.placement, Role::Driver)?;
    let mut probe = || cores.as_mut().map_or(Ok(None), Cores::probe);
    let before = probe()?;
    let figures = match step.subject {
        Subject::Pool => pool(step, seats),
        Subject::Fork | Subject::Rings => floors::tasks(step, &seats),
    }?;
    let after = probe()?;
    if figures.count == 0 {
        return Err("not one task in the time given: give it more".into());
    }
    Ok(Finding {
        figures,
        // The host may move them meanwhile: the worse one counts.
        core_to_core_ns: before.zip(after).map(|(before, after)| before.max(after)),
        lost: 0,
    })
}

fn pool(step: &Tasks, seats: Vec<Option<usize>>) -> Result<Figures> {
    let task = step.task;
    let pool = Pool::new(step.workers)
        .on_worker_start(move |worker| sit(seats[worker.id()]).map_err(|e| e.to_string()))
        .on_task(move |order| {
            work(task);
            order.payload().to_vec()
        })
        .start()?;
    until_ready(&pool, step.workers);
    let figures = drive(&mut Submitter(&pool), step)?;
    pool.stop()?;
    Ok(figures)
}

struct Submitter<'a>(&'a Handle);

impl Client for Submitter<'_> {
    type Claim = Ticket;

    #[inline]
    fn submit(&mut self, payload: &[u8]) -> Result<Ticket> {
        Ok(self.0.submit(payload)?)
    }

    #[inline]
    fn wait<T>(&mut self, ticket: Ticket, look: impl FnOnce(&[u8]) -> T) -> Result<T> {
        Ok(look(&ticket.wait()?))
    }
}

/// Waits until all workers are ready, and gone those that they replace.
pub(super) fn until_ready(pool: &Handle, workers: usize) {
    loop {
        let status = pool.status();
        if status.workers.len() == workers && status.workers.iter().all(|one| one.is_ready) {
            return;
        }
        thread::sleep(Duration::from_micros(200));
    }
}

/// Each worker's core: the manager has the first, the first worker the next, and so on round.
fn seats(step: &Tasks) -> Result<Vec<Option<usize>>> {
    let cores = placement::allowed()?;
    let seat = |worker| match (step.placement, placement::two_cores()) {
        (Placement::Split, Ok(Some([_, second]))) if worker == 0 => Some(second),
        (Placement::Split, _) => Some(cores[(worker + 1) % cores.len()]),
        (Placement::Same | Placement::Free, _) => None, // as the manager
    };
    Ok((0..step.workers).map(seat).collect())
}

/// Puts this worker there.
pub(super) fn sit(seat: Option<usize>) -> Result<()> {
    seat.map_or(Ok(()), placement::pin)
}
