//! A peer that is killed or stopped, on unix sockets.

use ipc_socket::{Kind, SocketOptions};

ipc_core::kills! { pair: || SocketOptions::new().kind(Kind::Unix).pair().unwrap() }
