//! Messages that are too long for the queue, in files beside it.

mod support;

use std::fs;

use ipc_msgqueue::{
    Error, Inherit, Key, Kind, Queue, QueueDuplex, QueueReceiver, Receiver, Selection, Sender,
    Wait, limits,
};
use support::own_namespace;
use support::spill::{Dir, KIND, LONG, message, plain};

fn long_and_short_arrive_in_order() {
    let dir = Dir::new();
    let (mut tx, mut rx) = dir.options().channel().unwrap();
    let msgmax = limits().unwrap().msgmax;
    assert_eq!(tx.max_len(), 16 << 20);
    tx.send(&message(LONG)).unwrap();
    tx.send(b"short").unwrap();
    tx.send(b"").unwrap();
    tx.send(&message(msgmax + 1)).unwrap();
    assert_eq!(dir.files().len(), 2);
    assert_eq!(rx.recv().unwrap(), message(LONG));
    assert_eq!(rx.kind(), Some(Kind::default()));
    assert_eq!(rx.recv().unwrap(), b"short");
    assert_eq!(rx.recv().unwrap(), b"");
    assert_eq!(rx.recv().unwrap(), message(msgmax + 1));
    assert_eq!(dir.files().len(), 0, "the receiver removes");
    assert!(rx.try_recv().is_err());
    assert_eq!(rx.message(), b"");
    tx.send(&message(msgmax)).unwrap();
    assert_eq!(dir.files().len(), 0, "what fits the queue lies in no file");
    assert_eq!(rx.recv().unwrap(), message(msgmax));

    tx.send(&message(16 << 20)).unwrap();
    assert_eq!(rx.recv().unwrap(), message(16 << 20));
    let error = tx.send(&vec![0; (16 << 20) + 1]).unwrap_err();
    assert!(
        matches!(
            error,
            Error::TooLarge {
                limit: "max_len",
                ..
            }
        ),
        "{error}"
    );
    assert_eq!(dir.files().len(), 0);
}

/// Whoever has no `spill` reads and sends short messages as ever.
fn short_messages_are_as_without_it() {
    let dir = Dir::new();
    let queue = dir.options().create(Key::PRIVATE).unwrap();
    let mut tx = queue.sender(KIND).unwrap();
    let mut rx = queue.receiver(Selection::Any).unwrap();
    let (_, state) = plain(queue.id()).into_parts().unwrap();
    let mut plain = QueueReceiver::from_parts(Vec::new(), &state).unwrap();
    for len in [0, 1, 39, 40, 41, 8000] {
        tx.send(&message(len)).unwrap();
        assert_eq!(plain.recv().unwrap(), message(len));
        tx.send(&message(len)).unwrap();
        assert_eq!(rx.recv().unwrap(), message(len));
    }
    // What is said to be a token, and is none of ours, travels as a message does.
    tx.send(&message(LONG)).unwrap();
    let token = plain.recv().unwrap().to_vec();
    assert_eq!(token.len(), 40);
    tx.send(&token).unwrap();
    assert_eq!(dir.files().len(), 2);
    assert_eq!(rx.recv().unwrap(), token);
}

fn peeking_leaves_the_file() {
    let dir = Dir::new();
    let (mut tx, mut rx) = dir.options().channel().unwrap();
    tx.send(&message(LONG)).unwrap();
    for _ in 0..2 {
        assert_eq!(rx.peek(0).unwrap(), message(LONG));
    }
    assert_eq!(rx.recv().unwrap(), message(LONG));
    assert_eq!(dir.files().len(), 0);
}

fn ends_cross_with_their_directory() {
    let dir = Dir::new();
    let (mut a, b) = dir.options().pair().unwrap();
    let (fds, state) = b.into_parts().unwrap();
    assert!(fds.is_empty());
    let mut b = QueueDuplex::from_parts(fds, &state).unwrap();
    a.send(&message(LONG)).unwrap();
    let received = b.recv().unwrap().to_vec();
    b.send(&received).unwrap();
    assert_eq!(a.recv().unwrap(), message(LONG));
    let (child, mut a) = ipc_process::fork((a, b), |mut b| {
        let received = b.recv().unwrap().to_vec();
        b.send(&received).unwrap();
    })
    .unwrap();
    a.send(&message(LONG)).unwrap();
    assert_eq!(a.recv().unwrap(), message(LONG));
    child.join().unwrap();
    drop(a);
    assert_eq!(dir.files().len(), 0);
}

/// A token that claims much costs nothing.
fn a_receiver_has_a_limit_of_its_own() {
    let dir = Dir::new();
    let queue = dir.options().create(Key::PRIVATE).unwrap();
    let (_, state) = queue
        .receiver(Selection::Any)
        .unwrap()
        .into_parts()
        .unwrap();
    let mut state = state;
    let at = state.len() - 16;
    state[at..at + 8].copy_from_slice(&50_000_u64.to_le_bytes());
    let mut strict = QueueReceiver::from_parts(Vec::new(), &state).unwrap();
    let mut tx = queue.sender(KIND).unwrap();
    tx.send(&message(LONG)).unwrap();
    let error = strict.recv().unwrap_err();
    assert!(
        matches!(
            error,
            Error::TooLarge {
                len: LONG,
                max: 50_000,
                limit: "max_len"
            }
        ),
        "{error}"
    );
    assert_eq!(dir.files().len(), 0);

    let mut rx = queue.receiver(Selection::Any).unwrap();
    tx.send(&message(LONG)).unwrap();
    let mut token = plain(queue.id()).recv().unwrap().to_vec();
    token[32..].copy_from_slice(&u64::MAX.to_le_bytes());
    plain_sender(&queue, &token);
    assert!(matches!(rx.recv(), Err(Error::TooLarge { .. })));
}

/// Sends bytes as they are, a token too.
fn plain_sender(queue: &Queue, bytes: &[u8]) {
    let mut state = Vec::new();
    let fields = [queue.id().unsigned_abs().into(), 0, 0, 3, u64::MAX, 0];
    for field in fields {
        state.extend_from_slice(&u64::to_le_bytes(field));
    }
    let mut tx = ipc_msgqueue::QueueSender::from_parts(Vec::new(), &state).unwrap();
    tx.send(bytes).unwrap();
}

/// A queue too small for a token says what is the matter.
fn too_small_for_a_token() {
    let dir = Dir::new();
    let (mut tx, mut rx) = dir.options().capacity(39).channel().unwrap();
    assert_eq!(tx.max_len(), 39);
    let error = tx.send(&[0; 40]).unwrap_err();
    assert!(
        matches!(
            error,
            Error::TooLarge {
                max: 39,
                limit: "msg_qbytes",
                ..
            }
        ),
        "{error}"
    );
    tx.send(&[1; 39]).unwrap();
    assert_eq!(rx.recv().unwrap(), [1; 39]);
}

/// `max_len` holds below the kernel's limits as well.
fn max_len_is_the_longest() {
    let dir = Dir::new();
    let (mut tx, mut rx) = dir.options().max_len(1000).channel().unwrap();
    assert!(matches!(
        tx.send(&[0; 1001]),
        Err(Error::TooLarge {
            max: 1000,
            limit: "max_len",
            ..
        })
    ));
    tx.send_wait(&[5; 1000], Wait::Never).unwrap();
    assert_eq!(rx.recv().unwrap(), [5; 1000]);
}

/// A limit that is lowered meanwhile makes spilling set in earlier.
fn limits_that_change_meanwhile() {
    own_namespace();
    let dir = Dir::new();
    let (mut tx, mut rx) = dir.options().channel().unwrap();
    fs::write("/proc/sys/kernel/msgmax", "500").unwrap();
    tx.send(&message(501)).unwrap();
    assert_eq!(dir.files().len(), 1);
    assert_eq!(rx.recv().unwrap(), message(501));
}

ipc_core::cases! {
    long_and_short_arrive_in_order,
    short_messages_are_as_without_it,
    peeking_leaves_the_file,
    ends_cross_with_their_directory,
    a_receiver_has_a_limit_of_its_own,
    too_small_for_a_token,
    max_len_is_the_longest,
    limits_that_change_meanwhile,
}
