#![doc = include_str!("../README.md")]

mod attributes;
mod child;
mod daemon;
mod error;
mod events;
mod fork;
mod handover;
mod log_file;
mod options;
mod parent;
mod pid_file;
mod run;
mod siblings;
mod signals;
mod spawn;
mod stdio;
mod sys;
mod ticks;
mod title;
mod wait_any;

pub use child::Child;
pub use daemon::{Daemon, DaemonOptions};
pub use error::{Error, Result};
pub use fork::fork;
pub use handover::inherited;
#[cfg(feature = "tokio")]
pub use ipc_core::Async;
pub use ipc_core::{Inherit, Interest, Ready, Select, Wait};
pub use log_file::LogFile;
pub use options::{ProcessOptions, Resource};
pub use parent::set_parent_death;
pub use pid_file::PidFile;
pub use run::{CommandExt, run};
pub use signals::{Signal, Signals};
pub use spawn::spawn;
#[doc(hidden)]
pub use spawn::{Entry, enter};
pub use ticks::Ticks;
pub use title::set_name;
pub use wait_any::{try_wait_any, wait_any, wait_any_timeout};
