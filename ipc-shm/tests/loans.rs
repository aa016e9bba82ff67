//! Messages written in place: what a loan promises whatever becomes of it.
//!
//! Seen to fail: without the zeroed header behind a message written in place (six cases), with a
//! record that counts when it is lent (nearly all), without the wake-up after it
//! (`a_sleeper_is_woken`, `a_loan_waits_for_room`), without the check of its length (`too_large_is_refused`).

use std::fs;
use std::mem;
use std::time::{Duration, Instant};

use ipc_core::conformance::{CountingAllocator, allocations};
use ipc_process::fork;
use ipc_shm::{
    Error, Loan, Receiver, Sender, ShmDuplex, ShmOptions, ShmReceiver, ShmSender, Spin, Wait,
};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

fn tiny() -> (ShmSender, ShmReceiver) {
    ShmOptions::new().capacity(1).channel().unwrap()
}

/// Sends `msg` in place.
fn loan(tx: &mut ShmSender, msg: &[u8]) {
    let mut loan = tx.loan(msg.len()).unwrap();
    loan.copy_from_slice(msg);
    loan.send();
}

fn every_length_is_lent() {
    let (mut tx, mut rx) = tiny();
    let bytes: Vec<u8> = (0..=255).cycle().take(tx.max_len()).collect();
    for len in 0..=tx.max_len() {
        let mut loan = tx.try_loan(len).unwrap();
        assert_eq!(loan.len(), len);
        loan.copy_from_slice(&bytes[..len]);
        assert!(*loan == bytes[..len], "a loan is read as it was written");
        loan.send();
        assert_eq!(rx.recv().unwrap(), &bytes[..len]);
    }
}

/// Where a byte of shared memory lies: which memory it is, and where in there.
fn whereabouts(bytes: &[u8]) -> (String, usize) {
    let address = bytes.as_ptr().addr();
    let hex = |text: &str| usize::from_str_radix(text, 16).unwrap();
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    for line in maps.lines().filter(|line| line.contains("memfd:ipc-shm")) {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (start, end) = fields[0].split_once('-').unwrap();
        if (hex(start)..hex(end)).contains(&address) {
            return (fields[4].into(), hex(fields[2]) + address - hex(start));
        }
    }
    panic!("not in shared memory");
}

/// Nothing is copied: the receiver reads the very bytes that were written.
fn read_where_it_was_written() {
    let (mut tx, mut rx) = tiny();
    for round in 0..200 {
        let loan = tx.loan(100 + round).unwrap();
        let written = whereabouts(&loan);
        loan.send();
        assert_eq!(whereabouts(rx.recv().unwrap()), written);
    }
}

fn dropped_it_sends_nothing_and_takes_no_room() {
    let (mut tx, mut rx) = tiny();
    for len in [0, 1, tx.max_len()] {
        for _ in 0..1000 {
            tx.try_loan(len).unwrap().fill(0xff);
        }
        assert!(matches!(rx.try_recv(), Err(Error::WouldBlock)));
    }
    loan(&mut tx, b"one");
    drop(tx.loan(1000).unwrap());
    tx.send(b"two").unwrap();
    assert_eq!(rx.recv().unwrap(), b"one");
    assert_eq!(rx.recv().unwrap(), b"two");
}

fn forgotten_it_is_as_if_dropped() {
    let (mut tx, mut rx) = tiny();
    let longest = vec![1; tx.max_len()];
    for round in 0..100_u8 {
        let mut loan = tx.try_loan(longest.len()).unwrap();
        loan.fill(0xff);
        #[expect(clippy::forget_non_drop)] // the same as long as loans need no drop
        mem::forget(loan);
        assert!(matches!(rx.try_recv(), Err(Error::WouldBlock)));
        // A shorter record over it: the header behind lies where the loan was scribbled on.
        tx.try_send(&[round; 40]).unwrap();
        assert_eq!(rx.recv().unwrap(), [round; 40]);
        assert!(matches!(rx.try_recv(), Err(Error::WouldBlock)));
        tx.try_send(&longest).unwrap();
        assert!(rx.recv().unwrap() == longest);
    }
}

fn truncated_it_sends_what_is_left() {
    let (mut tx, mut rx) = tiny();
    for len in [1000, 999, 8, 7, 1, 0] {
        let mut loan = tx.try_loan(1000).unwrap();
        loan.fill(0xff);
        loan.truncate(len);
        loan.truncate(5000);
        assert_eq!(loan.len(), len);
        loan.send();
        assert_eq!(rx.recv().unwrap(), vec![0xff; len]);
        assert!(matches!(rx.try_recv(), Err(Error::WouldBlock)));
    }
}

fn too_large_is_refused() {
    let (mut tx, mut rx) = tiny();
    let max = tx.max_len();
    for len in [max + 1, usize::MAX - 7, usize::MAX] {
        let error = tx.loan(len).unwrap_err();
        assert!(matches!(error, Error::TooLarge { len: l, max: m, .. } if (l, m) == (len, max)));
    }
    loan(&mut tx, b"usable");
    assert_eq!(rx.recv().unwrap(), b"usable");
}

fn a_full_ring_lends_nothing() {
    for spin in [Spin::Adaptive, Spin::Never, Spin::Always] {
        let options = ShmOptions::new().capacity(1).spin(spin);
        let (mut tx, mut rx) = options.channel().unwrap();
        while tx.try_loan(100).map(Loan::send).is_ok() {}
        assert!(matches!(tx.try_loan(100), Err(Error::WouldBlock)));
        let (start, timeout) = (Instant::now(), Duration::from_millis(20));
        let timed = tx.loan_timeout(100, timeout);
        assert!(matches!(timed, Err(Error::TimedOut)), "{timed:?}");
        assert!(start.elapsed() >= timeout);
        rx.recv().unwrap();
        assert!(matches!(tx.try_loan(100), Err(Error::WouldBlock)));
        rx.recv().unwrap();
        tx.try_loan(100).unwrap().send();
    }
}

/// The header behind a record that ends with the ring is the ring's first.
fn wrapping_at_the_end() {
    let (mut tx, mut rx) = tiny();
    for len in [0, 8, 16, 24, 40, 56, 1000, tx.max_len()] {
        // Whatever was there before is no header.
        for _ in 0..2 * tx.capacity() / (len + 8) {
            let mut loan = tx.try_loan(len).unwrap();
            loan.fill(0xff);
            loan.send();
            assert!(rx.recv().unwrap().iter().all(|byte| *byte == 0xff));
            assert!(matches!(rx.try_recv(), Err(Error::WouldBlock)));
        }
    }
}

fn loans_and_sends_alternate() {
    const COUNT: usize = 100_000;
    let words = |number: usize| number.to_le_bytes().repeat(1 + number % 37);
    let (tx, rx) = tiny();
    let (child, mut rx) = fork((rx, tx), |mut tx: ShmSender| {
        let mut number = 0;
        while number < COUNT {
            match number % 5 {
                0 | 2 => loan(&mut tx, &words(number)),
                1 => {
                    tx.loan(number % 999).unwrap().fill(0xff); // and drops it
                    tx.send(&words(number)).unwrap();
                }
                _ => {
                    let batch = [words(number), words(number + 1)];
                    let batch = [&batch[0][..], &batch[1][..]];
                    assert_eq!(tx.send_many(&batch, Wait::Forever).unwrap(), 2);
                    number += 1;
                }
            }
            number += 1;
        }
    })
    .unwrap();
    for number in 0..COUNT {
        assert!(rx.recv().unwrap() == words(number));
    }
    child.join().unwrap();
}

/// Both directions in place, and whoever waits sleeps at once.
fn a_sleeper_is_woken() {
    let options = ShmOptions::new().capacity(1).spin(Spin::Never);
    let (child, mut ours) = fork(options.pair().unwrap(), |mut end: ShmDuplex| {
        let (tx, rx) = end.halves();
        while let Ok(message) = rx.recv() {
            loan(tx, message);
        }
    })
    .unwrap();
    for number in 0..5000_usize {
        let msg = vec![number.to_le_bytes()[0]; number % 2000];
        loan(ours.sender(), &msg);
        assert!(ours.recv().unwrap() == msg);
    }
    drop(ours);
    child.join().unwrap();
}

/// A sender that sleeps for room is woken when there is enough.
fn a_loan_waits_for_room() {
    let options = ShmOptions::new().capacity(1).spin(Spin::Never);
    let (tx, mut rx) = options.channel().unwrap();
    let max = tx.max_len();
    let (child, ()) = fork(((), tx), move |mut tx: ShmSender| {
        for number in 0..1000_usize {
            let mut loan = tx.loan(number * 7 % max).unwrap();
            loan.fill(number.to_le_bytes()[0]);
            loan.send();
        }
    })
    .unwrap();
    for number in 0..1000_usize {
        if number % 100 == 0 {
            std::thread::sleep(Duration::from_millis(2)); // the child sleeps
        }
        let message = rx.recv().unwrap();
        assert_eq!(message.len(), number * 7 % max);
        assert!(message.iter().all(|byte| *byte == number.to_le_bytes()[0]));
    }
    child.join().unwrap();
}

fn a_dead_peer_takes_no_loan() {
    for len in [0, 100, 2000] {
        let (mut tx, rx) = tiny();
        loan(&mut tx, b"unread");
        drop(rx);
        let gone = (0..2000).find_map(|_| tx.loan(len).map(Loan::send).err());
        assert!(matches!(gone, Some(Error::Disconnected)), "{gone:?}");
    }
}

/// A peer that dies while it writes in place: what it had sent arrives, what it had not does not.
fn killed_in_mid_loan_nothing_of_it_arrives() {
    for spin in [Spin::Adaptive, Spin::Never] {
        let options = ShmOptions::new().capacity(1).spin(spin);
        let ((tx, mut rx), (mut written, mut news)) =
            (options.channel().unwrap(), options.channel().unwrap());
        let (child, ()) = fork(((), tx), move |mut tx: ShmSender| {
            loan(&mut tx, b"sent");
            let mut loan = tx.loan(1000).unwrap();
            loan.fill(0xff);
            written.send(b"").unwrap();
            loop {
                std::thread::sleep(Duration::from_secs(1));
            }
        })
        .unwrap();
        news.recv().unwrap();
        assert_eq!(rx.recv().unwrap(), b"sent");
        assert!(matches!(rx.try_recv(), Err(Error::WouldBlock)));
        child.kill().unwrap();
        assert!(matches!(rx.recv(), Err(Error::Disconnected)));
        drop(child);
    }
}

fn nothing_is_allocated() {
    let (mut tx, mut rx) = tiny();
    let before = allocations();
    for len in 0..tx.max_len() {
        let mut loan = tx.loan(len).unwrap();
        loan.fill(1);
        loan.send();
        rx.recv().unwrap();
    }
    assert_eq!(allocations(), before);
    drop(Box::new(0_u8));
    assert!(allocations() > before, "they are counted");
}

ipc_core::cases! {
    every_length_is_lent,
    read_where_it_was_written,
    dropped_it_sends_nothing_and_takes_no_room,
    forgotten_it_is_as_if_dropped,
    truncated_it_sends_what_is_left,
    too_large_is_refused,
    a_full_ring_lends_nothing,
    wrapping_at_the_end,
    loans_and_sends_alternate,
    a_sleeper_is_woken,
    a_loan_waits_for_room,
    a_dead_peer_takes_no_loan,
    killed_in_mid_loan_nothing_of_it_arrives,
    nothing_is_allocated,
}
