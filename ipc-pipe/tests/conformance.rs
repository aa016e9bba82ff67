//! The contract, with the default options.

ipc_core::conformance! {
    channel: || ipc_pipe::channel().unwrap(),
    pair: || ipc_pipe::pair().unwrap(),
    ready: || ipc_pipe::channel().unwrap(),
}
