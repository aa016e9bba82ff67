#![doc = include_str!("../README.md")]

mod address;
mod attach;
mod connect;
#[cfg_attr(all(test, loom), path = "model/doorbell.rs")]
mod doorbell;
mod file;
mod handover;
mod lag;
mod limits;
mod listener;
mod loan;
#[cfg(all(test, loom))]
mod model;
mod options;
mod receiver;
mod ring;
mod segment;
mod sender;
mod silence;
mod sync;
#[cfg_attr(all(test, loom), allow(dead_code))] // the doorbells of a model are no pipes
mod sys;
mod wake;

#[cfg(feature = "tokio")]
pub use ipc_core::{Accept, Async};
pub use ipc_core::{
    Channel, Duplex, Error, Inherit, Interest, Ready, Receiver, Result, Select, Sender, Spin, Wait,
};
#[cfg(feature = "serde")]
pub use ipc_core::{Codec, Postcard, Typed};

pub use address::Address;
pub use listener::ShmListener;
pub use loan::Loan;
pub use options::{MAX_CAPACITY, ShmOptions};
pub use receiver::ShmReceiver;
pub use sender::ShmSender;

/// What the fuzzers play; no part of the crate's interface.
#[cfg(fuzzing)]
#[doc(hidden)]
pub use ring::hostile;

/// An endpoint made of two rings, one each way.
pub type ShmDuplex = Duplex<ShmSender, ShmReceiver>;

/// A ring with the default [options](ShmOptions): what goes in at the sender comes out at the
/// receiver.
///
/// # Errors
///
/// [`Os`](Error::Os) when the process or the system has no memory or descriptors left.
pub fn channel() -> Result<(ShmSender, ShmReceiver)> {
    ShmOptions::new().channel()
}

/// Two equal endpoints over two rings with the default [options](ShmOptions).
///
/// # Errors
///
/// As [`channel`].
pub fn pair() -> Result<(ShmDuplex, ShmDuplex)> {
    ShmOptions::new().pair()
}

/// Listens at `address` for programs that [`connect`], with the default [options](ShmOptions).
///
/// # Errors
///
/// As [`ShmOptions::listen`].
pub fn listen(address: impl Into<Address>) -> Result<ShmListener> {
    ShmOptions::new().listen(address)
}

/// Connects to the listener at `address`, with the default [options](ShmOptions).
///
/// # Errors
///
/// As [`ShmOptions::connect_wait`].
pub fn connect(address: impl Into<Address>) -> Result<ShmDuplex> {
    ShmOptions::new().connect(address)
}
