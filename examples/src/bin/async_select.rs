//! Waits for two mechanisms at once, asynchronously: ticks come over a pipe, orders over a socket.

use std::error::Error;
use std::time::Duration;

use ipc_pipe::Async;
use ipc_socket::{Error as IpcError, Sender};

fn main() -> Result<(), Box<dyn Error>> {
    // Children first: a process that has threads must not fork.
    let (tx, ticks) = ipc_pipe::channel()?;
    let (clock, ticks) = ipc_process::fork((ticks, tx), |mut tx| {
        for _ in 0..10 {
            std::thread::sleep(Duration::from_millis(2));
            tx.send(b"tick")?;
        }
        Ok::<(), IpcError>(())
    })?;
    let (tx, orders) = ipc_socket::channel()?;
    let (shop, orders) = ipc_process::fork((orders, tx), |mut tx| {
        for order in 0..1000u32 {
            tx.send(&order.to_le_bytes())?;
        }
        Ok::<(), IpcError>(())
    })?;

    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()?;
    let counted = runtime.block_on(async {
        let (mut ticks, mut orders) = (Async::new(ticks)?, Async::new(orders)?);
        let (mut ticked, mut ordered) = (0, 0);
        while ticked < 10 || ordered < 1000 {
            // Each branch may be dropped at any moment: nothing received is lost.
            tokio::select! {
                tick = ticks.recv(), if ticked < 10 => ticked += usize::from(tick? == b"tick"),
                order = orders.recv(), if ordered < 1000 => {
                    assert_eq!(order?, u32::to_le_bytes(ordered));
                    ordered += 1;
                }
            }
        }
        Ok::<_, IpcError>((ticked, ordered))
    })?;

    println!("{} ticks and {} orders", counted.0, counted.1);
    assert_eq!(counted, (10, 1000));
    clock.join()?;
    shop.join()?;
    Ok(())
}
