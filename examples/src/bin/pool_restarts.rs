//! A pool keeps its workers, whatever happens to them: `new Swoole\Process\Pool(3)`.

use std::error::Error;
use std::sync::mpsc;
use std::time::Duration;
use std::{process, thread};

use ipc_pool::{Pool, Status};
use nix::sys::signal::Signal;

fn main() -> Result<(), Box<dyn Error>> {
    let (tell, exits) = mpsc::channel();
    let pool = Pool::new(3)
        .on_worker_start(|worker| {
            println!("worker {} starts as process {}", worker.id(), process::id());
        })
        .on_work(|worker| {
            while worker.id() != 0 && worker.sleep(Duration::from_millis(10)) {
                // its work; worker 0 has none
            }
        })
        .on_worker_exit(move |exit| {
            println!("worker {}: {}", exit.worker, exit.status);
            let _ = tell.send(exit.worker);
        })
        .start()?;

    // Killed by somebody: another is there at once, under the same id.
    let first = process_of(&pool.wait_until(Status::is_complete)?, 1);
    pool.signal(1, Signal::SIGKILL as i32)?;
    let second = pool.wait_until(|now| ![0, first].contains(&process_of(now, 1)))?;
    println!(
        "worker 1 was process {first} and is process {}",
        process_of(&second, 1)
    );

    // Worker 0 ends as soon as it has started: it is replaced, but later each time.
    thread::sleep(Duration::from_secs(1));
    pool.stop()?;
    let exits: Vec<usize> = exits.iter().collect();
    let count = |worker| exits.iter().filter(|&&exit| exit == worker).count();
    println!("worker 0 had {} lives", count(0));
    assert!((2..=8).contains(&count(0)));
    assert_eq!((count(1), count(2)), (2, 1));
    Ok(())
}

/// The process that works as `worker`; 0 while there is none.
fn process_of(status: &Status, worker: usize) -> u32 {
    let mut workers = status.workers.iter();
    let found = workers.find(|one| one.id == worker && one.is_ready);
    found.map_or(0, |one| one.pid)
}
