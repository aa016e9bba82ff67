//! The queue as an object: keys, capacity, what it tells, and what is left of it.

#![allow(unsafe_code)] // to become another user

mod support;

use std::io::ErrorKind;
use std::time::Duration;

use ipc_msgqueue::{
    Error, Key, Kind, Queue, QueueOptions, Receiver, Selection, Sender, Wait, limits,
};
use support::{exists, own_namespace, queues};

const KIND: Kind = Kind::of::<1>();

/// A key that nobody else uses at this time.
fn key(number: u32) -> Key {
    let value = number << 24 | std::process::id() & 0x00ff_ffff;
    Key::new(i32::from_ne_bytes(value.to_ne_bytes()))
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

/// Another user's queue may have the key by chance, or on purpose.
fn a_key_that_another_user_took() {
    const UID: u32 = 12345;
    let (free, taken) = (key(0x54), key(0x55));
    let queue = QueueOptions::new().mode(0o666).create(free).unwrap();
    let ours = queue.stat().unwrap();
    assert_eq!((ours.uid, ours.creator_uid), (ours.creator_uid, uid()));
    if uid() != 0 {
        ipc_core::conformance::skip("only root can become another user");
    }
    let (told, ()) = ipc_process::fork(((), ()), |()| {
        // SAFETY: plain numbers go in.
        assert_eq!(unsafe { libc::setuid(UID) }, 0);
        // Root's queues are trusted, and may be sent to without a right to look.
        drop(Queue::open(free).unwrap());
        drop(
            QueueOptions::new()
                .mode(0o622)
                .create(taken)
                .unwrap()
                .keep(),
        );
    })
    .unwrap();
    told.join().unwrap();
    let error = Queue::open(taken).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied);
    let text = error.to_string();
    assert!(text.contains("uid 12345 made it"), "{text}");
    assert!(QueueOptions::new().creator(1).open(taken).is_err());
    let theirs = QueueOptions::new().creator(UID).open(taken).unwrap();
    let (child, ()) = ipc_process::fork(((), ()), |()| {
        // SAFETY: plain numbers go in.
        assert_eq!(unsafe { libc::setuid(UID + 1) }, 0);
        assert!(Queue::open(taken).is_err());
        let queue = QueueOptions::new().creator(UID).open(taken).unwrap();
        assert_eq!(
            queue.stat().unwrap_err().kind(),
            ErrorKind::PermissionDenied
        );
        queue.sender(KIND).unwrap().send(b"x").unwrap();
    })
    .unwrap();
    child.join().unwrap();
    theirs.remove().unwrap();
}

fn uid() -> u32 {
    // SAFETY: always safe.
    unsafe { libc::geteuid() }
}

fn a_key_with_another_mode() {
    let queue = Queue::create(key(0x56)).unwrap();
    let error = QueueOptions::new().mode(0o666).open(key(0x56)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied);
    assert!(error.to_string().contains("it has mode 0600"), "{error}");
    queue.set_mode(0o666).unwrap();
    assert_eq!(queue.stat().unwrap().mode, 0o666);
    QueueOptions::new().mode(0o666).open(key(0x56)).unwrap();
}

fn a_queue_is_given_away() {
    let queue = Queue::create(Key::PRIVATE).unwrap();
    let before = queue.stat().unwrap();
    queue.set_owner(12345, before.gid).unwrap();
    let stat = queue.stat().unwrap();
    assert_eq!((stat.uid, stat.gid), (12345, before.gid));
    assert_eq!((stat.mode, stat.capacity), (before.mode, before.capacity));
    queue.set_capacity(100).unwrap(); // who made it still may
    let error = queue.set_owner(u32::MAX, before.gid).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
    assert!(error.to_string().contains("uid 4294967295"), "{error}");
    queue.remove().unwrap();
    assert!(matches!(queue.set_mode(0o600), Err(Error::Removed { .. })));
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
    a_key_that_nobody_made,
    a_key_that_is_taken,
    a_key_that_another_user_took,
    a_key_with_another_mode,
    a_queue_is_given_away,
    negative_keys_are_keys,
    capacity_within_the_limit_is_granted,
    capacity_above_the_limit,
    what_fails_leaves_no_queue,
    a_machine_without_queues_left,
    stat_tells_what_happened,
}
