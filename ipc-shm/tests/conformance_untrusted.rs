//! The contract between peers that do not trust each other; without exceptions.

use ipc_shm::ShmOptions;

ipc_core::conformance! {
    channel: || ShmOptions::new().untrusted().channel().unwrap(),
    pair: || ShmOptions::new().untrusted().pair().unwrap(),
    ready: || ShmOptions::new().untrusted().channel().unwrap(),
}
