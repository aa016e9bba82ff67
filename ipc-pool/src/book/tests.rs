//! Every order of steps of the protocol, with deaths behind each of them, against a model.

use std::collections::{BTreeMap, HashSet};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use proptest::prelude::*;

use super::{Answer, Book, Limits};
use crate::wire::Lease;

const FIRST: u64 = 1000;
const WORKERS: usize = 3;
const LIMITS: Limits = Limits {
    capacity: 12,
    prefetch: 3,
    kills: 3,
};

fn killed() -> ExitStatus {
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
struct World {
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
enum Step {
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
    fn new() -> Self {
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

    fn step(&mut self, step: &Step) {
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
    fn finish(mut self) {
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

fn step() -> impl Strategy<Value = Step> {
    let worker = 0..WORKERS;
    prop_oneof![
        4 => prop_oneof![3 => Just(None), 1 => worker.clone().prop_map(Some)].prop_map(Step::Submit),
        4 => worker.clone().prop_map(Step::Announce),
        4 => worker.clone().prop_map(Step::Act),
        4 => worker.clone().prop_map(Step::Acknowledge),
        4 => worker.clone().prop_map(Step::Hear),
        2 => worker.prop_map(Step::Die),
        1 => (0..20usize).prop_map(Step::Haunt),
        1 => Just(Step::Claim),
    ]
}

proptest! {
    #[test]
    fn nothing_is_lost_whatever_happens(steps in prop::collection::vec(step(), 0..300)) {
        let mut world = World::new();
        for step in &steps {
            world.step(step);
        }
        world.finish();
    }
}

/// One worker, two tasks, and a death behind each prefix of the protocol, twice over.
#[test]
fn a_death_behind_every_step() {
    let life = [
        Step::Announce(0),
        Step::Act(0),
        Step::Acknowledge(0),
        Step::Hear(0),
    ];
    for first in 0..=8 {
        for second in 0..=8 {
            let mut world = World::new();
            world.step(&Step::Submit(Some(0)));
            world.step(&Step::Submit(Some(0)));
            for steps in [first, second] {
                (0..steps).for_each(|step| world.step(&life[step % 4]));
                world.step(&Step::Die(0));
            }
            world.finish();
        }
    }
}

#[test]
fn what_comes_back_stands_first_and_in_order() {
    let mut book = Book::new(LIMITS, 1, FIRST);
    let ids: Vec<u64> = (0..5)
        .map(|_| book.submit(b"", None, false).unwrap().1)
        .collect();
    let mut sent = Vec::new();
    for _ in 0..2 {
        let place = book.join(0);
        book.set_open(place, true);
        sent.clear();
        book.dispatch(|_, lease, _| {
            sent.push((lease.id, lease.attempt));
            true
        });
        book.leave(place, None, Some(killed()));
    }
    assert_eq!(sent, [(ids[0], 1), (ids[1], 1), (ids[2], 1)]);
}

#[test]
fn a_death_that_is_nobodys_fault_is_an_attempt_and_no_kill() {
    let mut book = Book::new(LIMITS, 1, FIRST);
    let (_, id) = book.submit(b"", None, false).unwrap();
    for attempt in 1..10 {
        let place = book.join(0);
        book.set_open(place, true);
        book.dispatch(|_, lease, _| {
            assert_eq!((lease.id, lease.attempt), (id, attempt));
            true
        });
        assert_eq!(book.leave(place, Some(id), None), None);
    }
}

#[test]
fn tasks_for_a_worker_that_is_no_more_are_for_any() {
    let mut book = Book::new(LIMITS, 2, FIRST);
    book.submit(b"", Some(1), false).unwrap();
    book.set_workers(1);
    let place = book.join(0);
    book.set_open(place, true);
    let mut sent = 0;
    book.dispatch(|_, _, _| {
        sent += 1;
        true
    });
    assert_eq!(sent, 1);
}

#[test]
fn a_channel_without_room_is_asked_again_after_an_answer() {
    let mut book = Book::new(LIMITS, 1, FIRST);
    let place = book.join(0);
    book.set_open(place, true);
    book.submit(b"", None, false).unwrap();
    book.submit(b"", None, false).unwrap();
    let (mut room, mut sent) = (1, Vec::new());
    book.dispatch(|_, lease, _| {
        let fits = room > 0;
        room -= i32::from(fits);
        sent.extend(fits.then_some(lease));
        fits
    });
    assert_eq!((sent.len(), book.depth()), (1, 1));
    assert!(book.settle(place, sent[0], Answer::Done(Vec::new())));
    book.dispatch(|_, _, _| true);
    assert_eq!(book.depth(), 0);
}

#[test]
fn what_waits_is_withdrawn_in_order() {
    let mut book = Book::new(LIMITS, 2, FIRST);
    let ticket = book.submit(b"a", None, true).unwrap();
    book.submit(b"b", None, false).unwrap();
    book.submit(b"c", Some(1), false).unwrap();
    assert_eq!(book.withdraw(), [b"a", b"b", b"c"]);
    assert_eq!(book.take(ticket.0, ticket.1), Some(Answer::Withdrawn));
    assert_eq!(book.unfinished(), 0);
}

#[test]
fn an_answer_out_of_turn_is_stale() {
    let mut book = Book::new(LIMITS, 1, FIRST);
    let place = book.join(0);
    book.set_open(place, true);
    book.submit(b"", None, false).unwrap();
    book.submit(b"", None, false).unwrap();
    let mut sent = Vec::new();
    book.dispatch(|_, lease, _| {
        sent.push(lease);
        true
    });
    assert!(!book.settle(place, sent[1], Answer::Done(Vec::new())));
    assert!(book.settle(place, sent[0], Answer::Done(Vec::new())));
    assert!(book.settle(place, sent[1], Answer::Done(Vec::new())));
    assert_eq!(book.counts().stale, 1);
}
