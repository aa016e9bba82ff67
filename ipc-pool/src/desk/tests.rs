//! The desk step by step: the waking of who waits, and a seat that cannot be had.

use std::os::fd::AsFd;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use ipc_core::{Interest, Wait, poll};
use nix::sys::epoll::{EpollEvent, EpollFlags};
use nix::sys::eventfd::EventFd;

use super::{Book, Desk, Leader};
use crate::book::Limits;
use crate::{Transport, link};

/// Beyond any test.
const LONG: Duration = Duration::from_secs(30);

fn desk() -> Desk {
    let limits = Limits {
        capacity: 1,
        prefetch: 1,
        kills: 1,
    };
    let supervisor = Arc::new(EventFd::new().unwrap());
    Desk::new(Book::new(limits, 1, 0), 0, true, supervisor).unwrap()
}

/// Another takes in what is waited for between the last look and the sleep.
#[test]
fn news_since_the_look_is_not_slept_over() {
    let desk = desk();
    let seen = desk.lock().news;
    desk.tell(&mut desk.lock());
    let start = Instant::now();
    desk.sleep(seen, LONG.into()).unwrap();
    assert!(start.elapsed() < LONG);
}

#[test]
fn who_sleeps_is_told() {
    let desk = desk();
    let seen = desk.lock().news;
    thread::scope(|scope| {
        let sleeping = scope.spawn(|| {
            let start = Instant::now();
            desk.sleep(seen, LONG.into()).unwrap();
            start.elapsed()
        });
        while desk.lock().leader != Leader::Asleep {
            thread::yield_now();
        }
        desk.ring();
        assert!(sleeping.join().unwrap() < LONG);
    });
    // The bell has rung: the next sleep is one.
    let seen = desk.lock().news;
    let slept = desk.sleep(seen, Duration::from_millis(1).into());
    slept.unwrap();
    assert_eq!(desk.lock().news, seen);
}

/// The supervisor listens, too, and may be quicker.
#[test]
fn the_bell_is_left_to_who_sleeps() {
    let desk = desk();
    desk.lock().leader = Leader::Asleep;
    desk.ring();
    desk.woken().unwrap();
    let rings = || poll(desk.ears.0.as_fd(), Interest::Read, Wait::Never).unwrap();
    assert!(rings());
    desk.lock().leader = Leader::Awake;
    desk.woken().unwrap();
    assert!(!rings());
}

#[test]
fn a_channel_that_cannot_be_heard_leaves_no_seat() {
    let desk = desk();
    let link = || link::link(Transport::Shm, 100).unwrap().0;
    let refused = link();
    let event = EpollEvent::new(EpollFlags::EPOLLIN, 0);
    desk.ears.add(&refused.rx, event).unwrap(); // it can be there once
    desk.seat(0, refused).unwrap_err();
    assert_eq!(desk.seat(0, link()).unwrap(), 0);
}
