//! A peer that is killed or stopped, on tcp sockets.

use ipc_socket::{Kind, SocketOptions};

ipc_core::kills! { pair: || SocketOptions::new().kind(Kind::Tcp).pair().unwrap() }
