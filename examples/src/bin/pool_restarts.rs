//! A pool keeps its workers, whatever happens to them: `new Swoole\Process\Pool(3)`.

use std::error::Error;
use std::sync::mpsc;
use std::time::Duration;
use std::{process, thread};

use ipc_pool::{Handle, Pool};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

fn main() -> Result<(), Box<dyn Error>> {
    let (tell, exits) = mpsc::channel();
    let pool = Pool::new(3)
        .on_worker_start(|worker| {
            println!("worker {} starts as process {}", worker.id(), process::id());
        })
        .on_work(|worker| {
            while worker.id() != 0 && !worker.is_stopping() {
                thread::sleep(Duration::from_millis(10)); // its work; worker 0 has none
            }
        })
        .on_worker_exit(move |exit| {
            println!("worker {}: {}", exit.worker, exit.status);
            let _ = tell.send(exit.worker);
        })
        .start()?;

    // Killed by somebody: another is there at once, under the same id.
    let first = process_of(&pool, 1, 0);
    kill(Pid::from_raw(first.try_into()?), Signal::SIGKILL)?;
    let second = process_of(&pool, 1, first);
    println!("worker 1 was process {first} and is process {second}");

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

/// The process that works as `worker`, as soon as it is another than `old`.
fn process_of(pool: &Handle, worker: usize, old: u32) -> u32 {
    loop {
        let workers = pool.status().workers;
        let mut found = workers
            .iter()
            .filter(|one| one.id == worker && one.pid != old);
        match found.find(|one| one.is_ready) {
            Some(one) => return one.pid,
            None => thread::sleep(Duration::from_millis(1)),
        }
    }
}
