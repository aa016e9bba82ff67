//! The contract, on unix sockets.

use ipc_socket::{Kind, SocketOptions};

ipc_core::conformance! {
    channel: || SocketOptions::new().kind(Kind::Unix).channel().unwrap(),
    pair: || SocketOptions::new().kind(Kind::Unix).pair().unwrap(),
    ready: || SocketOptions::new().kind(Kind::Unix).channel().unwrap(),
}
