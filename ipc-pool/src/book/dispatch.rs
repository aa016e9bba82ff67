//! Who is given what.

use super::Book;
use super::entry::State;
use crate::wire::Lease;

impl Book {
    /// Leases what waits to the seats that have least to do, as far as `send` takes it: false is a
    /// channel without room.
    #[inline]
    pub(crate) fn dispatch(&mut self, mut send: impl FnMut(usize, Lease, &[u8]) -> bool) {
        if self.aside > 0 {
            self.dispatch_lanes(&mut send);
        }
        while let Some(&slot) = self.pending.front() {
            let Some(seat) = self.idlest(None) else { break };
            if self.lease(seat, slot, &mut send) {
                self.pending.pop_front();
            }
        }
    }

    #[cold]
    fn dispatch_lanes(&mut self, send: &mut impl FnMut(usize, Lease, &[u8]) -> bool) {
        for worker in 0..self.lanes.len() {
            while let Some(&slot) = self.lanes[worker].front() {
                let Some(seat) = self.idlest(Some(worker)) else {
                    break;
                };
                if self.lease(seat, slot, send) {
                    self.lanes[worker].pop_front();
                    self.aside -= 1;
                }
            }
        }
    }

    /// The seat with the fewest leases, of one worker or of all, that takes one more.
    #[inline]
    fn idlest(&self, worker: Option<usize>) -> Option<usize> {
        let mut found = None;
        let mut least = self.limits.prefetch;
        for (at, seat) in self.seats.iter().enumerate() {
            let Some(seat) = seat else { continue };
            let fits = seat.open && !seat.full && worker.is_none_or(|one| one == seat.worker);
            if fits && seat.leases.len() < least {
                (found, least) = (Some(at), seat.leases.len());
            }
        }
        found
    }

    /// Sends a task to a seat; false if its channel has no room.
    #[inline]
    fn lease(
        &mut self,
        at: usize,
        slot: u32,
        send: &mut impl FnMut(usize, Lease, &[u8]) -> bool,
    ) -> bool {
        let Some(seat) = &mut self.seats[at] else {
            return false;
        };
        let entry = &mut self.entries[slot as usize];
        let lease = Lease {
            id: entry.id,
            slot,
            epoch: seat.epoch,
            attempt: entry.attempt,
        };
        if !send(at, lease, &entry.payload) {
            seat.full = true;
            return false;
        }
        entry.state = State::Leased { epoch: seat.epoch };
        seat.leases.push_back(slot);
        self.counts.leased += 1;
        true
    }
}
