//! How a pool is, at a moment.

use crate::book::Book;

/// How a pool is, at a moment.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Status {
    /// The workers, by id; during a reload an id may be there twice.
    pub workers: Vec<WorkerStatus>,
    /// How many there are to be.
    pub(crate) wanted: usize,
    /// The process id of the template, from which workers are copied.
    pub template: u32,
    /// Workers that ended or left so far and were replaced, or are to be.
    pub restarts: u64,
    /// Whether too many workers died for any to be replaced at the moment.
    pub is_circuit_open: bool,
    /// Tasks that wait for a worker.
    pub depth: usize,
    /// Tasks that workers have and have not answered.
    pub leased: usize,
    /// Tasks that were answered, by the handler's value.
    pub done: u64,
    /// Tasks that were answered, by an error or a panic.
    pub failed: u64,
    /// Tasks that killed too many workers.
    pub quarantined: u64,
    /// Deliveries that came back because a worker ended.
    pub redelivered: u64,
    /// Answers to what was no longer asked, which are ignored.
    pub stale: u64,
}

/// How a worker is, at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WorkerStatus {
    /// Its id.
    pub id: usize,
    /// Its process id.
    pub pid: u32,
    /// Whether it has started.
    pub is_ready: bool,
    /// Tasks that it has answered.
    pub tasks: u64,
    pub(crate) seat: usize,
}

impl Status {
    /// Whether every worker is there, and ready.
    pub fn is_complete(&self) -> bool {
        let is_ready = |id| {
            let mut workers = self.workers.iter();
            workers.any(|worker| worker.id == id && worker.is_ready)
        };
        (0..self.wanted).all(is_ready)
    }

    /// Adds what the book knows.
    pub(crate) fn count(&mut self, book: &Book) {
        let counts = book.counts();
        self.depth = book.depth();
        self.leased = counts.leased;
        self.done = counts.done;
        self.failed = counts.failed;
        self.quarantined = counts.quarantined;
        self.redelivered = counts.redelivered;
        self.stale = counts.stale;
        for worker in &mut self.workers {
            worker.tasks = book.acked(worker.seat);
        }
    }
}
