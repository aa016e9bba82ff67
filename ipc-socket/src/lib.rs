#![doc = include_str!("../README.md")]

mod address;
mod adopt;
mod connect;
mod credentials;
mod fds;
mod file;
mod half;
mod kind;
mod listener;
mod make;
mod options;
mod packet;
mod peers;
mod receiver;
mod sender;
mod socket;
mod sys;
mod takeover;

#[cfg(feature = "tokio")]
pub use ipc_core::{Accept, Async};
pub use ipc_core::{
    Channel, Duplex, Error, Inherit, Interest, Ready, Receiver, Result, Select, Sender, Spin, Wait,
};
#[cfg(feature = "serde")]
pub use ipc_core::{Codec, Postcard, Typed};

pub use address::Address;
pub use credentials::Credentials;
pub use kind::Kind;
pub use listener::Listener;
pub use options::SocketOptions;
pub use receiver::SocketReceiver;
pub use sender::SocketSender;

/// An endpoint of a connection. Its two halves share one descriptor.
pub type SocketDuplex = Duplex<SocketSender, SocketReceiver>;

/// A unix stream socket pair with the default [options](SocketOptions), used one way: what goes in
/// at the sender comes out at the receiver.
///
/// # Errors
///
/// [`Os`](Error::Os) when the process or the system has no descriptors left.
pub fn channel() -> Result<(SocketSender, SocketReceiver)> {
    SocketOptions::new().channel()
}

/// Two equal endpoints of a unix stream socket pair with the default [options](SocketOptions).
///
/// # Errors
///
/// As [`channel`].
pub fn pair() -> Result<(SocketDuplex, SocketDuplex)> {
    SocketOptions::new().pair()
}

/// Listens at `address` with the default [options](SocketOptions).
///
/// # Errors
///
/// As [`SocketOptions::listen`].
pub fn listen(address: impl Into<Address>) -> Result<Listener> {
    SocketOptions::new().listen(address)
}

/// Connects to the listener at `address` with the default [options](SocketOptions).
///
/// # Errors
///
/// As [`SocketOptions::connect_wait`].
pub fn connect(address: impl Into<Address>) -> Result<SocketDuplex> {
    SocketOptions::new().connect(address)
}
