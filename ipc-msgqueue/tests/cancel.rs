//! Bridged halves under tokio: what is dropped at any await loses nothing. A queue has no end of file, so
//! the other clauses of readiness are `bridge.rs`'s.

use std::process::ExitCode;

use ipc_core::conformance::{cancel_suite, run};
use ipc_msgqueue::{QueueBridge, QueueReceiver, QueueSender};

fn channel() -> (QueueBridge<QueueSender>, QueueBridge<QueueReceiver>) {
    let (tx, rx) = ipc_msgqueue::channel().unwrap();
    (tx.bridge().unwrap(), rx.bridge().unwrap())
}

fn main() -> ExitCode {
    run(cancel_suite(channel))
}
