//! What stands in the book: tasks, seats, and how many of each.

use std::collections::VecDeque;
use std::process::ExitStatus;

/// What became of a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// What the handler returned.
    Done(Vec<u8>),
    /// The handler's error, or its panic.
    Failed(String),
    /// It killed too many workers.
    Quarantined,
    /// The pool was stopped before anybody ran it.
    Withdrawn,
}

/// A task that killed so many workers that no more are given to it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Quarantined {
    /// The task's id.
    pub id: u64,
    /// What was submitted.
    pub payload: Vec<u8>,
    /// How the workers ended that died while they ran it, in order.
    pub history: Vec<ExitStatus>,
}

/// How many of each there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) done: u64,
    pub(crate) failed: u64,
    pub(crate) stale: u64,
    pub(crate) redelivered: u64,
    pub(crate) quarantined: u64,
    pub(crate) leased: usize,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// The most tasks that are neither answered nor quarantined.
    pub(crate) capacity: usize,
    /// The most leases of a seat.
    pub(crate) prefetch: usize,
    /// So many deaths of its worker quarantine a task.
    pub(crate) kills: usize,
}

/// A task, or the room that one has left.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) id: u64,
    pub(super) attempt: u32,
    pub(super) state: State,
    pub(super) payload: Vec<u8>,
    /// The worker that it is for.
    pub(super) target: Option<usize>,
    /// Whether somebody wants the answer.
    pub(super) ticket: bool,
    pub(super) history: Vec<ExitStatus>,
}

#[derive(Debug)]
pub(super) enum State {
    Free,
    Pending,
    Leased { epoch: u32 },
    Answered(Answer),
}

#[derive(Debug)]
pub(super) struct Seat {
    pub(super) worker: usize,
    pub(super) epoch: u32,
    pub(super) leases: VecDeque<u32>,
    /// Whether it is given more.
    pub(super) open: bool,
    /// Whether its channel took no more, until it answers.
    pub(super) full: bool,
    pub(super) acked: u64,
}
