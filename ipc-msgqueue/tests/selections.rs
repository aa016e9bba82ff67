//! Which message a receiver takes, and in what order.

use ipc_msgqueue::{Error, Key, Kind, Queue, QueueReceiver, Receiver, Selection, Sender, Wait};

const A: Kind = Kind::of::<1>();
const B: Kind = Kind::of::<2>();
const C: Kind = Kind::of::<3>();

/// A queue with `c1 b1 a1 b2 c2 a2`, and a receiver.
fn six() -> (Queue, QueueReceiver) {
    let queue = Queue::create(Key::PRIVATE).unwrap();
    let mut tx = queue.sender(A).unwrap();
    for (kind, text) in [
        (C, "c1"),
        (B, "b1"),
        (A, "a1"),
        (B, "b2"),
        (C, "c2"),
        (A, "a2"),
    ] {
        tx.send_kind(text.as_bytes(), kind, Wait::Never).unwrap();
    }
    let rx = queue.receiver(Selection::Any).unwrap();
    (queue, rx)
}

/// What a receiver takes until nothing is left for it.
fn all(rx: &mut QueueReceiver, selection: Selection) -> Vec<String> {
    let mut taken = Vec::new();
    loop {
        match rx.recv_selected(selection, Wait::Never) {
            Ok(text) => taken.push(String::from_utf8(text.to_vec()).unwrap()),
            Err(error) => {
                assert!(matches!(error, Error::WouldBlock), "{error}");
                return taken;
            }
        }
    }
}

fn any_takes_the_oldest() {
    let (_queue, mut rx) = six();
    assert_eq!(
        all(&mut rx, Selection::Any),
        ["c1", "b1", "a1", "b2", "c2", "a2"]
    );
}

fn exactly_leaves_the_others() {
    let (_queue, mut rx) = six();
    assert_eq!(all(&mut rx, Selection::Exactly(B)), ["b1", "b2"]);
    assert_eq!(all(&mut rx, Selection::Any), ["c1", "a1", "c2", "a2"]);
}

fn up_to_takes_the_lowest_first() {
    let (_queue, mut rx) = six();
    assert_eq!(all(&mut rx, Selection::UpTo(B)), ["a1", "a2", "b1", "b2"]);
    assert_eq!(all(&mut rx, Selection::Any), ["c1", "c2"]);
}

fn except_takes_the_others() {
    let (_queue, mut rx) = six();
    assert_eq!(all(&mut rx, Selection::Except(B)), ["c1", "a1", "c2", "a2"]);
    assert_eq!(all(&mut rx, Selection::Any), ["b1", "b2"]);
}

fn a_receiver_has_a_selection_of_its_own() {
    let (queue, _) = six();
    let mut rx = queue.receiver(Selection::Exactly(C)).unwrap();
    assert_eq!(rx.selection(), Selection::Exactly(C));
    assert_eq!(rx.recv().unwrap(), b"c1");
    assert_eq!(
        rx.recv_selected(Selection::Exactly(A), Wait::Never)
            .unwrap(),
        b"a1"
    );
    assert_eq!(rx.kind(), Some(A));
    assert_eq!(rx.recv().unwrap(), b"c2"); // its own again
    assert_eq!(rx.kind(), Some(C));
    assert!(matches!(rx.try_recv(), Err(Error::WouldBlock)));
    assert_eq!(rx.kind(), None);
}

/// The textbook's pitfall: on one queue, an end takes back what it sent. With `pair` it cannot.
fn no_end_of_a_pair_takes_back_its_own() {
    let (mut a, mut b) = ipc_msgqueue::pair().unwrap();
    a.send(b"from a").unwrap();
    assert!(matches!(a.try_recv(), Err(Error::WouldBlock)));
    b.send(b"from b").unwrap();
    assert_eq!(a.recv().unwrap(), b"from b");
    assert_eq!(b.recv().unwrap(), b"from a");
}

/// Nor does a full direction stop the other.
fn the_directions_of_a_pair_have_room_of_their_own() {
    let (mut a, mut b) = ipc_msgqueue::pair().unwrap();
    while a.try_send(&[0; 1000]).is_ok() {}
    b.try_send(&[1; 1000]).unwrap();
    assert_eq!(a.recv().unwrap(), [1; 1000]);
}

ipc_core::cases! {
    any_takes_the_oldest,
    exactly_leaves_the_others,
    up_to_takes_the_lowest_first,
    except_takes_the_others,
    a_receiver_has_a_selection_of_its_own,
    no_end_of_a_pair_takes_back_its_own,
    the_directions_of_a_pair_have_room_of_their_own,
}
