//! Reads from whichever child has something to say, in an event loop:
//! `swoole_event_add($process->pipe, fn)`.

use std::error::Error;
use std::time::Duration;

use ipc_pipe::{Async, Error as IpcError, Receiver, Sender};
use tokio::task::JoinSet;

fn main() -> Result<(), Box<dyn Error>> {
    // Children first: a process that has threads must not fork.
    let mut workers = Vec::new();
    for number in 0..3u64 {
        workers.push(ipc_process::fork(ipc_pipe::pair()?, move |mut pipe| {
            let (tx, rx) = pipe.halves();
            rx.recv()?;
            std::thread::sleep(Duration::from_millis(60 - 20 * number));
            tx.send(format!("child {number} is done").as_bytes())
        })?);
    }

    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()?;
    let (mut children, mut pipes) = (Vec::new(), Vec::new());
    for (child, pipe) in workers {
        children.push(child);
        pipes.push(pipe);
    }
    let heard = runtime.block_on(async {
        let mut readers = JoinSet::new();
        for pipe in pipes {
            let mut pipe = Async::new(pipe)?;
            readers.spawn(async move {
                pipe.send(b"start").await?;
                let message = pipe.recv().await?;
                println!("{}", String::from_utf8_lossy(message));
                Ok::<_, IpcError>(message.to_vec())
            });
        }
        let mut heard = Vec::new();
        while let Some(message) = readers.join_next().await {
            heard.push(message.map_err(|_| IpcError::Disconnected)??);
        }
        Ok::<_, IpcError>(heard)
    })?;

    assert_eq!(heard.len(), 3); // each when it came, not in the order of the children
    for child in children {
        child.join()?;
    }
    Ok(())
}
