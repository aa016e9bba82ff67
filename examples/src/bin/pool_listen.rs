//! Workers that take their messages from a TCP port: `new Process\Pool(2, SWOOLE_IPC_SOCKET)`,
//! `$pool->listen('127.0.0.1', 8089)`.

use std::error::Error;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use ipc_pool::Pool;
use ipc_socket::{Address, Error as IpcError, Receiver, Select, Sender, Wait};

fn main() -> Result<(), Box<dyn Error>> {
    let mut listener = ipc_socket::listen(SocketAddr::from(([127, 0, 0, 1], 0)))?;
    let Address::Tcp(address) = *listener.address() else {
        return Err("no TCP".into());
    };

    let pool = Pool::new(2)
        .on_work(move |mut worker| {
            let mut select = Select::new();
            while !worker.is_stopping() {
                select.wait(&mut [&mut worker, &mut listener], Wait::Forever)?;
                match listener.try_accept() {
                    Ok(mut client) => {
                        let message = String::from_utf8_lossy(client.recv()?).into_owned();
                        println!("worker {}: {message}", worker.id());
                        client.send(message.to_uppercase().as_bytes())?;
                    }
                    Err(IpcError::WouldBlock) => {} // the other worker has it, or this one is to stop
                    Err(error) => return Err(error),
                }
            }
            Ok(())
        })
        .start()?;

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
    pool.stop()?;
    Ok(())
}
