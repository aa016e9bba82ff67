//! A survivor stands after every instruction of what it does, and its peer acts: it sends or makes
//! room, vanishes, or does the one and then the other. The survivor, which goes on, must notice.

use ipc_core::conformance::Case;
use ipc_shm::{Error, Receiver, Sender, Wait};

use crate::ends::{
    FORMS, Form, full, message, receive, receive_to_the_end, ring, send, send_to_the_end, tiny,
};
use crate::sweep::{Point, Progress, advance, sweep};
use crate::tracee::{Tracee, stay};

/// Bytes in a message, few of which fill the ring.
const LEN: usize = 504;
/// Stops where not all are asked for.
const SOME: usize = 12;

/// What the peer does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Peer {
    Acts,
    Vanishes,
    /// Acts first.
    ActsAndVanishes,
}

use Peer::{Acts, ActsAndVanishes, Vanishes};

/// A survivor's operation, stopped where it says; what its peer does.
type Trial = fn(Peer, Point, Form) -> Progress;

const SURVIVORS: &[(&str, Trial, Peer)] = &[
    ("a_receiver_whose_peer_sends", receiver, Acts),
    ("a_receiver_whose_peer_vanishes", receiver, Vanishes),
    (
        "a_receiver_whose_peer_sends_and_vanishes",
        receiver,
        ActsAndVanishes,
    ),
    ("a_sender_whose_peer_makes_room", sender, Acts),
    ("a_sender_whose_peer_vanishes", sender, Vanishes),
    (
        "a_sender_whose_peer_makes_room_and_vanishes",
        sender,
        ActsAndVanishes,
    ),
];

pub(crate) fn cases() -> impl Iterator<Item = Case> {
    let run = |trial: Trial, peer, name| {
        move || {
            stay();
            for form in FORMS {
                let name = format!("{name}, {form:?}");
                sweep(&name, 0..=0, &[form], SOME, |point, form| {
                    (trial(peer, point, form), 0)
                });
            }
        }
    };
    SURVIVORS
        .iter()
        .map(move |&(name, trial, peer)| Case::new(name, run(trial, peer, name)))
}

fn receiver(peer: Peer, point: Point, form: Form) -> Progress {
    let (tx, rx) = ring(&tiny(), 0);
    let (survivor, mut tx) = Tracee::fork(
        (tx, rx),
        |mut rx| (receive(&mut rx, form), rx),
        |(first, mut rx)| {
            if peer == Vanishes {
                assert!(matches!(first, Err(Error::Disconnected)), "{first:?}");
            } else {
                first.unwrap();
                assert!(*rx.message() == message(0, LEN), "torn");
            }
            if peer != Acts {
                assert!(receive_to_the_end(&mut rx, form).is_empty());
            }
            0
        },
    );
    let progress = advance(&survivor, point, || false);
    if peer != Vanishes {
        tx.send(&message(0, LEN)).unwrap();
    }
    if peer != Acts {
        drop(tx);
    }
    survivor.join();
    progress
}

fn sender(peer: Peer, point: Point, form: Form) -> Progress {
    let ((tx, rx), _) = full(&tiny(), LEN);
    let msg = message(0, LEN);
    let (survivor, mut rx) = Tracee::fork(
        (rx, tx),
        |mut tx| (send(&mut tx, &msg, form), tx),
        |(first, mut tx)| {
            match peer {
                Acts => first.unwrap(),
                Vanishes => assert!(matches!(first, Err(Error::Disconnected)), "{first:?}"),
                ActsAndVanishes => {
                    let told = matches!(first, Ok(()) | Err(Error::Disconnected));
                    assert!(told, "{first:?}");
                }
            }
            if peer != Acts {
                send_to_the_end(&mut tx, &msg, form);
            }
            0
        },
    );
    let progress = advance(&survivor, point, || false);
    if peer != Vanishes {
        while rx.recv_wait(Wait::Never).is_ok() {}
    }
    if peer != Acts {
        drop(rx);
    }
    survivor.join();
    progress
}
