//! Empty, longest, one more, full, deadlines, and limits that change.

mod support;

use std::io::ErrorKind;
use std::thread::sleep;
use std::time::{Duration, Instant};

use ipc_msgqueue::{
    Error, Key, Kind, Queue, QueueOptions, Receiver, Selection, Sender, Spin, Wait, channel, limits,
};
use support::{Storm, become_another_user, own_namespace};

const KIND: Kind = Kind::of::<1>();
const SOON: Duration = Duration::from_millis(30);

fn empty_and_longest_arrive() {
    let (mut tx, mut rx) = channel().unwrap();
    let longest = vec![7; tx.max_len()];
    tx.send(b"").unwrap();
    tx.send(&longest).unwrap();
    assert_eq!(rx.kind(), None);
    assert_eq!(rx.recv().unwrap(), b"");
    assert_eq!(rx.kind(), Some(KIND));
    assert_eq!(rx.recv().unwrap(), longest);
    assert!(matches!(rx.try_recv(), Err(Error::WouldBlock)));
    assert_eq!((rx.message(), rx.kind()), (&[][..], None));
}

fn one_byte_more_is_refused_by_name() {
    let (mut tx, mut rx) = channel().unwrap();
    let msgmax = limits().unwrap().msgmax;
    assert_eq!(tx.max_len(), msgmax);
    let error = tx.send(&vec![0; msgmax + 1]).unwrap_err();
    assert!(
        matches!(error, Error::TooLarge { len, max, limit: "msgmax" } if len == msgmax + 1 && max == msgmax)
    );
    if msgmax == 8192 {
        let text = error.to_string();
        assert!(
            text == "message of 8,193 bytes, msgmax is 8,192: raise kernel.msgmax or use spill",
            "{text}"
        );
    }
    tx.send(b"still usable").unwrap();
    assert_eq!(rx.recv().unwrap(), b"still usable");
}

fn a_small_queue_and_max_len_limit_messages_too() {
    let queue = QueueOptions::new()
        .capacity(100)
        .create(Key::PRIVATE)
        .unwrap();
    let mut tx = queue.sender(KIND).unwrap();
    tx.send(&[0; 100]).unwrap();
    let error = tx.send(&[0; 101]).unwrap_err();
    assert!(matches!(
        error,
        Error::TooLarge {
            max: 100,
            limit: "msg_qbytes",
            ..
        }
    ));
    let text = error.to_string();
    assert!(
        text.ends_with("raise the queue's capacity, or use spill"),
        "{text}"
    );

    let (mut tx, _rx) = QueueOptions::new().max_len(10).channel().unwrap();
    let error = tx.send(&[0; 11]).unwrap_err();
    assert!(matches!(
        error,
        Error::TooLarge {
            max: 10,
            limit: "max_len",
            ..
        }
    ));
    let (tx, _rx) = QueueOptions::new().max_len(usize::MAX).channel().unwrap();
    assert_eq!(tx.max_len(), limits().unwrap().msgmax);
}

/// Who may send need not be allowed to look, and is told of the queue's capacity all the same.
fn a_sender_that_may_not_receive() {
    own_namespace(); // nobody is left who may remove the queue
    let queue = QueueOptions::new()
        .mode(0o622)
        .capacity(100)
        .create(Key::PRIVATE)
        .unwrap();
    become_another_user();
    assert!(queue.stat().is_err());
    let mut tx = queue.sender(KIND).unwrap();
    assert_eq!(tx.max_len(), 100);
    let error = tx.try_send(&[0; 101]).unwrap_err();
    assert!(matches!(error, Error::TooLarge { max: 100, .. }), "{error}");
    tx.try_send(&[0; 100]).unwrap();
}

fn full_by_bytes() {
    let (mut tx, mut rx) = QueueOptions::new().capacity(1000).channel().unwrap();
    tx.send(&[1; 600]).unwrap();
    assert!(matches!(tx.try_send(&[2; 401]), Err(Error::WouldBlock)));
    tx.try_send(&[3; 400]).unwrap();
    assert!(matches!(tx.try_send(&[4]), Err(Error::WouldBlock)));
    assert_eq!(rx.recv().unwrap(), [1; 600]);
    tx.try_send(&[4]).unwrap();
}

fn full_by_count() {
    let (mut tx, mut rx) = QueueOptions::new().capacity(50).channel().unwrap();
    assert_eq!(tx.send_many(&[&[][..]; 60], Wait::Never).unwrap(), 50);
    assert!(matches!(tx.try_send(b""), Err(Error::WouldBlock)));
    assert_eq!(rx.recv_many(60, Wait::Never, &mut |_| ()).unwrap(), 50);
}

/// Both sides of a full and of an empty queue, for every way of polling.
fn deadlines_hold() {
    for spin in [Spin::Adaptive, Spin::Never, Spin::Always] {
        let options = QueueOptions::new().capacity(10).spin(spin);
        let (mut tx, mut rx) = options.channel().unwrap();
        times_out(|| rx.recv_timeout(SOON).map(drop));
        tx.send(&[0; 10]).unwrap();
        times_out(|| tx.send_timeout(&[1], SOON));
        times_out(|| tx.send_timeout(&[1], Duration::ZERO));
        assert_eq!(rx.recv_timeout(SOON).unwrap(), [0; 10]);
        let past = Wait::Until(Instant::now());
        times_out(|| rx.recv_wait(past));
    }
}

fn deadlines_hold_in_a_storm_of_signals() {
    let _storm = Storm::start();
    deadlines_hold();
}

fn times_out(operation: impl FnOnce() -> ipc_msgqueue::Result<()>) {
    assert!(matches!(operation(), Err(Error::TimedOut)));
}

/// What waits without a deadline, to send or to receive, is not ended by signals, and loses nothing
/// to them.
fn signals_end_no_wait() {
    const PAUSE: Duration = Duration::from_micros(500);
    for spin in [Spin::Adaptive, Spin::Never] {
        let options = QueueOptions::new().capacity(100).spin(spin);
        let (child, mut end) = ipc_process::fork(options.pair().unwrap(), |mut end| {
            let _storm = Storm::start();
            for number in 0..200 {
                sleep(PAUSE); // while the other waits for room
                assert_eq!(end.recv().unwrap(), [number; 60]);
            }
            for number in 0..200 {
                sleep(PAUSE); // while the other waits for a message
                end.send(&[number; 60]).unwrap();
            }
        })
        .unwrap();
        let _storm = Storm::start();
        for number in 0..200 {
            end.send(&[number; 60]).unwrap();
        }
        for number in 0..200 {
            assert_eq!(end.recv().unwrap(), [number; 60]);
        }
        child.join().unwrap();
    }
}

fn kinds_start_at_one() {
    for refused in [0, -1, i64::MIN] {
        let error = Kind::new(refused).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(
            error
                .to_string()
                .contains(&format!("message kind {refused}: kinds start at 1"))
        );
    }
    let (mut tx, mut rx) = channel().unwrap();
    let largest = Kind::new(i64::MAX).unwrap();
    tx.send_kind(b"", largest, Wait::Never).unwrap();
    rx.recv_selected(Selection::UpTo(largest), Wait::Never)
        .unwrap();
    assert_eq!(rx.kind(), Some(largest));
}

fn limits_are_those_of_the_kernel() {
    let read = |name: &str| -> usize {
        let text = std::fs::read_to_string(format!("/proc/sys/kernel/{name}")).unwrap();
        text.trim().parse().unwrap()
    };
    let limits = limits().unwrap();
    assert_eq!(limits.msgmax, read("msgmax"));
    assert_eq!(limits.msgmnb, read("msgmnb"));
    assert_eq!(limits.msgmni, read("msgmni"));
}

/// The limits are the administrator's to change while ends are open.
fn limits_that_change_meanwhile() {
    own_namespace();
    let set = |msgmax: usize| {
        std::fs::write("/proc/sys/kernel/msgmax", msgmax.to_string()).unwrap();
    };
    set(1000);
    let queue = Queue::create(Key::PRIVATE).unwrap();
    let mut rx = queue.receiver(Selection::Any).unwrap();
    let mut tx = queue.sender(KIND).unwrap();
    set(500);
    let error = tx.send(&[0; 501]).unwrap_err();
    assert!(
        matches!(
            error,
            Error::TooLarge {
                max: 500,
                limit: "msgmax",
                ..
            }
        ),
        "{error}"
    );
    tx.send(&[0; 500]).unwrap();
    rx.recv().unwrap();

    set(12_000); // more than the receiver has room for
    let longest = [9; 12_000];
    queue.sender(KIND).unwrap().send(&longest).unwrap();
    assert_eq!(rx.recv().unwrap(), longest);
    tx.send(&longest).unwrap(); // and the sender notices when it has need of it
    assert_eq!(rx.recv().unwrap(), longest);
    assert_eq!(tx.max_len(), 12_000);
}

ipc_core::cases! {
    empty_and_longest_arrive,
    one_byte_more_is_refused_by_name,
    a_small_queue_and_max_len_limit_messages_too,
    a_sender_that_may_not_receive,
    full_by_bytes,
    full_by_count,
    deadlines_hold,
    deadlines_hold_in_a_storm_of_signals,
    signals_end_no_wait,
    kinds_start_at_one,
    limits_are_those_of_the_kernel,
    limits_that_change_meanwhile,
}
