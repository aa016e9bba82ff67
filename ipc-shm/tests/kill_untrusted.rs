//! What an end does when its untrusted peer is killed or stopped.

ipc_core::kills! { pair: || ipc_shm::ShmOptions::new().untrusted().pair().unwrap() }
