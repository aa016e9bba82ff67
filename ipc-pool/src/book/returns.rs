//! What comes back: from the dead, from those who leave, and at the end.

use std::collections::VecDeque;
use std::process::ExitStatus;

use super::Book;
use super::entry::{Answer, Quarantined, State};

impl Book {
    /// An instance is dead and its answers are all in: its leases go back to the head of the queue.
    /// Only `running`, if that is the first of them, is one attempt on, and is blamed for that
    /// `death`, if anybody is; returns its id if that was one too many.
    pub(crate) fn leave(
        &mut self,
        at: usize,
        running: Option<u64>,
        death: Option<ExitStatus>,
    ) -> Option<u64> {
        let mut seat = self.seats.get_mut(at)?.take()?;
        self.counts.leased -= seat.leases.len();
        self.counts.redelivered += seat.leases.len() as u64;
        let mut killer = None;
        if let Some(&first) = seat.leases.front() {
            let entry = &mut self.entries[first as usize];
            if running == Some(entry.id) {
                entry.attempt += 1;
                entry.history.extend(death);
                if entry.history.len() >= self.limits.kills {
                    killer = seat.leases.pop_front();
                }
            }
        }
        self.put_back(seat.leases);
        killer.map(|slot| self.quarantine(slot))
    }

    /// An instance goes on alone with the task that it is `running`, if that is its first: the others go back.
    pub(crate) fn recall(&mut self, at: usize, running: Option<u64>) {
        let Some(Some(seat)) = self.seats.get_mut(at) else {
            return;
        };
        let kept = usize::from(running.is_some());
        let others = seat.leases.split_off(kept.min(seat.leases.len()));
        self.counts.leased -= others.len();
        self.counts.redelivered += others.len() as u64;
        self.put_back(others);
    }

    /// Puts leases back at the head of the queue, in order.
    fn put_back(&mut self, mut leases: VecDeque<u32>) {
        while let Some(slot) = leases.pop_back() {
            let entry = &mut self.entries[slot as usize];
            entry.state = State::Pending;
            match entry.target.and_then(|worker| self.lanes.get_mut(worker)) {
                None => self.pending.push_front(slot),
                Some(lane) => {
                    lane.push_front(slot);
                    self.aside += 1;
                }
            }
        }
    }

    fn quarantine(&mut self, slot: u32) -> u64 {
        let entry = &mut self.entries[slot as usize];
        let id = entry.id;
        self.counts.redelivered -= 1;
        self.counts.quarantined += 1;
        self.quarantine.push(Quarantined {
            id,
            payload: std::mem::take(&mut entry.payload),
            history: std::mem::take(&mut entry.history),
        });
        self.answer(slot, Answer::Quarantined);
        id
    }

    /// Workers with ids below this one can be given tasks of their own.
    pub(crate) fn set_workers(&mut self, workers: usize) {
        while self.lanes.len() > workers {
            // Tasks for a worker that is no more are for any.
            let lane = self.lanes.pop().unwrap_or_default();
            self.aside -= lane.len();
            for slot in lane {
                self.entries[slot as usize].target = None;
                self.pending.push_back(slot);
            }
        }
        self.lanes.resize_with(workers, VecDeque::new);
    }

    /// Takes all that waits out of the book, in order.
    pub(crate) fn withdraw(&mut self) -> Vec<Vec<u8>> {
        let mut slots: Vec<u32> = self.pending.drain(..).collect();
        slots.extend(self.lanes.iter_mut().flat_map(|lane| lane.drain(..)));
        self.aside = 0;
        let taken = slots.into_iter().map(|slot| {
            let payload = std::mem::take(&mut self.entries[slot as usize].payload);
            (slot, payload)
        });
        let taken: Vec<_> = taken.collect();
        for (slot, _) in &taken {
            self.answer(*slot, Answer::Withdrawn);
        }
        taken.into_iter().map(|(_, payload)| payload).collect()
    }
}
