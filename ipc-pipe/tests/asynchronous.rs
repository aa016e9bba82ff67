//! Under tokio.

use std::fs::File;
use std::io::Write;

use ipc_core::conformance::cancel::a_receive_dropped_after_every_byte;

fn a_receive_may_be_dropped_after_every_byte() {
    let (tx, rx) = ipc_pipe::channel().unwrap();
    let mut raw = File::from(tx.into_blocking().unwrap());
    a_receive_dropped_after_every_byte(rx, |bytes| raw.write_all(bytes).unwrap());
}

ipc_core::cases! { a_receive_may_be_dropped_after_every_byte }
