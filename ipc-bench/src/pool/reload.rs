//! All workers are replaced while there is work: how long that takes, and what is lost.

use std::collections::{HashSet, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use ipc_pool::{Handle, Pool};

use super::drive::work;
use super::step::{Finding, Load, Reload};
use super::tasks::until_ready;
use crate::Result;
use crate::cells::{Figures, Latencies};

pub(crate) const WORKERS: usize = 4;
/// Tasks that are submitted and not answered: each worker has one that waits behind that which it
/// does, and of long ones none.
const WINDOW: usize = 2 * WORKERS;
/// Before a reload, so that it finds the pool at work.
const PAUSE: Duration = Duration::from_millis(10);

pub(super) fn measure(step: &Reload) -> Result<Finding> {
    let load = step.load;
    let pool = Pool::new(WORKERS)
        .on_worker_exit(|_| {})
        .on_task(move |_| match load {
            Load::Sleep | Load::Long => thread::sleep(load.task()),
            Load::Compute => work(load.task()),
        })
        .start()?;
    until_ready(&pool, WORKERS);
    let over = AtomicBool::new(false);
    let window = if load == Load::Long { WORKERS } else { WINDOW };
    let mut latencies = Latencies::new();
    let (reloaded, lost) = thread::scope(|scope| {
        let loading = scope.spawn(|| keep_busy(&pool, window, &over));
        let reloaded = (0..step.reloads).try_for_each(|_| -> Result<()> {
            thread::sleep(PAUSE);
            latencies.push(reload(&pool)?);
            Ok(())
        });
        over.store(true, Ordering::Relaxed);
        (reloaded, loading.join())
    });
    reloaded?;
    let lost = lost.map_err(|_| "the submitting thread panicked")?;
    pool.stop()?;
    let figures: Figures = latencies.figures();
    Ok(Finding {
        figures,
        core_to_core_ns: None,
        lost,
    })
}

/// From the call until four new workers are ready, and the old ones gone.
fn reload(pool: &Handle) -> Result<Duration> {
    let old = pids(pool);
    let start = Instant::now();
    pool.reload()?;
    while !pids(pool).is_disjoint(&old) {
        thread::sleep(Duration::from_micros(100));
    }
    Ok(start.elapsed())
}

fn pids(pool: &Handle) -> HashSet<u32> {
    let status = pool.status();
    status.workers.iter().map(|worker| worker.pid).collect()
}

/// Keeps tasks on their way until it is over; returns how many were never answered.
fn keep_busy(pool: &Handle, window: usize, over: &AtomicBool) -> u64 {
    let (mut flight, mut lost) = (VecDeque::new(), 0);
    while !over.load(Ordering::Relaxed) || !flight.is_empty() {
        while flight.len() < window && !over.load(Ordering::Relaxed) {
            match pool.submit(b"task") {
                Ok(ticket) => flight.push_back(ticket),
                Err(_) => return lost + flight.len() as u64,
            }
        }
        if let Some(ticket) = flight.pop_front() {
            lost += u64::from(ticket.wait().is_err());
        }
    }
    lost
}
