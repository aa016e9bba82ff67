//! One queue for all, with `push` and `pop`: `$process->useQueue()`. First as it is in PHP, where a
//! message goes to whoever asks first, be it the one who pushed it; then with an address on each.

use std::error::Error;

use ipc_msgqueue::{Error as IpcError, Key, Kind, Queue, QueueDuplex, Receiver, Selection, Sender};

const PARENT: Kind = Kind::of::<1>();

fn main() -> Result<(), Box<dyn Error>> {
    let queue = Queue::create(Key::PRIVATE)?;

    println!("everybody pops anything:");
    let pair = (end(&queue, Selection::Any)?, end(&queue, Selection::Any)?);
    let (child, mut parent) = ipc_process::fork(pair, |mut queue| {
        queue.send(b"from the child")?;
        let popped = queue.recv()?; // it wants an answer, and nobody else was as quick
        println!("  the child pops {:?}", String::from_utf8_lossy(popped));
        assert_eq!(popped, b"from the child");
        ipc_msgqueue::Result::Ok(())
    })?;
    child.join()?;
    assert!(matches!(parent.try_recv(), Err(IpcError::WouldBlock)));
    println!("  the parent pops nothing; without `try_` it would wait for ever");

    println!("each pops its own kind:");
    let mut parent = end(&queue, Selection::Exactly(PARENT))?;
    let mut children = Vec::new();
    for number in 2..=4 {
        let name = Kind::new(number)?;
        let own = end(&queue, Selection::Exactly(name))?;
        let (child, ()) = ipc_process::fork(((), own), move |mut queue| {
            queue.send(format!("child {number} is there").as_bytes())?;
            let task = String::from_utf8_lossy(queue.recv()?).into_owned();
            queue.send(format!("child {number} did {task}").as_bytes())
        })?;
        let task = format!("task {number}");
        queue.sender(name)?.send(task.as_bytes())?;
        children.push(child);
    }
    let mut heard = Vec::new();
    for _ in 0..6 {
        heard.push(String::from_utf8_lossy(parent.recv()?).into_owned());
        println!("  the parent pops {:?}", heard[heard.len() - 1]);
    }
    for (number, child) in (2..).zip(children) {
        assert!(heard.contains(&format!("child {number} did task {number}")));
        child.join()?;
    }
    Ok(())
}

/// An end that pushes to the parent.
fn end(queue: &Queue, pops: Selection) -> ipc_msgqueue::Result<QueueDuplex> {
    Ok(QueueDuplex::new(
        queue.sender(PARENT)?,
        queue.receiver(pops)?,
    ))
}
