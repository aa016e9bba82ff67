//! The contract, on seqpacket sockets.

use ipc_socket::{Kind, SocketOptions};

ipc_core::conformance! {
    channel: || SocketOptions::new().kind(Kind::Seqpacket).channel().unwrap(),
    pair: || SocketOptions::new().kind(Kind::Seqpacket).pair().unwrap(),
    ready: || SocketOptions::new().kind(Kind::Seqpacket).channel().unwrap(),
}
