//! Who submits, and keeps account.

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;

use ipc_pool::{Error, Handle, Ticket};

use crate::log::{self, Event, Fate, Log, Record, Tale, check};
use crate::pool::MAX_KILLS;

/// Tasks that are submitted and not answered.
const WINDOW: usize = 1000;

pub(crate) struct Submitter {
    log: Log,
    open: VecDeque<Ticket>,
    fates: BTreeMap<u64, Fate>,
    /// How many there were. The payload of each ends with the number of those before it.
    pub(crate) count: u64,
}

impl Submitter {
    pub(crate) fn new(path: &Path) -> Self {
        Submitter {
            log: Log::append_to(path).unwrap(),
            open: VecDeque::new(),
            fates: BTreeMap::new(),
            count: 0,
        }
    }

    /// Submits a task of this kind, of any length; waits for others when there are many.
    pub(crate) fn submit(&mut self, pool: &Handle, kind: u8) {
        let mut payload = vec![kind; 1 + usize::try_from(self.count % 100).unwrap()];
        payload.extend(self.count.to_le_bytes());
        let ticket = pool.submit(&payload).unwrap();
        self.count += 1;
        self.fates.insert(ticket.id(), Fate::Lost);
        self.open.push_back(ticket);
        while self.open.len() >= WINDOW {
            self.claim();
        }
    }

    /// Waits for the oldest task.
    fn claim(&mut self) {
        let Some(ticket) = self.open.pop_front() else {
            return;
        };
        let id = ticket.id();
        match ticket.wait() {
            Ok(_) => {
                self.log.write(Record {
                    event: Event::Answered,
                    id,
                    attempt: 0,
                    life: 0,
                });
                self.fates.insert(id, Fate::Answered);
            }
            Err(Error::Quarantined { .. } | Error::Stopped) => {} // the pool has to have them
            Err(error) => panic!("{error}"),
        }
    }

    /// Stops the pool, with what is still submitted, and checks the log.
    pub(crate) fn end(&mut self, pool: &Handle, path: &Path) -> Tale {
        let first = *self.fates.keys().next().unwrap();
        let returned = pool.stop().unwrap();
        while !self.open.is_empty() {
            self.claim();
        }
        let returned = returned
            .into_iter()
            .map(|payload| (payload, Fate::Returned));
        let kept = pool.quarantined().into_iter().map(|kept| {
            let fate = Fate::Quarantined(kept.history.len());
            (kept.payload, fate)
        });
        for (payload, fate) in returned.chain(kept) {
            let number = payload.last_chunk().expect("a payload as it was submitted");
            let id = first + u64::from_le_bytes(*number);
            assert_eq!(self.fates.insert(id, fate), Some(Fate::Lost), "task {id}");
        }
        let status = pool.status();
        let tale = check(log::read(path), &self.fates, MAX_KILLS);
        assert_eq!(
            (status.done, status.quarantined, status.leased),
            (tale.answered, tale.quarantined, 0)
        );
        tale
    }
}
