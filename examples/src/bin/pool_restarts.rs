//! A pool keeps its workers, whatever happens to them: `new Swoole\Process\Pool(3)`.

use std::error::Error;
use std::process;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use ipc_pool::{Pool, Status};
use nix::sys::signal::Signal;

fn main() -> Result<(), Box<dyn Error>> {
    let started = Instant::now();
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
    let first = process_of(&pool.wait_until(|now| process_of(now, 1) != 0)?, 1);
    pool.signal(1, Signal::SIGKILL as i32)?;
    let second = pool.wait_until(|now| ![0, first].contains(&process_of(now, 1)))?;
    println!(
        "worker 1 was process {first} and is process {}",
        process_of(&second, 1)
    );

    // Worker 0 ends as soon as it has started: it is replaced, but later each time.
    pool.wait_until(|now| now.restarts >= 5)?; // the one of worker 1, and four
    let lived = started.elapsed();
    println!("worker 0 had 4 lives in {lived:.1?}");
    assert!(lived > Duration::from_millis((100 + 200) * 3 / 4));
    pool.stop()?;

    let exits: Vec<usize> = exits.iter().collect();
    let count = |worker| exits.iter().filter(|&&exit| exit == worker).count();
    assert_eq!((count(1), count(2)), (2, 1));
    Ok(())
}

/// The process that works as `worker`; 0 while there is none.
fn process_of(status: &Status, worker: usize) -> u32 {
    let mut workers = status.workers.iter();
    let found = workers.find(|one| one.id == worker && one.is_ready);
    found.map_or(0, |one| one.pid)
}
