//! The same conversation over a mechanism that is chosen at run time:
//! `cargo run --bin swap_mechanism -- shm`.

use std::env;
use std::error::Error;

use ipc_pipe::{Channel, Inherit, Result as IpcResult};
use ipc_process::Child;

fn main() -> Result<(), Box<dyn Error>> {
    let name = env::args().nth(1).unwrap_or_else(|| "pipe".into());
    let (child, mut channel) = match name.as_str() {
        "pipe" => start(ipc_pipe::pair()?),
        "fifo" => start(ipc_fifo::pair()?),
        "queue" => start(ipc_msgqueue::pair()?),
        "shm" => start(ipc_shm::pair()?),
        "socket" => start(ipc_socket::pair()?),
        _ => return Err(format!("no mechanism {name}: pipe, fifo, queue, shm or socket").into()),
    }?;

    let sum = converse(&mut *channel)?;
    println!("over {name}: 1 + .. + 100 = {sum}");
    assert_eq!(sum, 5050);

    child.join()?;
    Ok(())
}

/// From here on nobody knows which mechanism it is.
fn converse(channel: &mut dyn Channel) -> IpcResult<u64> {
    for number in 1..=100u64 {
        channel.send(&number.to_le_bytes())?;
    }
    channel.send(b"sum")?;
    let sum = channel.recv()?;
    Ok(sum.try_into().map_or(0, u64::from_le_bytes))
}

/// Forks a child that adds up what it is sent.
fn start<C>(pair: (C, C)) -> Result<(Child, Box<dyn Channel>), Box<dyn Error>>
where
    C: Channel + Inherit + 'static,
{
    let (child, ours) = ipc_process::fork(pair, |mut theirs| {
        let mut sum = 0;
        while let Ok(number) = theirs.recv()?.try_into() {
            sum += u64::from_le_bytes(number);
        }
        theirs.send(&sum.to_le_bytes())
    })?;
    Ok((child, Box::new(ours)))
}
