//! Tasks go to idle workers, and their results come back: `$server->task()`, `onTask`, `finish`.

use std::error::Error;
use std::process;

use ipc_pool::{Error as PoolError, Pool};

fn main() -> Result<(), Box<dyn Error>> {
    let pool = Pool::new(2)
        .prefetch(1) // long tasks: none waits behind another while a worker is idle
        .on_task(|task| {
            let below: u32 = std::str::from_utf8(task.payload())?.parse()?;
            let count = (2..below).filter(|&n| is_prime(n)).count();
            let (worker, pid) = (task.worker().id(), process::id());
            println!("worker {worker}, process {pid}: primes below {below}");
            Ok::<_, Box<dyn Error>>(format!("{count} primes below {below}"))
        })
        .start()?;

    // Several at once, and their results in the order of the tasks: `taskWaitMulti`.
    let mut results = Vec::new();
    for ticket in pool.submit_many(["100000", "10000", "1000"])? {
        results.push(String::from_utf8(ticket.wait()?)?);
    }
    println!("{results:#?}");
    assert_eq!(results[1], "1229 primes below 10000");

    // To one worker: `$server->task($data, 1)`.
    let result = pool.submit_to(1, b"100")?.wait()?;
    assert_eq!(result, b"25 primes below 100");

    // What a handler cannot do is an answer too: its error, or its panic.
    let error = pool.submit_and_wait(b"many").unwrap_err();
    println!("{error}");
    assert!(matches!(error, PoolError::Task { message, .. } if message.contains("invalid digit")));

    pool.stop()?;
    Ok(())
}

fn is_prime(n: u32) -> bool {
    (2..=n.isqrt()).map(|d| n % d).all(|rest| rest > 0)
}
