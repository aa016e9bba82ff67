//! Consumers at a flaky source: who hangs up is called again, a task that crashes its worker goes to
//! another, and one that crashes them all is put aside. `RETRY: try { .. } catch { goto RETRY; }`

use std::error::Error;
use std::{process, thread};

use ipc_pool::{Error as PoolError, Pool, Task};
use ipc_socket::{Address, Error as IpcError, Listener, Receiver, Sender, SocketDuplex};

const TASKS: [&str; 9] = [
    "apple",
    "pear",
    "bruised plum",
    "cherry",
    "poison",
    "fig",
    "lime",
    "quince",
    "melon",
];

fn main() -> Result<(), Box<dyn Error>> {
    let address: Address = format!("@examples-{}", process::id()).parse()?;
    let listener = ipc_socket::listen(&address)?;
    let (_source, ()) = ipc_process::fork(((), ()), move |()| flaky(&listener))?;

    let again = address.clone();
    let pool = Pool::new(2)
        .prefetch(1)
        .on_task_with(
            move |_| ipc_socket::connect(&address), // once in each worker
            move |source, task| fetch(source, &again, task),
        )
        .on_worker_exit(|exit| {
            if exit.task.is_some() {
                println!("worker {} died of its task: {}", exit.worker, exit.status);
            }
        })
        .on_quarantine(|task| println!("task {} is put aside", task.id))
        .start()?;

    let mut answers = Vec::new();
    for ticket in pool.submit_many(TASKS)? {
        match ticket.wait() {
            Ok(answer) => answers.push(String::from_utf8(answer)?),
            Err(PoolError::Quarantined { .. }) => answers.push("quarantined".into()),
            Err(error) => return Err(error.into()),
        }
    }
    for (task, answer) in TASKS.iter().zip(&answers) {
        println!("{task}: {answer}");
    }
    assert!(answers[2].contains("attempt 2"));
    assert!(answers.iter().any(|answer| answer.contains("retry 1")));

    let kept = &pool.quarantined()[0];
    assert_eq!((&kept.payload[..], kept.history.len()), (&b"poison"[..], 3));
    assert_eq!(pool.status().done, 8);
    pool.stop()?;
    Ok(())
}

/// The handler of tasks.
fn fetch(source: &mut SocketDuplex, again: &Address, task: &Task<'_>) -> Result<String, IpcError> {
    let crashes = match task.payload() {
        b"bruised plum" => task.attempt() == 1,
        what => what == b"poison",
    };
    if crashes {
        process::exit(70);
    }
    let mut retry = 0;
    loop {
        match ask(source, task.payload()) {
            Ok(letters) => {
                let attempt = task.attempt();
                return Ok(format!(
                    "{letters} letters (attempt {attempt}, retry {retry})"
                ));
            }
            Err(IpcError::Disconnected) if retry < 3 => {
                retry += 1;
                *source = ipc_socket::connect(again)?;
            }
            Err(error) => return Err(error), // an answer to the submitter
        }
    }
}

fn ask(source: &mut SocketDuplex, what: &[u8]) -> ipc_socket::Result<String> {
    source.send(what)?;
    Ok(String::from_utf8_lossy(source.recv()?).into_owned())
}

/// The source: it hangs up after every answer.
fn flaky(listener: &Listener) -> ipc_socket::Result<()> {
    loop {
        let mut client = listener.accept()?;
        thread::spawn(move || {
            let letters = client.recv()?.len().to_string();
            client.send(letters.as_bytes())
        });
    }
}
