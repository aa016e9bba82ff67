//! The other side stops after step k, for every k: what was sent is received, whole, and then the
//! survivor is told.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use loom::thread;

use super::death::{after_every_step, kill_after};
use super::memory::read;
use super::{channel, check, message};
use crate::segment::Trust;
use crate::{Error, Receiver, Sender};

#[test]
fn a_sender_is_killed() {
    let steps = after_every_step(|steps, killed: &'static AtomicBool| {
        check(move || {
            let (mut tx, mut rx) = channel(Trust::Full);
            let sent = Arc::new(AtomicU8::new(0));
            let count = Arc::clone(&sent);
            thread::spawn(move || {
                let dead = kill_after(steps, || {
                    for number in 0..3 {
                        tx.send(&message(number)).unwrap();
                        count.fetch_add(1, Ordering::Relaxed);
                    }
                });
                killed.fetch_or(dead, Ordering::Relaxed);
                drop(tx);
            });
            let mut received = 0;
            let end = loop {
                match rx.recv() {
                    Ok(msg) => assert_eq!(read(msg), message(received)),
                    Err(error) => break error,
                }
                received += 1;
            };
            assert!(matches!(end, Error::Disconnected), "{end}");
            let sent = sent.load(Ordering::Relaxed);
            assert!(sent == received || sent + 1 == received);
        });
    });
    println!("a sender of three messages was killed after each of {steps} steps");
}

#[test]
fn a_receiver_is_killed() {
    let steps = after_every_step(|steps, killed: &'static AtomicBool| {
        check(move || {
            let (mut tx, mut rx) = channel(Trust::Full);
            thread::spawn(move || {
                let dead = kill_after(steps, || {
                    for number in 0..3 {
                        rx.recv().unwrap();
                        assert_eq!(read(rx.message()), message(number));
                    }
                });
                killed.fetch_or(dead, Ordering::Relaxed);
                drop(rx);
            });
            let end = (0..).find_map(|number| tx.send(&message(number)).err());
            let end = end.expect("nobody makes room for ever");
            assert!(matches!(end, Error::Disconnected), "{end}");
        });
    });
    println!("a receiver of three messages was killed after each of {steps} steps");
}
