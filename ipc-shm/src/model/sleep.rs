//! Whole halves, which sleep at once: no wake-up is lost, or the model ends in loom's "deadlock".

use std::ptr::NonNull;

use loom::thread;

use super::memory::{read, wrote};
use super::{channel, check, message, pair, processor};
use crate::doorbell::readable;
use crate::segment::Trust;
use crate::{Error, Ready, Receiver, Result, Sender, ShmReceiver, ShmSender, Wait};

/// Runs a sender of messages in a thread, and their receiver here.
fn between(
    trust: Trust,
    tx: impl Fn(&mut ShmSender) + Copy + Send + Sync + 'static,
    rx: impl Fn(&mut ShmReceiver) + Copy + Send + Sync + 'static,
) {
    check(move || run(trust, tx, rx));
}

fn run(trust: Trust, tx: impl FnOnce(&mut ShmSender) + 'static, rx: impl FnOnce(&mut ShmReceiver)) {
    let (mut sender, mut receiver) = channel(trust);
    let other = thread::spawn(move || {
        processor::run(0, || tx(&mut sender));
        sender
    });
    processor::run(1, || rx(&mut receiver));
    let _sender = other.join(); // that the other side is gone is not the subject here
}

fn send(tx: &mut ShmSender, count: u8) {
    (0..count).for_each(|number| tx.send(&message(number)).unwrap());
}

fn receive(rx: &mut ShmReceiver, count: u8) {
    for number in 0..count {
        assert_eq!(read(rx.recv().unwrap()), message(number));
    }
}

#[test]
fn nobody_sleeps_for_ever() {
    between(Trust::Full, |tx| send(tx, 3), |rx| receive(rx, 3));
}

#[test]
fn nobody_sleeps_for_ever_beside_a_stranger() {
    between(Trust::None, |tx| send(tx, 3), |rx| receive(rx, 3));
}

/// Who publishes while the word is calm passes no fence of its own.
#[test]
fn nobody_sleeps_for_ever_where_there_is_membarrier() {
    check(|| {
        processor::offer(2);
        run(Trust::Full, |tx| send(tx, 3), |rx| receive(rx, 3));
    });
}

#[test]
fn nobody_sleeps_for_ever_in_batches() {
    between(
        Trust::Full,
        |tx| {
            let msgs: Vec<_> = (0..4).map(message).collect();
            let msgs: Vec<_> = msgs.iter().map(Vec::as_slice).collect();
            assert_eq!(tx.send_many(&msgs, Wait::Forever).unwrap(), msgs.len());
        },
        |rx| {
            let mut number = 0;
            while number < 4 {
                let mut each = |msg: &[u8]| {
                    assert_eq!(read(msg), message(number));
                    number += 1;
                };
                rx.recv_many(2, Wait::Forever, &mut each).unwrap();
            }
        },
    );
}

/// As asynchronous halves do: try, and where that would block arm, and wait for the descriptor.
#[test]
fn a_descriptor_that_is_waited_for_becomes_ready() {
    between(
        Trust::Full,
        |tx| {
            for number in 0..3 {
                while would_block(tx.try_send(&message(number))) {
                    if !tx.arm().unwrap() {
                        readable(tx.fd().0);
                    }
                }
            }
        },
        |rx| {
            for number in 0..3 {
                while would_block(rx.try_recv().map(drop)) {
                    if !rx.arm().unwrap() {
                        readable(rx.fd().0);
                    }
                }
                assert_eq!(read(rx.message()), message(number));
            }
        },
    );
}

/// As `Select` does: arm, wait for the descriptor, and then try.
#[test]
fn a_half_that_is_armed_is_woken() {
    between(
        Trust::Full,
        |tx| send(tx, 3),
        |rx| {
            for number in 0..3 {
                loop {
                    if !rx.arm().unwrap() {
                        readable(rx.fd().0);
                    }
                    if !would_block(rx.try_recv().map(drop)) {
                        break;
                    }
                }
                assert_eq!(read(rx.message()), message(number));
            }
        },
    );
}

fn would_block(result: Result<()>) -> bool {
    match result {
        Err(Error::WouldBlock) => true,
        result => {
            result.unwrap();
            false
        }
    }
}

/// What was written beyond it is where the header of the next message will be.
#[test]
fn a_loan_is_cut_short() {
    let len = |number| if number == 1 { 0 } else { 8 };
    between(
        Trust::Full,
        move |tx| {
            for number in 0..3 {
                let mut loan = tx.loan(8).unwrap();
                loan.fill(number + 1);
                wrote(NonNull::from(&mut loan[0]), 8);
                loan.truncate(len(number));
                loan.send();
            }
        },
        move |rx| {
            for number in 0..3 {
                assert_eq!(read(rx.recv().unwrap()), vec![number + 1; len(number)]);
            }
        },
    );
}

#[test]
fn requests_are_answered() {
    check(|| {
        let (mut here, mut there) = pair();
        let other = thread::spawn(move || {
            for _ in 0..2 {
                let (tx, rx) = there.halves();
                let request = rx.recv().unwrap();
                tx.send(&read(request)).unwrap();
            }
            there
        });
        for number in 0..2 {
            here.send(&message(number)).unwrap();
            assert_eq!(read(here.recv().unwrap()), message(number));
        }
        let _there = other.join();
    });
}
