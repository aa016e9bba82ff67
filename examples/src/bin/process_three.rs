//! Three tasks of a second each, by three children, take one second: `new Swoole\Process(fn)`.

use std::error::Error;
use std::time::{Duration, Instant};
use std::{process, thread};

const TASK: Duration = Duration::from_secs(1);

fn main() -> Result<(), Box<dyn Error>> {
    let start = Instant::now();
    let mut children = Vec::new();
    for number in 1..=3 {
        let (child, ()) = ipc_process::fork(((), ()), move |()| {
            println!("child {number} is process {} and starts", process::id());
            thread::sleep(TASK);
            println!("child {number} ends");
        })?;
        children.push(child);
    }

    let pids: Vec<u32> = children.iter().map(ipc_process::Child::pid).collect();
    for child in children {
        child.join()?; // an error if it failed
    }
    println!("{pids:?} took {:?}", start.elapsed());
    assert!(start.elapsed() < TASK * 3);
    Ok(())
}
