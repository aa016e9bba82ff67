//! The book of tasks: which wait, which are leased to whom, which are answered. It knows no process,
//! no clock and no channel, so that every step of the protocol can be tried with a death behind it.
//!
//! A *seat* is one instance of a worker, from its READY to its death. A worker takes its leases in
//! order and answers in order, so the answer that counts is that of the seat's first lease.

mod dispatch;
mod entry;
mod returns;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use crate::wire::Lease;
pub use entry::Quarantined;
pub(crate) use entry::{Answer, Counts, Limits};
use entry::{Entry, Seat, State};

#[derive(Debug)]
pub(crate) struct Book {
    entries: Vec<Entry>,
    free: Vec<u32>,
    /// Tasks for any worker, the next one first.
    pending: VecDeque<u32>,
    /// Tasks for one worker each, by its id.
    lanes: Vec<VecDeque<u32>>,
    /// How many are in the lanes.
    aside: usize,
    seats: Vec<Option<Seat>>,
    quarantine: Vec<Quarantined>,
    limits: Limits,
    next_id: u64,
    epoch: u32,
    counts: Counts,
}

impl Book {
    /// A book whose first task has the id `first`.
    pub(crate) fn new(limits: Limits, workers: usize, first: u64) -> Self {
        Book {
            entries: Vec::new(),
            free: Vec::new(),
            pending: VecDeque::new(),
            lanes: (0..workers).map(|_| VecDeque::new()).collect(),
            aside: 0,
            seats: Vec::new(),
            quarantine: Vec::new(),
            limits,
            next_id: first,
            epoch: 0,
            counts: Counts::default(),
        }
    }

    /// Enters a task, for `target` or any worker; `None` if the book is full.
    pub(crate) fn submit(
        &mut self,
        payload: &[u8],
        target: Option<usize>,
        ticket: bool,
    ) -> Option<(u32, u64)> {
        if self.is_full() {
            return None;
        }
        let id = self.next_id;
        self.next_id += 1;
        let slot = self.free.pop().unwrap_or_else(|| self.grow());
        let entry = &mut self.entries[slot as usize];
        entry.id = id;
        entry.attempt = 1;
        entry.state = State::Pending;
        entry.payload.clear();
        entry.payload.extend_from_slice(payload);
        entry.target = target;
        entry.ticket = ticket;
        match target {
            None => self.pending.push_back(slot),
            Some(worker) => {
                self.lanes[worker].push_back(slot);
                self.aside += 1;
            }
        }
        Some((slot, id))
    }

    /// Enters the answer to a lease; false if it is stale: it is not the seat's first, or no longer
    /// its own.
    #[inline]
    pub(crate) fn settle(&mut self, at: usize, lease: Lease, answer: Answer) -> bool {
        let Some(seat) = self.seats.get_mut(at).and_then(Option::as_mut) else {
            self.counts.stale += 1;
            return false;
        };
        let fits = seat.leases.front() == Some(&lease.slot)
            && self.entries.get(lease.slot as usize).is_some_and(|entry| {
                entry.id == lease.id
                    && entry.attempt == lease.attempt
                    && matches!(entry.state, State::Leased { epoch } if epoch == lease.epoch)
            });
        if !fits {
            self.counts.stale += 1;
            return false;
        }
        seat.leases.pop_front();
        seat.full = false;
        seat.acked += 1;
        self.counts.leased -= 1;
        match answer {
            Answer::Done(_) => self.counts.done += 1,
            Answer::Failed(_) => self.counts.failed += 1,
            Answer::Quarantined | Answer::Withdrawn => {}
        }
        self.answer(lease.slot, answer);
        true
    }

    /// Keeps an answer for the ticket, if there is one.
    fn answer(&mut self, slot: u32, answer: Answer) {
        let entry = &mut self.entries[slot as usize];
        entry.history.clear();
        if entry.ticket {
            entry.state = State::Answered(answer);
        } else {
            entry.state = State::Free;
            self.free.push(slot);
        }
    }

    /// Takes the answer of a ticket, if it is there.
    #[inline]
    pub(crate) fn take(&mut self, slot: u32, id: u64) -> Option<Answer> {
        let entry = &mut self.entries[slot as usize];
        debug_assert_eq!(entry.id, id, "a ticket is its task's only one");
        if !matches!(entry.state, State::Answered(_)) {
            return None;
        }
        let State::Answered(answer) = std::mem::replace(&mut entry.state, State::Free) else {
            unreachable!("looked at above")
        };
        self.free.push(slot);
        Some(answer)
    }

    /// Nobody wants the answer any more.
    pub(crate) fn abandon(&mut self, slot: u32, id: u64) {
        if self.take(slot, id).is_none() {
            self.entries[slot as usize].ticket = false;
        }
    }

    /// A new instance of a worker takes tasks; returns its seat.
    pub(crate) fn join(&mut self, worker: usize) -> usize {
        self.epoch = self.epoch.wrapping_add(1);
        let seat = Some(Seat {
            worker,
            epoch: self.epoch,
            leases: VecDeque::with_capacity(self.limits.prefetch.min(64)),
            open: false,
            full: false,
            acked: 0,
        });
        if let Some(at) = self.seats.iter().position(Option::is_none) {
            self.seats[at] = seat;
            return at;
        }
        self.seats.push(seat);
        self.seats.len() - 1
    }

    /// Whether a seat is given tasks.
    pub(crate) fn set_open(&mut self, at: usize, open: bool) {
        if let Some(Some(seat)) = self.seats.get_mut(at) {
            seat.open = open;
        }
    }

    /// Leases of a seat that are not answered.
    pub(crate) fn leases(&self, at: usize) -> usize {
        self.seat(at).map_or(0, |seat| seat.leases.len())
    }

    /// Answers of a seat so far.
    pub(crate) fn acked(&self, at: usize) -> u64 {
        self.seat(at).map_or(0, |seat| seat.acked)
    }

    /// The task `id`, if it is the seat's first that is not answered: only that can be running.
    pub(crate) fn is_first(&self, at: usize, id: u64) -> Option<u64> {
        let first = *self.seat(at)?.leases.front()?;
        (self.entries[first as usize].id == id).then_some(id)
    }

    /// How many workers there are.
    pub(crate) fn workers(&self) -> usize {
        self.lanes.len()
    }

    /// Tasks that wait for a worker.
    pub(crate) fn depth(&self) -> usize {
        self.pending.len() + self.aside
    }

    /// Tasks that are neither answered nor quarantined.
    #[inline]
    pub(crate) fn unfinished(&self) -> usize {
        self.depth() + self.counts.leased
    }

    #[inline]
    pub(crate) fn is_full(&self) -> bool {
        self.unfinished() >= self.limits.capacity
    }

    pub(crate) fn counts(&self) -> Counts {
        self.counts
    }

    pub(crate) fn quarantined(&self) -> &[Quarantined] {
        &self.quarantine
    }

    fn seat(&self, at: usize) -> Option<&Seat> {
        self.seats.get(at).and_then(Option::as_ref)
    }

    #[cold]
    fn grow(&mut self) -> u32 {
        self.entries.push(Entry {
            id: 0,
            attempt: 0,
            state: State::Free,
            payload: Vec::new(),
            target: None,
            ticket: false,
            history: Vec::new(),
        });
        u32::try_from(self.entries.len() - 1).expect("fewer than 4 Gi tasks at once")
    }
}
