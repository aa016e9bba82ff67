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

pub(crate) type Hook = Box<dyn FnMut(&Worker) -> Result<Vec<u8>, String>>;
pub(crate) type Tasks = Box<dyn for<'a> Job<&'a Task<'a>>>;
pub(crate) type Work = Box<dyn for<'a> Job<&'a Worker>>;

/// The callbacks of a pool that run in its workers.
#[derive(Default)]
pub(crate) struct Duty {
    pub(crate) start: Option<Hook>,
    /// What handles tasks.
    pub(crate) tasks: Option<Tasks>,
    /// What a worker does that is given none.
    pub(crate) work: Option<Work>,
    pub(crate) stop: Option<Hook>,
}

impl Duty {
    /// Prepares a worker for what it is to do.
    pub(crate) fn prepare(&mut self, worker: &Worker) -> Result<(), String> {
        if let Some(start) = &mut self.start {
            start(worker)?;
        }
        if let Some(tasks) = &mut self.tasks {
            tasks.prepare(worker)?;
        }
        if let Some(work) = &mut self.work {
            work.prepare(worker)?;
        }
        Ok(())
    }
}

/// What a worker is there for: a task, or its whole life.
pub(crate) trait Job<On> {
    /// Prepares for it, once in each worker.
    fn prepare(&mut self, worker: &Worker) -> Result<(), String>;

    fn run(&mut self, on: On) -> Result<Vec<u8>, String>;
}

/// A callback without a state of its own.
pub(crate) struct Plain<F>(pub(crate) F);

/// A callback, and what makes its state.
pub(crate) struct Stateful<S, M, F> {
    make: M,
    state: Option<S>,
    call: F,
}

impl<S, M, F> Stateful<S, M, F> {
    pub(crate) fn new(make: M, call: F) -> Self {
        let state = None;
        Stateful { make, state, call }
    }
}

impl<F, On, R> Job<On> for Plain<F>
where
    F: FnMut(On) -> R,
    R: Outcome,
{
    fn prepare(&mut self, _: &Worker) -> Result<(), String> {
        Ok(())
    }

    fn run(&mut self, on: On) -> Result<Vec<u8>, String> {
        (self.0)(on).outcome()
    }
}

impl<S, E, M, F, On, R> Job<On> for Stateful<S, M, F>
where
    E: Display,
    M: FnMut(&Worker) -> Result<S, E>,
    F: FnMut(&mut S, On) -> R,
    R: Outcome,
{
    fn prepare(&mut self, worker: &Worker) -> Result<(), String> {
        self.state = None; // the old one first: it may have what the new one needs
        self.state = Some((self.make)(worker).map_err(|error| error.to_string())?);
        Ok(())
    }

    fn run(&mut self, on: On) -> Result<Vec<u8>, String> {
        let state = self.state.as_mut().ok_or("the worker was not prepared")?;
        (self.call)(state, on).outcome()
    }
}
