//! System calls, by subject; all that is unsafe is here.
#![allow(unsafe_code)]

mod descriptors;
mod exec;
mod process;
mod signals;
mod title;

pub(crate) use descriptors::*;
pub(crate) use exec::*;
pub(crate) use process::*;
pub(crate) use signals::*;
pub(crate) use title::*;
