//! Hands each child its task, and waits for all as they end: `Swoole\Process::wait()`.

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use ipc_msgqueue::{Receiver, Sender};

fn main() -> Result<(), Box<dyn Error>> {
    let (mut children, mut queues) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        // A queue each: nobody takes another's task, or back what he pushed.
        let (child, queue) = ipc_process::fork(ipc_msgqueue::pair()?, |mut queue| {
            let Ok(&[number]) = queue.recv() else {
                return ExitCode::from(100);
            };
            std::thread::sleep(Duration::from_millis(20 * u64::from(number)));
            ExitCode::from(number)
        })?;
        children.push(child);
        queues.push(queue);
    }
    for (number, queue) in (1..=3).zip(&mut queues) {
        queue.send(&[number])?;
    }

    let mut ended = Vec::new();
    while let Some((place, status)) = ipc_process::wait_any(&mut children)? {
        let pid = children[place].pid();
        println!("worker {place}, process {pid}: {status}");
        ended.push((place, status.code()));
    }
    ended.sort_unstable();
    assert_eq!(ended, [(0, Some(1)), (1, Some(2)), (2, Some(3))]);
    Ok(())
}
