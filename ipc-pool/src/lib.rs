#![doc = include_str!("../README.md")]

mod book;
mod desk;
mod duty;
mod error;
mod link;
mod sys;
mod ticket;
mod wire;
mod worker;
#[doc(hidden)]
pub mod proto;

pub use book::Quarantined;
pub use duty::Outcome;
pub use error::{Error, Result};
pub use ticket::Ticket;
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
