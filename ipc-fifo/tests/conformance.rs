//! The contract, with the default options.

ipc_core::conformance! {
    channel: || ipc_fifo::channel().unwrap(),
    pair: || ipc_fifo::pair().unwrap(),
    ready: || ipc_fifo::channel().unwrap(),
}
