//! The contract, on TCP sockets.
//!
//! No clause is excepted: what had arrived before a reset is received, as the suite asks. What was under
//! way is lost, the named exception of clause 4: `a_tcp_reset_loses_what_is_under_way`.

use ipc_socket::{Kind, SocketOptions};

ipc_core::conformance! {
    channel: || SocketOptions::new().kind(Kind::Tcp).channel().unwrap(),
    pair: || SocketOptions::new().kind(Kind::Tcp).pair().unwrap(),
    ready: || SocketOptions::new().kind(Kind::Tcp).channel().unwrap(),
}
