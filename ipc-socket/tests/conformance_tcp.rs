//! The contract, on tcp sockets.

use ipc_socket::{Kind, SocketOptions};

ipc_core::conformance! {
    channel: || SocketOptions::new().kind(Kind::Tcp).channel().unwrap(),
    pair: || SocketOptions::new().kind(Kind::Tcp).pair().unwrap(),
    except: [],
}
