//! The ring alone, whose sides spin: what its Release and Acquire are worth without any fence.

use loom::thread;

use super::memory::{read, ring};
use super::{CAPACITY, check_up_to, message};
use crate::ring::{Consumer, Producer};

/// Sends batches of so many messages.
fn sides(batches: &'static [u8]) {
    let ring = ring(CAPACITY);
    let (mut tx, mut rx) = (Producer::new(ring, 0), Consumer::new(ring, 0));
    thread::spawn(move || {
        let mut number = 0;
        for batch in batches {
            for _ in 0..*batch {
                let msg = message(number);
                while !tx.has_room(msg.len()).unwrap() {
                    thread::yield_now();
                }
                tx.push(&msg);
                number += 1;
            }
            tx.publish();
        }
    });
    for number in 0..batches.iter().sum() {
        while !rx.next().unwrap() {
            thread::yield_now();
        }
        assert_eq!(read(rx.message()), message(number));
        rx.release();
    }
}

#[test]
fn messages_arrive_whole_and_in_order() {
    check_up_to(None, || sides(&[1, 1, 1, 1]));
}

#[test]
fn a_batch_arrives_whole_and_in_order() {
    check_up_to(None, || sides(&[2, 2]));
}
