//! The contract, for several writers.

use ipc_pipe::PipeOptions;

ipc_core::conformance! {
    channel: || PipeOptions::new().many_writers().channel().unwrap(),
    pair: || PipeOptions::new().many_writers().pair().unwrap(),
    ready: || PipeOptions::new().many_writers().channel().unwrap(),
}
