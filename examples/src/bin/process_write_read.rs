//! Parent and children write to and read from each other: `$process->write`, `$process->read`.

use std::error::Error;

use ipc_socket::{Receiver, Sender};

fn main() -> Result<(), Box<dyn Error>> {
    let mut workers = Vec::new();
    for _ in 0..3 {
        let (child, mut pipe) = ipc_process::fork(ipc_socket::pair()?, |mut pipe| {
            let (tx, rx) = pipe.halves();
            let heard = String::from_utf8_lossy(rx.recv()?).into_owned();
            println!("======>>> child: {heard}");
            // Three messages, and not one of six letters: messages keep their boundaries.
            for part in ["aa", "bb", "cc"] {
                tx.send(part.as_bytes())?;
            }
            tx.send(heard.to_uppercase().as_bytes())
        })?;
        let hello = format!("hello child {}", child.pid());
        pipe.send(hello.as_bytes())?;
        workers.push((child, pipe, hello));
    }

    for (child, mut pipe, hello) in workers {
        for part in ["aa", "bb", "cc"] {
            assert_eq!(pipe.recv()?, part.as_bytes());
        }
        let answer = String::from_utf8_lossy(pipe.recv()?).into_owned();
        println!("======>>> parent: {answer}");
        assert_eq!(answer, hello.to_uppercase());
        // The child is gone, and so is its end: an error, where PHP would wait for ever.
        assert!(matches!(pipe.recv(), Err(ipc_socket::Error::Disconnected)));
        child.join()?;
    }
    Ok(())
}
