#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod claim;
mod fifo;
mod open;
mod options;
mod private;
mod receiver;
mod sender;
mod sys;

#[cfg(feature = "tokio")]
pub use ipc_core::Async;
pub use ipc_core::{
    Channel, Duplex, Error, Inherit, Interest, Ready, Receiver, Result, Select, Sender, Spin, Wait,
};
#[cfg(feature = "serde")]
pub use ipc_core::{Codec, Postcard, Typed};

pub use fifo::Fifo;
pub use options::FifoOptions;
pub use receiver::FifoReceiver;
pub use sender::FifoSender;

/// An endpoint made of two FIFOs, one each way.
pub type FifoDuplex = Duplex<FifoSender, FifoReceiver>;

/// A private FIFO with the default [options](FifoOptions): what goes in at the sender comes out at
/// the receiver. Its name is gone before this returns.
///
/// # Errors
///
/// As [`FifoOptions::channel`].
pub fn channel() -> Result<(FifoSender, FifoReceiver)> {
    FifoOptions::new().channel()
}

/// Two equal endpoints over two private FIFOs with the default [options](FifoOptions).
///
/// # Errors
///
/// As [`FifoOptions::channel`].
pub fn pair() -> Result<(FifoDuplex, FifoDuplex)> {
    FifoOptions::new().pair()
}
