#![doc = include_str!("../README.md")]

mod book;
mod control;
mod desk;
mod duty;
mod error;
mod events;
mod handle;
mod lag;
mod life;
mod link;
mod pool;
mod restarts;
mod status;
mod supervisor;
mod sys;
mod template;
mod ticket;
#[cfg(feature = "serde")]
mod typed;
mod wire;
mod worker;

pub use book::Quarantined;
pub use duty::Outcome;
pub use error::{Error, Result};
pub use events::Exit;
pub use handle::Handle;
pub use ipc_core::Wait;
#[cfg(feature = "serde")]
pub use ipc_core::{Codec, Postcard};
pub use pool::Pool;
pub use status::{Status, WorkerStatus};
pub use template::Template;
pub use ticket::Ticket;
#[cfg(feature = "serde")]
pub use typed::{Typed, TypedTicket};
pub use worker::{Task, Worker};

/// What carries tasks and answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Transport {
    /// Two shared-memory rings a worker.
    #[default]
    Shm,
    /// A unix stream socket a worker.
    Unix,
}
