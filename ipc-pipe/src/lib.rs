#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod options;
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

pub use options::PipeOptions;
pub use receiver::PipeReceiver;
pub use sender::PipeSender;

/// An endpoint made of two pipes, one each way.
pub type PipeDuplex = Duplex<PipeSender, PipeReceiver>;

/// A pipe with the default [options](PipeOptions): what goes in at the sender comes out at the receiver.
///
/// # Errors
///
/// [`Os`](Error::Os) when the process or the system has no descriptors left.
pub fn channel() -> Result<(PipeSender, PipeReceiver)> {
    PipeOptions::new().channel()
}

/// Two equal endpoints over two pipes with the default [options](PipeOptions).
///
/// # Errors
///
/// As [`channel`].
pub fn pair() -> Result<(PipeDuplex, PipeDuplex)> {
    PipeOptions::new().pair()
}
