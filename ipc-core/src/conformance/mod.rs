//! The conformance suite, and the isolated runner of tests that need a process of their own.

mod isolated;
mod sys;

pub use isolated::{Case, run, skip};
