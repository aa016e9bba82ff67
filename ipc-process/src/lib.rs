#![doc = include_str!("../README.md")]

mod attributes;
mod child;
mod error;
mod fork;
mod handover;
mod options;
mod parent;
mod run;
mod siblings;
mod spawn;
mod stdio;
mod sys;
mod title;
mod wait_any;

pub use child::Child;
pub use error::{Error, Result};
pub use fork::fork;
pub use handover::inherited;
pub use ipc_core::{Inherit, Ready};
pub use options::{ProcessOptions, Resource};
pub use parent::set_parent_death;
pub use run::{CommandExt, run};
pub use spawn::spawn;
#[doc(hidden)]
pub use spawn::{Entry, enter};
pub use title::set_name;
pub use wait_any::{try_wait_any, wait_any, wait_any_timeout};
