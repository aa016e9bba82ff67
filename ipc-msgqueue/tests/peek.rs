//! Looking at messages without taking them.

mod support;

use ipc_msgqueue::{Error, Key, Kind, Queue, Receiver, Selection, Sender, Wait};
use support::own_namespace;

const A: Kind = Kind::of::<1>();
const B: Kind = Kind::of::<2>();

fn peeking_takes_nothing() {
    let queue = Queue::create(Key::PRIVATE).unwrap();
    let mut tx = queue.sender(A).unwrap();
    let mut rx = queue.receiver(Selection::Exactly(A)).unwrap();
    assert!(matches!(rx.peek(0), Err(Error::WouldBlock)));
    tx.send(b"one").unwrap();
    tx.send_kind(b"two", B, Wait::Never).unwrap();
    tx.send(b"").unwrap();
    for _ in 0..3 {
        assert_eq!(rx.peek(0).unwrap(), b"one");
        assert_eq!(rx.peek(1).unwrap(), b"two"); // whatever the selection
        assert_eq!((rx.kind(), rx.message()), (Some(B), &b"two"[..]));
        assert_eq!(rx.peek(2).unwrap(), b"");
        assert_eq!(rx.kind(), Some(A));
        for beyond in [3, usize::MAX] {
            assert!(matches!(rx.peek(beyond), Err(Error::WouldBlock)));
            assert_eq!((rx.kind(), rx.message()), (None, &b""[..]));
        }
    }
    let stat = queue.stat().unwrap();
    assert_eq!((stat.messages, stat.bytes, stat.last_recv), (3, 6, None));
    assert_eq!(rx.recv().unwrap(), b"one");
    assert_eq!(rx.peek(0).unwrap(), b"two");
}

fn a_queue_that_is_gone() {
    let queue = Queue::create(Key::PRIVATE).unwrap();
    let mut rx = queue.receiver(Selection::Any).unwrap();
    queue.remove().unwrap();
    assert!(matches!(rx.peek(0), Err(Error::Removed { .. })));
}

/// The buffer grows for a message over the `msgmax` of its making; one over today's is not shown.
fn limits_that_change_meanwhile() {
    own_namespace();
    let set = |msgmax: usize| {
        std::fs::write("/proc/sys/kernel/msgmax", msgmax.to_string()).unwrap();
    };
    set(1000);
    let queue = Queue::create(Key::PRIVATE).unwrap();
    let mut rx = queue.receiver(Selection::Any).unwrap();
    set(12_000);
    queue.sender(A).unwrap().send(&[9; 12_000]).unwrap();
    assert_eq!(rx.peek(0).unwrap(), [9; 12_000]);
    set(1000);
    let text = rx.peek(0).unwrap_err().to_string();
    assert!(text.contains("kernel.msgmax, which was lowered"), "{text}");
    assert_eq!(rx.recv().unwrap(), [9; 12_000]);
}

ipc_core::cases! {
    peeking_takes_nothing,
    a_queue_that_is_gone,
    limits_that_change_meanwhile,
}
