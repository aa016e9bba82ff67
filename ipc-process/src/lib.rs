#![doc = include_str!("../README.md")]

mod child;
mod error;
mod fork;
mod siblings;
mod sys;

pub use child::Child;
pub use error::{Error, Result};
pub use fork::fork;
pub use ipc_core::{Inherit, Ready};
