//! What an end does when its peer is killed or stopped.

ipc_core::kills! { pair: || ipc_shm::pair().unwrap() }
