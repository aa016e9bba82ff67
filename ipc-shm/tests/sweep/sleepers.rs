//! A survivor that really sleeps, or is about to, while its peer is killed after every instruction of
//! what would have woken it. It hears the end of file only, and must look again.

use ipc_core::conformance::Case;
use ipc_shm::{Error, Receiver, Sender, ShmSender, Wait};

use crate::ends::{
    FORMS, Form, full, message, receive, receive_to_the_end, ring, send, send_to_the_end, tiny,
};
use crate::sweep::{Point, Progress, Stop, advance, sweep};
use crate::tracee::{Tracee, stay};

/// Bytes in a message, few of which fill the ring.
const LEN: usize = 504;

pub(crate) fn cases() -> [Case; 3] {
    [
        Case::new("a_receiver_asleep_whose_peer_is_killed", || {
            each_form("a receiver asleep", 0..=1, 12, receiver_asleep);
        }),
        Case::new("a_receiver_whose_peer_is_killed_before_it_rings", || {
            let published = published();
            each_form("a receiver that no ring wakes", 1..=1, 40, |point, form| {
                let (survivor, tx) = receiver(form);
                let progress = advance(&survivor, point, || false);
                let (victim, ()) = sender(tx);
                advance(&victim, published, || false);
                victim.kill();
                (progress, survivor.join())
            });
        }),
        Case::new("a_sender_asleep_whose_peer_is_killed", || {
            each_form("a sender asleep", 0..=1, 12, sender_asleep);
        }),
    ]
}

fn each_form(
    name: &str,
    seen: std::ops::RangeInclusive<usize>,
    some: usize,
    trial: impl Fn(Point, Form) -> (Progress, usize),
) {
    stay();
    for form in FORMS {
        sweep(
            &format!("{name}, {form:?}"),
            seen.clone(),
            &[form],
            some,
            &trial,
        );
    }
}

fn receiver_asleep(point: Point, form: Form) -> (Progress, usize) {
    let (survivor, tx) = receiver(form);
    assert_eq!(advance(&survivor, Point::END, || false).stop, Stop::Stuck);
    let (victim, ()) = sender(tx);
    let progress = advance(&victim, point, || false);
    victim.kill();
    (progress, survivor.join())
}

fn sender_asleep(point: Point, form: Form) -> (Progress, usize) {
    let ((tx, rx), _) = full(&tiny(), LEN);
    let msg = message(0, LEN);
    let (survivor, rx) = Tracee::fork(
        (rx, tx),
        |mut tx| (send(&mut tx, &msg, form), tx),
        |(first, mut tx)| {
            let told = matches!(first, Ok(()) | Err(Error::Disconnected));
            assert!(told, "{first:?}");
            send_to_the_end(&mut tx, &msg, form);
            first.is_ok().into()
        },
    );
    assert_eq!(advance(&survivor, Point::END, || false).stop, Stop::Stuck);
    let operation = |mut rx: ipc_shm::ShmReceiver| {
        let _ = rx.recv_wait(Wait::Forever);
        rx
    };
    let (victim, ()) = Tracee::fork(((), rx), operation, |_| 0);
    let progress = advance(&victim, point, || false);
    victim.kill();
    (progress, survivor.join())
}

/// A receiver of one message, whole, or none. It ends with how many there were.
fn receiver(form: Form) -> (Tracee, ShmSender) {
    let ends = ring(&tiny(), 0);
    Tracee::fork(
        ends,
        |mut rx| (receive(&mut rx, form), rx),
        |(first, mut rx)| {
            match &first {
                Ok(()) => assert!(*rx.message() == message(0, LEN), "torn"),
                Err(error) => assert!(matches!(error, Error::Disconnected), "{error}"),
            }
            assert!(receive_to_the_end(&mut rx, form).is_empty());
            first.is_ok().into()
        },
    )
}

fn sender(tx: ShmSender) -> (Tracee, ()) {
    let msg = message(0, LEN);
    let operation = |mut tx: ShmSender| {
        let _ = tx.send(&msg);
        tx
    };
    Tracee::fork(((), tx), operation, |_| 0)
}

/// Where a sender has just published its message, and not rung.
fn published() -> Point {
    let sent = |point| {
        let (tx, mut rx) = ring(&tiny(), 0);
        let (victim, ()) = sender(tx);
        let progress = advance(&victim, point, || false);
        victim.kill();
        (progress, rx.recv_wait(Wait::Never).is_ok())
    };
    let (whole, _) = sent(Point::END);
    let (mut not_yet, mut sure) = (0, whole.instructions);
    while sure - not_yet > 1 {
        let middle = usize::midpoint(not_yet, sure);
        let (_, there) = sent(Point::after(middle, &whole));
        *if there { &mut sure } else { &mut not_yet } = middle;
    }
    Point::after(sure, &whole)
}
