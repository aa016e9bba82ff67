//! The contract, for several writers.

use ipc_fifo::FifoOptions;

ipc_core::conformance! {
    channel: || FifoOptions::new().many_writers().channel().unwrap(),
    pair: || FifoOptions::new().many_writers().pair().unwrap(),
    ready: || FifoOptions::new().many_writers().channel().unwrap(),
}
