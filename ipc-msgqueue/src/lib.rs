#![doc = include_str!("../README.md")]

mod bridge;
mod directory;
mod handle;
mod key;
mod kind;
mod options;
mod owed;
mod parts;
#[cfg(feature = "php")]
pub mod php;
mod queue;
mod receiver;
mod sender;
mod spill;
mod stat;
mod sys;
mod wait;
mod watcher;

#[cfg(feature = "tokio")]
pub use ipc_core::Async;
pub use ipc_core::{
    Channel, Duplex, Error, Inherit, Interest, Ready, Receiver, Result, Select, Sender, Spin, Wait,
};
#[cfg(feature = "serde")]
pub use ipc_core::{Codec, Postcard, Typed};

pub use bridge::QueueBridge;
pub use key::Key;
pub use kind::{Kind, Selection};
pub use options::QueueOptions;
pub use queue::Queue;
pub use receiver::QueueReceiver;
pub use sender::QueueSender;
pub use stat::{LastUse, Limits, QueueStat, limits};

/// An endpoint made of two queues, one each way.
pub type QueueDuplex = Duplex<QueueSender, QueueReceiver>;

/// A private queue with the default [options](QueueOptions): what goes in at the sender comes out
/// at the receiver.
///
/// # Errors
///
/// [`Os`](Error::Os) when the machine is out of queues (`kernel.msgmni`) or memory.
pub fn channel() -> Result<(QueueSender, QueueReceiver)> {
    QueueOptions::new().channel()
}

/// Two equal endpoints over two private queues with the default [options](QueueOptions).
///
/// # Errors
///
/// As [`channel`].
pub fn pair() -> Result<(QueueDuplex, QueueDuplex)> {
    QueueOptions::new().pair()
}
