//! Across processes: who may use a queue, and who removes it.

mod support;

use std::io::ErrorKind;
use std::time::Duration;

use ipc_msgqueue::{
    Error, Inherit, Key, Kind, Queue, QueueDuplex, QueueOptions, QueueReceiver, QueueSender,
    Receiver, Selection, Sender, Spin, Wait, channel, pair,
};
use support::exists;

const KIND: Kind = Kind::of::<5>();

/// A file of this process's own, for `ftok`, removed at the end.
struct File(std::path::PathBuf);

impl File {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("ipc-msgqueue-test-{}", std::process::id()));
        std::fs::write(&path, "").unwrap();
        File(path)
    }

    fn key(&self) -> Key {
        Key::ftok(&self.0, b'q').unwrap()
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn a_forked_child_echoes() {
    for spin in [Spin::Adaptive, Spin::Never] {
        let ends = QueueOptions::new().spin(spin).pair().unwrap();
        let (child, mut end) = ipc_process::fork(ends, |mut end| {
            let (tx, rx) = end.halves();
            for _ in 0..2000 {
                tx.send(rx.recv().unwrap()).unwrap();
            }
        })
        .unwrap();
        for number in 0..2000_u32 {
            let message = vec![number.to_le_bytes()[0]; number as usize % 300];
            end.send(&message).unwrap();
            assert_eq!(end.recv().unwrap(), message);
        }
        child.join().unwrap();
    }
}

fn unrelated_processes_meet_by_key() {
    let file = File::new();
    let queue = Queue::create(file.key()).unwrap();
    let mut rx = queue.receiver(Selection::Exactly(KIND)).unwrap();
    // The child is given nothing but the file's name.
    let (child, ()) = ipc_process::fork(((), ()), |()| {
        let shop = Queue::open(file.key()).unwrap();
        shop.sender(KIND).unwrap().send(b"two cups").unwrap();
    })
    .unwrap();
    assert_eq!(rx.recv().unwrap(), b"two cups");
    child.join().unwrap();
    assert!(exists(queue.id()), "who opens a queue does not remove it");
}

fn the_last_handle_of_the_maker_removes() {
    let queue = Queue::create(Key::PRIVATE).unwrap();
    let id = queue.id();
    let tx = queue.sender(KIND).unwrap();
    let rx = queue.receiver(Selection::Any).unwrap();
    drop(queue);
    drop(rx);
    assert!(exists(id));
    drop(tx);
    assert!(!exists(id));
}

fn a_forked_child_removes_nothing() {
    let queue = Queue::create(Key::PRIVATE).unwrap();
    let handles = (
        queue.sender(KIND).unwrap(),
        queue.receiver(Selection::Any).unwrap(),
    );
    let (child, ()) = ipc_process::fork(((), handles), drop).unwrap();
    child.join().unwrap();
    assert!(exists(queue.id()));
    let mut held = Some(queue);
    let (child, ()) = ipc_process::fork(((), ()), |()| drop(held.take())).unwrap();
    child.join().unwrap();
    let id = held.as_ref().unwrap().id();
    assert!(exists(id));
    drop(held);
    assert!(!exists(id));
}

fn a_queue_that_is_kept_outlives_its_maker() {
    let file = File::new();
    let (child, ()) = ipc_process::fork(((), ()), |()| {
        let queue = Queue::create(file.key()).unwrap().keep();
        queue.sender(KIND).unwrap().send(b"left for you").unwrap();
    })
    .unwrap();
    child.join().unwrap();
    let queue = Queue::open(file.key()).unwrap();
    assert_eq!(
        queue.receiver(Selection::Any).unwrap().recv().unwrap(),
        b"left for you"
    );
    queue.remove().unwrap();
    assert!(matches!(queue.remove(), Err(Error::Removed { .. })));
    assert_eq!(
        Queue::open(file.key()).unwrap_err().kind(),
        ErrorKind::NotFound
    );
}

fn many_senders_and_receivers_share_a_queue() {
    const EACH: u32 = 500;
    let queue = Queue::create(Key::PRIVATE).unwrap();
    let (mut counts_tx, mut counts) = channel().unwrap();
    let mut children = Vec::new();
    for sender in 0..3_u8 {
        let mut tx = queue.sender(KIND).unwrap();
        let forked = ipc_process::fork(((), ()), |()| {
            for number in 0..EACH {
                let [a, b, ..] = number.to_le_bytes();
                tx.send(&[sender, a, b]).unwrap();
            }
        });
        children.push(forked.unwrap().0);
    }
    for _ in 0..2 {
        let mut rx = queue.receiver(Selection::Any).unwrap();
        let forked = ipc_process::fork(((), ()), |()| {
            let (mut count, mut last) = (0_u32, [None; 3]);
            loop {
                let &[sender, a, b] = rx.recv().unwrap() else {
                    return counts_tx.send(&count.to_le_bytes()); // the end
                };
                let number = Some(u16::from_le_bytes([a, b]));
                assert!(number > last[usize::from(sender)], "each sender's in order");
                last[usize::from(sender)] = number;
                count += 1;
            }
        });
        children.push(forked.unwrap().0);
    }
    let receivers = children.split_off(3);
    for child in children {
        child.join().unwrap();
    }
    let mut tx = queue.sender(KIND).unwrap();
    tx.send_many(&[&b""[..]; 2], Wait::Forever).unwrap();
    for child in receivers {
        child.join().unwrap();
    }
    let mut sum = 0;
    counts
        .recv_many(2, Wait::Never, &mut |count| {
            sum += u32::from_le_bytes(count.try_into().unwrap());
        })
        .unwrap();
    assert_eq!(sum, 3 * EACH);
}

fn ends_cross_in_parts() {
    let ((mut a, b), spin) = (pair().unwrap(), Spin::Never);
    let (fds, state) = b.into_parts().unwrap();
    assert!(fds.is_empty());
    let mut b = QueueDuplex::from_parts(fds, &state).unwrap();
    a.send(b"there").unwrap();
    b.send(b"back").unwrap();
    assert_eq!(b.recv().unwrap(), b"there");
    assert_eq!(a.recv().unwrap(), b"back");

    let queue = QueueOptions::new()
        .max_len(77)
        .spin(spin)
        .create(Key::PRIVATE)
        .unwrap();
    let (_, state) = queue.sender(KIND).unwrap().into_parts().unwrap();
    let tx = QueueSender::from_parts(Vec::new(), &state).unwrap();
    assert_eq!((tx.kind(), tx.max_len()), (KIND, 77));
    let selections = [
        Selection::Any,
        Selection::Exactly(KIND),
        Selection::UpTo(KIND),
        Selection::Except(KIND),
    ];
    for selection in selections {
        let rx = queue.receiver(selection).unwrap();
        let (_, state) = rx.into_parts().unwrap();
        let rx = QueueReceiver::from_parts(Vec::new(), &state).unwrap();
        assert_eq!(rx.selection(), selection);
    }
}

fn strange_parts_are_refused() {
    let queue = Queue::create(Key::PRIVATE).unwrap();
    let (_, sender) = queue.sender(KIND).unwrap().into_parts().unwrap();
    let (_, receiver) = queue
        .receiver(Selection::Any)
        .unwrap()
        .into_parts()
        .unwrap();
    for len in 0..sender.len() {
        let error = QueueSender::from_parts(Vec::new(), &sender[..len]).unwrap_err();
        assert!(matches!(error, Error::Malformed { .. }), "{error}");
    }
    for (at, value) in [(4, 0xff), (16, 1), (24, 0), (31, 0x80), (40, 9)] {
        let mut strange = sender.clone();
        strange[at] = value; // the id, the spill directory, the kind twice, the spin
        let error = QueueSender::from_parts(Vec::new(), &strange).unwrap_err();
        assert!(matches!(error, Error::Malformed { .. }), "{at}: {error}");
    }
    let mut strange = receiver.clone();
    strange[24] = 4; // the selection
    assert!(QueueReceiver::from_parts(Vec::new(), &strange).is_err());
    let fd = std::fs::File::open("/dev/null").unwrap().into();
    assert!(QueueReceiver::from_parts(vec![fd], &receiver).is_err());

    queue.remove().unwrap();
    for error in [
        QueueSender::from_parts(Vec::new(), &sender).map(drop),
        QueueReceiver::from_parts(Vec::new(), &receiver).map(drop),
    ] {
        assert!(matches!(error, Err(Error::Removed { .. })));
    }
}

/// What a queue is made of is not a descriptor: none is opened, and none can leak.
fn queues_take_no_descriptors() {
    let open = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let before = open();
    let ends: Vec<_> = (0..10).map(|_| pair().unwrap()).collect();
    ends.fds(&mut |_| panic!("a descriptor"));
    assert_eq!(open(), before);
    let mut end = ends.into_iter().next().unwrap().0;
    assert!(end.recv_timeout(Duration::from_millis(5)).is_err());
    assert_eq!(open(), before);
}

ipc_core::cases! {
    a_forked_child_echoes,
    unrelated_processes_meet_by_key,
    the_last_handle_of_the_maker_removes,
    a_forked_child_removes_nothing,
    a_queue_that_is_kept_outlives_its_maker,
    many_senders_and_receivers_share_a_queue,
    ends_cross_in_parts,
    strange_parts_are_refused,
    queues_take_no_descriptors,
}
