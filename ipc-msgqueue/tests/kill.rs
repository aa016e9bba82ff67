//! A peer that is killed or stopped. A queue tells nobody: the survivor waits with a deadline.

ipc_core::kills! { pair: || ipc_msgqueue::pair().unwrap(), silent: true }
