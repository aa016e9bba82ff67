//! What workers are there for: the callbacks that run in them.

use std::fmt::Display;

use crate::{Task, Worker};

/// What a callback in a worker may return: nothing, bytes or text, or a `Result` of those whose
/// error can be displayed.
pub trait Outcome {
    /// The bytes of the answer, or the text of the error.
    fn outcome(self) -> Result<Vec<u8>, String>;
}

impl Outcome for () {
    fn outcome(self) -> Result<Vec<u8>, String> {
        Ok(Vec::new())
    }
}

impl Outcome for Vec<u8> {
    fn outcome(self) -> Result<Vec<u8>, String> {
        Ok(self)
    }
}

impl Outcome for &[u8] {
    fn outcome(self) -> Result<Vec<u8>, String> {
        Ok(self.to_vec())
    }
}

impl Outcome for String {
    fn outcome(self) -> Result<Vec<u8>, String> {
        Ok(self.into_bytes())
    }
}

impl Outcome for &str {
    fn outcome(self) -> Result<Vec<u8>, String> {
        Ok(self.as_bytes().to_vec())
    }
}

impl<T: Outcome, E: Display> Outcome for Result<T, E> {
    fn outcome(self) -> Result<Vec<u8>, String> {
        self.map_or_else(|error| Err(error.to_string()), Outcome::outcome)
    }
}

type Hook = Box<dyn FnMut(&Worker) -> Result<Vec<u8>, String>>;

/// The callbacks of a pool that run in its workers.
#[derive(Default)]
pub(crate) struct Duty {
    pub(crate) start: Option<Hook>,
    pub(crate) tasks: Option<Box<dyn Handle>>,
    pub(crate) stop: Option<Hook>,
}

/// What handles tasks.
pub(crate) trait Handle {
    /// Prepares for them, once in each worker.
    fn prepare(&mut self, worker: &Worker) -> Result<(), String>;

    fn handle(&mut self, task: &Task<'_>) -> Result<Vec<u8>, String>;
}

/// A handler without a state of its own.
pub(crate) struct Plain<H>(pub(crate) H);

/// A handler, and what makes its state.
pub(crate) struct Stateful<S, M, H> {
    pub(crate) make: M,
    pub(crate) state: Option<S>,
    pub(crate) handler: H,
}

impl<H, R> Handle for Plain<H>
where
    H: FnMut(&Task<'_>) -> R,
    R: Outcome,
{
    fn prepare(&mut self, _: &Worker) -> Result<(), String> {
        Ok(())
    }

    fn handle(&mut self, task: &Task<'_>) -> Result<Vec<u8>, String> {
        (self.0)(task).outcome()
    }
}

impl<S, E, M, H, R> Handle for Stateful<S, M, H>
where
    E: Display,
    M: FnMut(&Worker) -> Result<S, E>,
    H: FnMut(&mut S, &Task<'_>) -> R,
    R: Outcome,
{
    fn prepare(&mut self, worker: &Worker) -> Result<(), String> {
        self.state = Some((self.make)(worker).map_err(|error| error.to_string())?);
        Ok(())
    }

    fn handle(&mut self, task: &Task<'_>) -> Result<Vec<u8>, String> {
        let state = self.state.as_mut().ok_or("the worker was not prepared")?;
        (self.handler)(state, task).outcome()
    }
}
