//! Every order of steps of the protocol, with deaths behind each of them, against a model; then what
//! no model says.

mod world;

use proptest::prelude::*;

use super::{Answer, Book};
use world::{FIRST, LIMITS, Step, WORKERS, World, killed};

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
