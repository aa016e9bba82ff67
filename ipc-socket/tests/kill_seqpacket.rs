//! A peer that is killed or stopped, on seqpacket sockets.

use ipc_socket::{Kind, SocketOptions};

ipc_core::kills! { pair: || SocketOptions::new().kind(Kind::Seqpacket).pair().unwrap() }
