//! A worker is killed: how long until the first instruction of its replacement.

use std::hint::black_box;
use std::thread;
use std::time::Duration;

use ipc_pool::{Handle, Pool};
use ipc_process::Child;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, getpid, pause};

use super::burners;
use super::clock::{Moment, now};
use super::step::{Condition, Finding, Replacement, Subject};
use super::tasks::until_ready;
use crate::Result;
use crate::cells::Latencies;
use crate::runner::die_with;

/// What a large manager has.
const LARGE: usize = 512 << 20;
/// Between one kill and the next, so that the second does not meet what the first has left to do.
const PAUSE: Duration = Duration::from_millis(2);

pub(super) fn measure(step: &Replacement) -> Result<Finding> {
    let _burners = match step.condition {
        Condition::Burners => burners::on_each_core()?,
        Condition::Idle | Condition::Large => Vec::new(),
    };
    let born = Moment::new()?;
    let mut latencies = Latencies::new();
    match step.subject {
        Subject::Pool => pool(step, &born, &mut latencies),
        Subject::Fork | Subject::Rings => fork(step, &born, &mut latencies),
    }?;
    Ok(Finding {
        figures: latencies.figures(),
        core_to_core_ns: None,
        lost: 0,
    })
}

fn pool(step: &Replacement, born: &Moment, latencies: &mut Latencies) -> Result<()> {
    let noted = born.clone();
    let pool = Pool::new(1)
        .on_worker_start(move |_| noted.note())
        .on_worker_exit(|_| {})
        .on_task(|task| task.payload().to_vec())
        .start()?;
    // After the start, as in a program that grows.
    let large = ballast(step.condition);
    let mut last = None;
    for _ in 0..step.kills {
        pool.submit_and_wait(b"one")?; // a worker that has done nothing is replaced later
        let worker = worker(&pool, last)?;
        thread::sleep(PAUSE);
        born.forget();
        let killed = now()?;
        kill(worker, Signal::SIGKILL)?;
        last = Some(worker);
        let elapsed = born.wait().saturating_sub(killed);
        latencies.push(Duration::from_nanos(elapsed));
    }
    black_box(&large);
    pool.stop()?;
    Ok(())
}

/// The worker's process, which is another than the `last`: the status is that of a moment ago.
fn worker(pool: &Handle, last: Option<Pid>) -> Result<Pid> {
    loop {
        until_ready(pool, 1);
        let status = pool.status();
        let worker = status.workers.first().ok_or("the pool has no worker")?;
        let pid = Pid::from_raw(worker.pid.try_into()?);
        if Some(pid) != last {
            return Ok(pid);
        }
        thread::sleep(Duration::from_micros(200));
    }
}

/// The naive program: the manager itself forks.
fn fork(step: &Replacement, born: &Moment, latencies: &mut Latencies) -> Result<()> {
    let large = ballast(step.condition);
    let parent = getpid();
    let start = || -> Result<Child> {
        let (child, ()) = ipc_process::fork(((), ()), |()| -> Result<()> {
            born.note();
            die_with(parent)?;
            loop {
                pause();
            }
        })?;
        Ok(child)
    };
    let mut child = start()?;
    for _ in 0..step.kills {
        born.wait();
        thread::sleep(PAUSE);
        born.forget();
        let killed = now()?;
        child.kill()?;
        child.wait()?;
        child = start()?;
        let elapsed = born.wait().saturating_sub(killed);
        latencies.push(Duration::from_nanos(elapsed));
    }
    black_box(&large);
    Ok(())
}

/// Memory that is there, every page of it.
fn ballast(condition: Condition) -> Vec<u8> {
    match condition {
        Condition::Large => vec![1; LARGE],
        Condition::Idle | Condition::Burners => Vec::new(),
    }
}
