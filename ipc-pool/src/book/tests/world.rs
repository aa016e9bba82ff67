//! The model: workers that take each step of the protocol, or die behind it, and what became of tasks.

use std::collections::{BTreeMap, HashSet};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use crate::book::{Answer, Book, Limits};
use crate::wire::Lease;

pub(super) const FIRST: u64 = 1000;
pub(super) const WORKERS: usize = 3;
pub(super) const LIMITS: Limits = Limits {
    capacity: 12,
    prefetch: 3,
    kills: 3,
};

pub(super) fn killed() -> ExitStatus {
    ExitStatus::from_raw(libc::SIGKILL)
}

/// A worker as the protocol has it: what it was sent, how far it is, what it has answered. Its steps are
/// announcing, the effect, the acknowledgement; it can die between any two.
#[derive(Debug, Default)]
struct Worker {
    seat: usize,
    inbox: Vec<Lease>,
    announced: Option<u64>,
    /// Whether the effect of the first is done.
    effect: bool,
    outbox: Vec<Lease>,
}

/// A pool of such workers, and what has happened to each task.
#[derive(Debug)]
pub(super) struct World {
    book: Book,
    workers: Vec<Worker>,
    effects: BTreeMap<u64, u32>,
    tickets: Vec<(u32, u64)>,
    answers: BTreeMap<u64, Answer>,
    /// Leases of the dead, to be answered late.
    ghosts: Vec<(usize, Lease)>,
    deaths: u32,
    /// Deaths of the worker that ran it, by task.
    kills: BTreeMap<u64, u32>,
}

#[derive(Clone, Debug)]
pub(super) enum Step {
    Submit(Option<usize>),
    Announce(usize),
    Act(usize),
    Acknowledge(usize),
    /// The pool takes in one answer.
    Hear(usize),
    Die(usize),
    /// A late answer of one that is dead comes in.
    Haunt(usize),
    Claim,
}

impl World {
    pub(super) fn new() -> Self {
        let mut world = World {
            book: Book::new(LIMITS, WORKERS, FIRST),
            workers: Vec::new(),
            effects: BTreeMap::new(),
            tickets: Vec::new(),
            answers: BTreeMap::new(),
            ghosts: Vec::new(),
            deaths: 0,
            kills: BTreeMap::new(),
        };
        for worker in 0..WORKERS {
            let seat = world.book.join(worker);
            world.book.set_open(seat, true);
            world.workers.push(Worker {
                seat,
                ..Worker::default()
            });
        }
        world
    }

    fn dispatch(&mut self) {
        let workers = &mut self.workers;
        self.book.dispatch(|seat, lease, payload| {
            assert_eq!(payload, lease.id.to_le_bytes(), "a task keeps its payload");
            let worker = workers.iter_mut().find(|one| one.seat == seat).unwrap();
            worker.inbox.push(lease);
            true
        });
    }

    pub(super) fn step(&mut self, step: &Step) {
        match *step {
            Step::Submit(target) => {
                let next = FIRST + self.tickets.len() as u64 + self.answers.len() as u64;
                let entered = self.book.submit(&next.to_le_bytes(), target, true);
                assert_eq!(entered.is_none(), self.book.is_full() && entered.is_none());
                if let Some(entered) = entered {
                    assert_eq!(entered.1, next);
                    self.tickets.push(entered);
                }
            }
            Step::Announce(at) => {
                let worker = &mut self.workers[at];
                worker.announced = worker
                    .inbox
                    .first()
                    .map(|lease| lease.id)
                    .or(worker.announced);
            }
            Step::Act(at) => {
                let worker = &mut self.workers[at];
                let Some(lease) = worker.inbox.first() else {
                    return;
                };
                if worker.announced == Some(lease.id) && !worker.effect {
                    worker.effect = true;
                    *self.effects.entry(lease.id).or_default() += 1;
                }
            }
            Step::Acknowledge(at) => {
                let worker = &mut self.workers[at];
                if std::mem::take(&mut worker.effect) {
                    worker.outbox.push(worker.inbox.remove(0));
                }
            }
            Step::Hear(at) => self.hear(at),
            Step::Die(at) => self.die(at),
            Step::Haunt(at) => {
                if let Some(&(seat, lease)) = self.ghosts.get(at) {
                    let before = self.book.counts();
                    assert!(!self.book.settle(seat, lease, Answer::Done(Vec::new())));
                    assert_eq!(self.book.counts().stale, before.stale + 1);
                }
            }
            Step::Claim => self.claim(),
        }
        self.dispatch();
        self.check();
    }

    fn hear(&mut self, at: usize) {
        let worker = &mut self.workers[at];
        if !worker.outbox.is_empty() {
            let lease = worker.outbox.remove(0);
            let done = Answer::Done(lease.id.to_le_bytes().to_vec());
            assert!(self.book.settle(worker.seat, lease, done));
            // Once is enough.
            assert!(!self.book.settle(worker.seat, lease, Answer::Withdrawn));
        }
    }

    /// A death: what it had acknowledged is heard, then it leaves, then another takes its place.
    fn die(&mut self, at: usize) {
        while !self.workers[at].outbox.is_empty() {
            self.hear(at);
        }
        let dead = std::mem::take(&mut self.workers[at]);
        let running = dead
            .announced
            .and_then(|id| self.book.is_first(dead.seat, id));
        let expected = dead
            .inbox
            .first()
            .filter(|lease| dead.announced == Some(lease.id));
        assert_eq!(
            running,
            expected.map(|lease| lease.id),
            "what it was running"
        );
        if let Some(id) = running {
            *self.kills.entry(id).or_default() += 1;
        }
        self.deaths += 1;
        let killer = self.book.leave(dead.seat, running, Some(killed()));
        assert_eq!(
            killer.is_some(),
            running.is_some_and(|id| self.kills[&id] >= 3)
        );
        let seat = self.book.join(at);
        self.book.set_open(seat, true);
        self.workers[at].seat = seat;
        self.ghosts
            .extend(dead.inbox.into_iter().map(|lease| (seat, lease)));
    }

    fn claim(&mut self) {
        let book = &mut self.book;
        let answers = &mut self.answers;
        self.tickets
            .retain(|&(slot, id)| match book.take(slot, id) {
                None => true,
                Some(answer) => {
                    assert!(answers.insert(id, answer).is_none());
                    false
                }
            });
    }

    /// What holds after every step.
    fn check(&self) {
        let counts = self.book.counts();
        let submitted = self.tickets.len() + self.answers.len();
        let over = usize::try_from(counts.done + counts.failed + counts.quarantined).unwrap();
        assert_eq!(
            submitted,
            over + self.book.unfinished(),
            "nothing is lost, nothing is twice"
        );
        assert!(self.book.unfinished() <= LIMITS.capacity);
        let held: Vec<u64> = self
            .workers
            .iter()
            .flat_map(|worker| &worker.inbox)
            .map(|lease| lease.id)
            .collect();
        let distinct: HashSet<u64> = held.iter().copied().collect();
        assert_eq!(
            held.len(),
            distinct.len(),
            "one worker has a task at a time"
        );
        for worker in &self.workers {
            assert!(worker.inbox.len() + worker.outbox.len() <= LIMITS.prefetch);
            for lease in &worker.inbox {
                let kills = self.kills.get(&lease.id).copied().unwrap_or(0);
                assert_eq!(
                    lease.attempt,
                    1 + kills,
                    "only what was running is one attempt on"
                );
            }
        }
    }

    /// Lets every worker finish, and checks the whole.
    pub(super) fn finish(mut self) {
        for _ in 0..1000 {
            for at in 0..WORKERS {
                for step in [
                    Step::Announce(at),
                    Step::Act(at),
                    Step::Acknowledge(at),
                    Step::Hear(at),
                ] {
                    self.step(&step);
                }
            }
        }
        self.claim();
        assert!(self.tickets.is_empty() && self.book.unfinished() == 0);
        let quarantined: HashSet<u64> = self.book.quarantined().iter().map(|one| one.id).collect();
        for (id, answer) in &self.answers {
            if *answer == Answer::Quarantined {
                assert!(quarantined.contains(id));
            } else {
                assert_eq!(*answer, Answer::Done(id.to_le_bytes().to_vec()));
                let again = self.effects[id] - 1;
                assert!(
                    again <= self.kills.get(id).copied().unwrap_or(0),
                    "done twice without a death"
                );
            }
        }
        for one in self.book.quarantined() {
            assert_eq!(one.payload, one.id.to_le_bytes());
            assert_eq!(one.history, [killed(); 3]);
        }
    }
}
