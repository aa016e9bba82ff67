//! A peer that is killed or stopped.

ipc_core::kills! { pair: || ipc_pipe::pair().unwrap() }
