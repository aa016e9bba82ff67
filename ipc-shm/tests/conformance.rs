//! The contract, clause by clause; without exceptions.

ipc_core::conformance! {
    channel: || ipc_shm::channel().unwrap(),
    pair: || ipc_shm::pair().unwrap(),
    ready: || ipc_shm::channel().unwrap(),
}
