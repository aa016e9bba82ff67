//! Sends values instead of bytes: an order goes to a child, its price comes back.

use std::error::Error;

use ipc_pipe::{Duplex, Typed};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Order {
    item: String,
    pieces: u32,
    cents_each: u64,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Answer {
    Price { cents: u64 },
    Refused(String),
}

fn main() -> Result<(), Box<dyn Error>> {
    let (child, channel) = ipc_process::fork(ipc_pipe::pair()?, |channel| {
        let (tx, rx) = Duplex::split(channel);
        let (mut answers, mut orders) = (Typed::new(tx), Typed::new(rx));
        loop {
            match orders.recv() {
                Ok(order) => answers.send(&price(&order))?,
                Err(ipc_pipe::Error::Disconnected) => return Ok(()), // the shop has closed
                Err(error) => return Err(error),
            }
        }
    })?;

    let (tx, rx) = channel.split();
    let (mut orders, mut answers) = (Typed::new(tx), Typed::new(rx));

    orders.send(&Order {
        item: "nut".into(),
        pieces: 12,
        cents_each: 5,
    })?;
    assert_eq!(answers.recv()?, Answer::Price { cents: 60 });

    orders.send(&Order {
        item: "bolt".into(),
        pieces: 0,
        cents_each: 9,
    })?;
    let answer: Answer = answers.recv()?;
    println!("{answer:?}");
    assert_eq!(answer, Answer::Refused("no pieces of bolt".into()));

    drop((orders, answers));
    child.join()?;
    Ok(())
}

fn price(order: &Order) -> Answer {
    match order.pieces {
        0 => Answer::Refused(format!("no pieces of {}", order.item)),
        pieces => Answer::Price {
            cents: u64::from(pieces) * order.cents_each,
        },
    }
}
