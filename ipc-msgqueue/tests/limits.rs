//! Lengths, room, deadlines, keys: everything that has a limit.

mod support;

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use ipc_msgqueue::{
    Error, Key, Kind, Queue, QueueOptions, Receiver, Selection, Sender, Spin, Wait, channel, limits,
};
use support::{Storm, exists, own_namespace, queues};

const KIND: Kind = Kind::of::<1>();
const SOON: Duration = Duration::from_millis(30);

/// A key that nobody else uses at this time.
fn key(number: u32) -> Key {
    let value = number << 24 | std::process::id() & 0x00ff_ffff;
    Key::new(i32::from_ne_bytes(value.to_ne_bytes()))
}

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
            text.starts_with("message of 8,193 bytes, msgmax is 8,192: "),
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
            limit: "msgmnb",
            ..
        }
    ));

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

/// What waits without a deadline is not ended by signals, and loses nothing to them.
fn signals_end_no_wait() {
    for spin in [Spin::Adaptive, Spin::Never] {
        let options = QueueOptions::new().capacity(100).spin(spin);
        let (child, mut end) = ipc_process::fork(options.pair().unwrap(), |mut end| {
            let _storm = Storm::start();
            for _ in 0..200 {
                let number = end.recv().unwrap()[0];
                end.send(&[number; 60]).unwrap();
            }
        })
        .unwrap();
        let _storm = Storm::start();
        for number in 0..200 {
            std::thread::sleep(Duration::from_micros(500));
            end.send(&[number]).unwrap();
            assert_eq!(end.recv().unwrap(), [number; 60]);
        }
        child.join().unwrap();
    }
}

fn a_key_that_nobody_made() {
    let error = Queue::open(key(0x51)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let text = error.to_string();
    let expected = format!("no queue has key {}: create it first", key(0x51));
    assert!(text.ends_with(&expected), "{text}");
    let error = Queue::open(Key::PRIVATE).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

fn a_key_that_is_taken() {
    let queue = Queue::create(key(0x52)).unwrap();
    let error = Queue::create(key(0x52)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    let text = error.to_string();
    let id = queue.id();
    let unused = format!("queue {id} has it, made by uid 0, never used; ");
    let uid = queue.stat().unwrap().creator_uid;
    assert!(
        text.contains(&unused.replace("uid 0", &format!("uid {uid}"))),
        "{text}"
    );
    assert!(
        text.ends_with(&format!("or remove it with `ipcrm -q {id}`")),
        "{text}"
    );

    queue.sender(KIND).unwrap().send(b"x").unwrap();
    let text = Queue::create(key(0x52)).unwrap_err().to_string();
    let used = format!("last used by process {}", std::process::id());
    assert!(text.contains(&used), "{text}");
    assert!(exists(id));
}

fn negative_keys_are_keys() {
    let key = key(0xd1);
    assert!(key.get() < 0);
    let queue = Queue::create(key).unwrap();
    assert_eq!(Queue::open(key).unwrap().id(), queue.id());
    assert_eq!(
        format!("{:?}", queue.sender(KIND).unwrap())
            .matches("0xd1")
            .count(),
        1
    );
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

fn capacity_within_the_limit_is_granted() {
    let queue = Queue::create(Key::PRIVATE).unwrap();
    assert_eq!(
        queue.stat().unwrap().capacity,
        limits().unwrap().msgmnb as u64
    );
    queue.set_capacity(5000).unwrap();
    assert_eq!(queue.stat().unwrap().capacity, 5000);
    assert_eq!(queue.stat().unwrap().mode, 0o600);
}

/// Above it, the kernel may refuse or grant: both are clear.
fn capacity_above_the_limit() {
    let queue = Queue::create(Key::PRIVATE).unwrap();
    let msgmnb = limits().unwrap().msgmnb;
    match queue.set_capacity(msgmnb + 1) {
        Ok(()) => assert_eq!(queue.stat().unwrap().capacity, msgmnb as u64 + 1),
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::PermissionDenied);
            let text = error.to_string();
            let asked = msgmnb + 1;
            let reason = format!("{asked} bytes are more than kernel.msgmnb allows ({msgmnb})");
            assert!(text.contains(&reason), "{text}");
            assert_eq!(queue.stat().unwrap().capacity, msgmnb as u64);
        }
    }
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

fn what_fails_leaves_no_queue() {
    own_namespace();
    assert_eq!(queues(), 0);
    Queue::open(Key::PRIVATE).unwrap_err(); // msgget would make one
    let _ = QueueOptions::new().capacity(1 << 30).create(key(0x53));
    let _ = QueueOptions::new().capacity(1 << 30).pair();
    assert_eq!(queues(), 0);
}

fn a_machine_without_queues_left() {
    own_namespace();
    std::fs::write("/proc/sys/kernel/msgmni", "3").unwrap();
    let pair = ipc_msgqueue::pair().unwrap();
    let error = ipc_msgqueue::pair().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::StorageFull);
    assert!(
        error
            .to_string()
            .contains("all 3 queues of this machine are in use"),
        "{error}"
    );
    assert_eq!(queues(), 2);
    drop(pair);
    assert_eq!(queues(), 0);
}

/// The limits are the administrator's to change while ends are open.
fn limits_that_change_meanwhile() {
    own_namespace();
    let msgmax = "/proc/sys/kernel/msgmax";
    let (mut tx, mut rx) = channel().unwrap();
    let mut old = tx.max_len();
    std::fs::write(msgmax, (old / 2).to_string()).unwrap();
    let error = tx.send(&vec![0; old]).unwrap_err();
    old /= 2;
    assert!(
        matches!(error, Error::TooLarge { max, limit: "msgmax", .. } if max == old),
        "{error}"
    );
    tx.send(&vec![0; old]).unwrap();
    rx.recv().unwrap();

    std::fs::write(msgmax, (old * 20).to_string()).unwrap();
    let queue = QueueOptions::new().create(key(0x54)).unwrap();
    std::fs::write(msgmax, "100").unwrap();
    let mut rx = queue.receiver(Selection::Any).unwrap(); // its buffer is too small
    std::fs::write(msgmax, (old * 20).to_string()).unwrap();
    let mut tx = queue.sender(KIND).unwrap();
    let longest = vec![9; tx.max_len()];
    tx.send(&longest).unwrap();
    assert_eq!(rx.recv().unwrap(), longest);
}

fn stat_tells_what_happened() {
    let queue = QueueOptions::new()
        .mode(0o640)
        .create(Key::PRIVATE)
        .unwrap();
    let stat = queue.stat().unwrap();
    assert_eq!((stat.messages, stat.bytes, stat.mode), (0, 0, 0o640));
    assert_eq!((stat.last_send, stat.last_recv), (None, None));
    assert!(stat.changed.elapsed().unwrap() < Duration::from_secs(60));
    queue
        .sender(KIND)
        .unwrap()
        .send_many(&[&b"ab"[..], b"c"], Wait::Never)
        .unwrap();
    queue.receiver(Selection::Any).unwrap().recv().unwrap();
    let stat = queue.stat().unwrap();
    assert_eq!((stat.messages, stat.bytes), (1, 1));
    for user in [stat.last_send, stat.last_recv] {
        assert_eq!(user.unwrap().pid, std::process::id());
        assert!(user.unwrap().at.elapsed().unwrap() < Duration::from_secs(60));
    }
}

ipc_core::cases! {
    empty_and_longest_arrive,
    one_byte_more_is_refused_by_name,
    a_small_queue_and_max_len_limit_messages_too,
    full_by_bytes,
    full_by_count,
    deadlines_hold,
    deadlines_hold_in_a_storm_of_signals,
    signals_end_no_wait,
    a_key_that_nobody_made,
    a_key_that_is_taken,
    negative_keys_are_keys,
    kinds_start_at_one,
    capacity_within_the_limit_is_granted,
    capacity_above_the_limit,
    limits_are_those_of_the_kernel,
    what_fails_leaves_no_queue,
    a_machine_without_queues_left,
    limits_that_change_meanwhile,
    stat_tells_what_happened,
}
