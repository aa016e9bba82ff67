//! A peer that is killed or stopped.

ipc_core::kills! { pair: || ipc_fifo::pair().unwrap() }
