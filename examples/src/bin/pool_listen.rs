//! Workers that take their messages from a TCP port: `new Process\Pool(2, SWOOLE_IPC_SOCKET)`,
//! `$pool->listen('127.0.0.1', 8089)`.
//!
//! A client that says nothing, too much, or goes away costs its connection, and never a worker.

use std::error::Error;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use ipc_pool::{Pool, Worker};
use ipc_socket::{Address, Error as IpcError, Receiver, Select, Sender};
use ipc_socket::{SocketDuplex, SocketOptions, Wait};

/// How long a client may take to say what it wants, and to take the answer.
const PATIENCE: Duration = Duration::from_secs(2);

fn serve(worker: &Worker, mut client: SocketDuplex) -> Result<(), IpcError> {
    let message = String::from_utf8_lossy(client.recv_timeout(PATIENCE)?).into_owned();
    println!("worker {}: {message}", worker.id());
    client.send_timeout(message.to_uppercase().as_bytes(), PATIENCE)
}

fn main() -> Result<(), Box<dyn Error>> {
    let port = SocketAddr::from(([127, 0, 0, 1], 0));
    let mut listener = SocketOptions::new().max_len(64 << 10).listen(port)?;
    let Address::Tcp(address) = *listener.address() else {
        return Err("no TCP".into());
    };

    let pool = Pool::new(2)
        .on_work(move |mut worker| {
            let mut select = Select::new();
            while !worker.is_stopping() {
                select.wait(&mut [&mut worker, &mut listener], Wait::Forever)?;
                match listener.try_accept() {
                    Ok(client) => {
                        if let Err(error) = serve(worker, client) {
                            eprintln!("worker {}: {error}", worker.id()); // the client's own fault
                        }
                    }
                    Err(IpcError::WouldBlock) => {} // the other worker has it, or this one is to stop
                    Err(error) => return Err(error),
                }
            }
            Ok(())
        })
        .start()?;

    // As many that stall as there are workers, and one that leaves.
    let mut stalls = [TcpStream::connect(address)?, TcpStream::connect(address)?];
    for client in &mut stalls {
        client.write_all(&[0, 0])?;
    }
    drop(TcpStream::connect(address)?);

    // A client in any language. PHP: `fwrite($fp, pack('N', strlen($msg)) . $msg)`.
    for message in ["hello", "from", "afar"] {
        let mut client = TcpStream::connect(address)?;
        let mut frame = u32::try_from(message.len())?.to_be_bytes().to_vec();
        frame.extend_from_slice(message.as_bytes());
        client.write_all(&frame)?;
        let mut answer = String::new();
        client.read_to_string(&mut answer)?;
        assert_eq!(answer[4..], message.to_uppercase());
    }
    assert_eq!(pool.status().restarts, 0);
    pool.stop()?;
    Ok(())
}
