//! The ring against a queue that is plainly right, on heap memory (for Miri) and mapped twice.

use std::collections::VecDeque;

use proptest::prelude::*;

use super::producer::copy;
use super::*;
use crate::segment::{Segment, Trust};

/// Heap memory for a ring: what runs over its end lies behind it, where the mapping would show the
/// beginning.
pub(crate) struct Heap {
    data: Box<[u64]>,
    sender: Box<SenderWords>,
    receiver: Box<ReceiverWords>,
}

impl Heap {
    pub(crate) fn new(capacity: usize) -> Self {
        let line = || Line(AtomicU64::new(0));
        Heap {
            data: vec![0; capacity / 4].into(),
            sender: Box::new(SenderWords { asked: line() }),
            receiver: Box::new(ReceiverWords {
                head: line(),
                asked: line(),
            }),
        }
    }

    /// The addresses of the ring's bytes, and of as many behind its end.
    #[cfg(loom)]
    pub(crate) fn addresses(&self) -> std::ops::Range<usize> {
        let bytes = self.data.as_ptr_range();
        bytes.start.addr()..bytes.end.addr()
    }

    pub(crate) fn ring(&mut self) -> Ring {
        let capacity = self.data.len() * 4;
        let data = NonNull::from(&mut *self.data).cast();
        let (sender, receiver) = (&mut *self.sender, &mut *self.receiver);
        // SAFETY: the memory outlives the test's sides, and one of each kind is made.
        unsafe { Ring::new(data, capacity, sender.into(), receiver.into()) }
    }
}

#[derive(Clone, Debug)]
enum Step {
    /// Writes a message of so many hundredths of the longest.
    Push(usize),
    /// The same in place.
    Write(usize),
    /// Writes in place what is to be no message.
    Scribble(usize),
    /// More of them in one go, of these many hundredths, until so many bytes are unpublished.
    PushMore(Vec<usize>, usize),
    Publish,
    Receive,
    /// Several in one go, or until so many bytes are to be given back.
    Take(usize, u64),
    Release,
    /// Gives back what lies before the current message, as in a batch.
    GiveBack,
    /// Both sides end, and others go on from their positions.
    Succeed,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0..=100_usize).prop_map(Step::Push),
        2 => (0..=4_usize).prop_map(Step::Push),
        4 => (0..=100_usize).prop_map(Step::Write),
        1 => (0..=100_usize).prop_map(Step::Scribble),
        3 => (proptest::collection::vec(0..=30_usize, 0..4), 0..400_usize)
            .prop_map(|(lens, bytes)| Step::PushMore(lens, bytes)),
        3 => Just(Step::Publish),
        5 => Just(Step::Receive),
        3 => (0..4_usize, 0..200_u64).prop_map(|(max, bytes)| Step::Take(max, bytes)),
        3 => Just(Step::Release),
        1 => Just(Step::GiveBack),
        1 => Just(Step::Succeed),
    ];
    proptest::collection::vec(step, 0..if cfg!(miri) { 60 } else { 400 })
}

/// What is the ring's, by the plainest means: bytes taken, and messages.
#[derive(Default)]
struct Model {
    written: VecDeque<Vec<u8>>,
    published: VecDeque<Vec<u8>>,
    /// The bytes of the current message's record, and those before it that were not given back.
    held: (usize, usize),
    /// Bytes of all records that are the receiver's or unpublished.
    used: usize,
}

impl Model {
    /// Gives back what the receiver holds; true if that is something.
    fn release(&mut self) -> bool {
        let held = self.held.0 + self.held.1;
        self.held = (0, 0);
        self.used -= held;
        held > 0
    }
}

/// Where the first sides begin, in records of the least length: at 0, somewhere, or where no real ring ever gets.
fn starts() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0), 0..1000_u64, u64::MAX / 16 - 1000..u64::MAX / 16]
        .prop_map(|records| records * HEADER as u64)
}

/// Takes messages, and checks that they are those that the model has.
fn take(
    rx: &mut Consumer,
    model: &mut Model,
    max: usize,
    bytes: u64,
    copies: bool,
) -> Result<(), TestCaseError> {
    let mut taken = Vec::new();
    let count = rx.take(max, bytes, &mut |msg| taken.push(msg.to_vec()));
    prop_assert_eq!(count, taken.len());
    prop_assert!(count <= max && (count == 0 || !copies));
    let last = taken.last().cloned();
    for msg in taken {
        model.held = (record(msg.len()), model.held.0 + model.held.1);
        prop_assert_eq!(Some(msg), model.published.pop_front());
    }
    let enough = count == max || (model.held.0 + model.held.1) as u64 >= bytes;
    prop_assert!(copies || enough || model.published.is_empty());
    if let Some(last) = last {
        prop_assert_eq!(rx.message(), &last[..]);
    }
    Ok(())
}

fn check(ring: Ring, steps: &[Step], start: u64, copies: bool) -> Result<(), TestCaseError> {
    let mut place = vec![0_u64; if copies { ring.capacity / 8 } else { 0 }];
    let place = NonNull::from(&mut *place).cast();
    let receiver = |head| {
        if copies {
            Consumer::copying(ring, head, place)
        } else {
            Consumer::new(ring, head)
        }
    };
    ring.receiver().head.store(start);
    let (mut tx, mut rx) = (Producer::new(ring, start), receiver(start));
    let mut model = Model::default();
    let mut number = 0_u8;
    for step in steps {
        match step {
            Step::Push(hundredths) | Step::Write(hundredths) | Step::Scribble(hundredths) => {
                let len = ring.max_len() * hundredths / 100;
                let fits = model.used + record(len) + HEADER <= ring.capacity;
                prop_assert_eq!(tx.has_room(len), Ok(fits));
                if fits && matches!(step, Step::Scribble(_)) {
                    tx.next_mut(len).fill(0xff);
                } else if fits {
                    let msg: Vec<u8> = (0..=u8::MAX)
                        .map(|at| number.wrapping_add(at))
                        .cycle()
                        .take(len)
                        .collect();
                    number = number.wrapping_add(101);
                    if matches!(step, Step::Write(_)) {
                        tx.next_mut(len).copy_from_slice(&msg);
                        prop_assert_eq!(tx.next(len), &msg[..]);
                        tx.push_written(len);
                    } else {
                        tx.push(&msg);
                    }
                    model.used += record(len);
                    model.written.push_back(msg);
                }
            }
            Step::PushMore(hundredths, bytes) => {
                let lens = hundredths.iter().map(|h| ring.max_len() * h / 100);
                let msgs: Vec<Vec<u8>> = lens.map(|len| vec![number; len]).collect();
                number = number.wrapping_add(1);
                let slices: Vec<&[u8]> = msgs.iter().map(Vec::as_slice).collect();
                prop_assert!(tx.has_room(0).is_ok());
                let begun = tx.unpublished();
                let pushed = tx.push_more(&slices, *bytes);
                prop_assert!(pushed == 0 || begun > 0);
                for msg in msgs.into_iter().take(pushed) {
                    model.used += record(msg.len());
                    model.written.push_back(msg);
                }
                prop_assert!(model.used + HEADER <= ring.capacity);
                prop_assert!(pushed == 0 || tx.unpublished() <= *bytes);
            }
            Step::Publish if model.written.is_empty() => {}
            Step::Publish => {
                let written: usize = model.written.iter().map(|msg| record(msg.len())).sum();
                prop_assert_eq!(tx.publish(), tx.tail() - written as u64);
                model.published.append(&mut model.written);
            }
            Step::Receive => {
                prop_assert_eq!(rx.is_ready(), !model.published.is_empty());
                let found = rx.next();
                let expected = model.published.pop_front();
                prop_assert_eq!(found, Ok(expected.is_some()));
                if let Some(msg) = expected {
                    prop_assert_eq!(rx.message(), &msg[..]);
                    model.held = (record(msg.len()), model.held.0 + model.held.1);
                }
            }
            Step::Take(max, bytes) => {
                take(&mut rx, &mut model, *max, *bytes, copies)?;
            }
            Step::Release => {
                prop_assert_eq!(rx.release(), model.release());
                prop_assert_eq!(rx.message(), b"");
            }
            Step::GiveBack => {
                rx.give_back(rx.position() - model.held.0 as u64);
                model.used -= std::mem::take(&mut model.held.1);
            }
            Step::Succeed if model.written.is_empty() => {
                prop_assert_eq!(rx.release(), model.release());
                tx = Producer::new(ring, tx.tail());
                rx = receiver(rx.position());
            }
            Step::Succeed => {}
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if cfg!(miri) { 20 } else { 256 },
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn it_is_a_queue_on_the_heap(
        steps in steps(),
        eighths in 4..80_usize,
        start in starts(),
        copies in any::<bool>(),
    ) {
        let mut heap = Heap::new(eighths * 8);
        check(heap.ring(), &steps, start, copies)?;
    }

    #[test]
    #[cfg_attr(miri, ignore)] // it maps memory
    fn it_is_a_queue_mapped_twice(steps in steps(), start in starts(), copies in any::<bool>()) {
        let (sender, receiver) = Segment::create(crate::sys::page_size(), Trust::Full).unwrap();
        // SAFETY: both segments map the same memory, and the one that is writable serves both here.
        let ring = unsafe {
            let [data, control] = [sender.ring(), receiver.ring()];
            Ring::new(data.data, data.capacity, data.sender, control.receiver)
        };
        check(ring, &steps, start, copies)?;
    }

    /// Whatever lies in the header, the message ends inside the memory, or the ring is corrupt.
    #[test]
    fn any_header_is_checked(header in prop_oneof![any::<u64>(), 0..300_u64, (0..300_u64).prop_map(|len| PUBLISHED | len)]) {
        let mut heap = Heap::new(256);
        let ring = heap.ring();
        let mut rx = Consumer::new(ring, 0);
        ring.header(0).store(header, Ordering::Relaxed);
        match rx.next() {
            Ok(false) => prop_assert_eq!(header, 0),
            Ok(true) => prop_assert!(rx.message().len() <= ring.max_len()),
            Err(_) => prop_assert_eq!(rx.position(), 0),
        }
    }

    /// Whatever lies in the receiver's index, it makes no room that is not there.
    #[test]
    fn any_head_is_checked(head in prop_oneof![any::<u64>(), 0..600_u64]) {
        let mut heap = Heap::new(256);
        let ring = heap.ring();
        let (mut tx, mut rx) = (Producer::new(ring, 0), Consumer::new(ring, 0));
        while tx.has_room(24).unwrap() {
            tx.push(&[0; 24]);
            tx.publish();
        }
        assert!(rx.next().unwrap() && rx.release() && tx.has_room(24).unwrap());
        tx.push(&[0; 24]);
        tx.publish();
        ring.receiver().head.store(head);
        let right = (32..=tx.tail()).contains(&head) && head % 8 == 0;
        prop_assert_eq!(tx.has_room(24).is_ok(), right);
    }
}

/// Records of a batch appear together, with the last store.
#[test]
fn a_batch_is_published_at_once() {
    let mut heap = Heap::new(256);
    let ring = heap.ring();
    let (mut tx, mut rx) = (Producer::new(ring, 0), Consumer::new(ring, 0));
    for msg in [&b"one"[..], b"", b"three"] {
        tx.push(msg);
        assert!(!rx.is_ready());
    }
    tx.publish();
    for msg in [&b"one"[..], b"", b"three"] {
        assert!(rx.next().unwrap());
        assert_eq!(rx.message(), msg);
    }
    assert!(!rx.next().unwrap());
}

#[test]
fn every_short_copy_is_right() {
    let from: Vec<u8> = (1..=100).collect();
    for len in 0..=100 {
        let mut to = [0; 102];
        // SAFETY: 101 bytes are enough, and private.
        unsafe { copy(&from[..len], NonNull::from(&mut to[1..]).cast()) };
        assert_eq!(to[1..=len], from[..len]);
        assert!(to[0] == 0 && to[len + 1..].iter().all(|byte| *byte == 0));
    }
}

/// A copy is not what its sender writes later, of any length.
#[test]
fn every_snapshot_is_right() {
    let mut from: Vec<u64> = (1..=60).map(|n| n * 0x0101_0101_0101_0101).collect();
    for len in 0..=from.len() * 8 {
        let mut to = vec![0; from.len()];
        // SAFETY: both are as long and aligned as it takes, and different.
        unsafe {
            let [from, to] = [&mut from, &mut to].map(|words| NonNull::from(&mut **words).cast());
            snapshot::snapshot(from, to, len);
        }
        let words = len.div_ceil(8);
        assert_eq!(to[..words], from[..words]);
        assert!(to[words..].iter().all(|word| *word == 0));
    }
}

#[test]
fn capacity_and_longest_message_agree() {
    for max_len in (0..5000).step_by(if cfg!(miri) { 331 } else { 1 }) {
        let capacity = capacity_for(max_len);
        let ring = Heap::new(capacity.max(32)).ring();
        assert!(ring.max_len() >= max_len);
        assert!(ring.max_len() < max_len + 8 || capacity < 32);
    }
    assert_eq!(capacity_for(usize::MAX), usize::MAX);
}
