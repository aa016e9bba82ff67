//! Says hello to a forked child, and hears it back, over a pair of System V message queues.

use std::error::Error;

use ipc_msgqueue::{Receiver, Sender, pair};

fn main() -> Result<(), Box<dyn Error>> {
    let (child, mut channel) = ipc_process::fork(pair()?, |mut channel| {
        let (tx, rx) = channel.halves();
        tx.send(rx.recv()?) // an echo
    })?;

    channel.send(b"hello")?;
    let echo = channel.recv()?;
    println!("{}", String::from_utf8_lossy(echo));
    assert_eq!(echo, b"hello");

    child.join()?; // an error if the child failed
    Ok(())
}
