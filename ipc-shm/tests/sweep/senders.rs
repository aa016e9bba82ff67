//! A sender is killed after every instruction of what it does: its receiver sees each message whole
//! or not at all.

use ipc_core::conformance::Case;
use ipc_shm::{
    Error, Inherit, Receiver, Select, Sender, ShmOptions, ShmReceiver, ShmSender, Spin, Wait,
};

use crate::ends::{FORMS, Form, full, message, receive_to_the_end, ring, tiny, wakes};
use crate::sweep::{Point, Progress, Stop, advance, sweep};
use crate::tracee::{Tracee, stay};

/// A deadline that is not meant to pass.
pub(crate) const FAR: std::time::Duration = std::time::Duration::from_secs(1000);
/// The messages that an operation may send.
const HELD: usize = 8;

/// What a sender does, and what went before.
struct Sending {
    name: &'static str,
    options: fn() -> ShmOptions,
    /// Where in a ring of one page the first message goes.
    start: usize,
    /// The bytes of a message.
    len: usize,
    before: Before,
    /// How many messages the operation sends.
    count: usize,
    /// Whether they are seen together.
    together: bool,
    operation: fn(ShmSender, &[&[u8]]) -> Option<ShmSender>,
}

/// What is in the ring.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Before {
    Some(usize),
    /// As many messages as there is room for.
    Full,
    /// None, and the receiver is asleep.
    Asleep,
}

/// A short message, for which there is room.
const SENDING: Sending = Sending {
    name: "",
    options: tiny,
    start: 0,
    len: 8,
    before: Before::Some(3),
    count: 1,
    together: true,
    operation: |mut tx, msgs| {
        let _ = tx.send(msgs[0]);
        Some(tx)
    },
};

const SENDERS: &[Sending] = &[
    Sending {
        name: "a_sender_that_does_nothing",
        count: 0,
        operation: |tx, _| Some(tx),
        ..SENDING
    },
    Sending {
        name: "a_sender_of_a_short_message",
        ..SENDING
    },
    Sending {
        name: "a_sender_of_a_long_message",
        len: 1000,
        before: Before::Some(1),
        ..SENDING
    },
    Sending {
        name: "a_sender_of_a_message_across_the_end",
        start: 4096 - 504,
        len: 1000,
        before: Before::Some(0),
        ..SENDING
    },
    Sending {
        name: "a_sender_that_wakes",
        before: Before::Asleep,
        ..SENDING
    },
    Sending {
        name: "a_sender_that_finds_no_room",
        len: 504,
        before: Before::Full,
        count: 0,
        operation: |mut tx, msgs| {
            let _ = tx.try_send(msgs[0]);
            Some(tx)
        },
        ..SENDING
    },
    Sending {
        name: "a_sender_that_sleeps",
        len: 504,
        before: Before::Full,
        ..SENDING
    },
    Sending {
        name: "a_sender_that_sleeps_with_a_deadline",
        len: 504,
        before: Before::Full,
        operation: |mut tx, msgs| {
            let _ = tx.send_timeout(msgs[0], FAR);
            Some(tx)
        },
        ..SENDING
    },
    Sending {
        name: "a_sender_that_waits_for_readiness",
        len: 504,
        before: Before::Full,
        operation: |mut tx, msgs| {
            while let Err(Error::WouldBlock) = tx.try_send(msgs[0]) {
                let _ = Select::new().wait(&mut [&mut tx], Wait::Forever);
            }
            Some(tx)
        },
        ..SENDING
    },
    Sending {
        name: "a_sender_that_polls_then_sleeps",
        options: || tiny().spin(Spin::Adaptive),
        len: 504,
        before: Before::Full,
        ..SENDING
    },
    Sending {
        name: "a_sender_of_a_batch",
        len: 100,
        count: HELD,
        operation: send_many,
        ..SENDING
    },
    Sending {
        name: "a_sender_of_a_batch_that_wakes",
        len: 100,
        before: Before::Asleep,
        count: HELD,
        operation: send_many,
        ..SENDING
    },
    Sending {
        name: "a_sender_of_a_batch_longer_than_the_ring",
        len: 1000,
        before: Before::Some(1),
        count: HELD,
        together: false,
        operation: send_many,
        ..SENDING
    },
    Sending {
        name: "a_sender_of_a_loan",
        len: 1000,
        before: Before::Some(1),
        operation: lend,
        ..SENDING
    },
    Sending {
        name: "a_sender_of_a_loan_that_wakes",
        before: Before::Asleep,
        operation: lend,
        ..SENDING
    },
    Sending {
        name: "a_sender_of_a_loan_that_sleeps",
        len: 504,
        before: Before::Full,
        operation: lend,
        ..SENDING
    },
    Sending {
        name: "a_sender_that_drops_a_loan",
        count: 0,
        operation: |mut tx, msgs| {
            if let Ok(mut loan) = tx.loan(msgs[0].len()) {
                loan.copy_from_slice(msgs[0]);
            }
            Some(tx)
        },
        ..SENDING
    },
    Sending {
        name: "a_sender_to_the_untrusted",
        options: || tiny().untrusted(),
        len: 1000,
        before: Before::Some(1),
        ..SENDING
    },
    Sending {
        name: "a_sender_that_wakes_the_untrusted",
        options: || tiny().untrusted(),
        before: Before::Asleep,
        ..SENDING
    },
    Sending {
        name: "a_sender_that_sleeps_beside_the_untrusted",
        options: || tiny().untrusted(),
        len: 504,
        before: Before::Full,
        ..SENDING
    },
    Sending {
        name: "a_sender_taken_into_parts",
        operation: |tx, msgs| {
            let (fds, state) = tx.into_parts().ok()?;
            let mut tx = ShmSender::from_parts(fds, &state).ok()?;
            let _ = tx.send(msgs[0]);
            Some(tx)
        },
        ..SENDING
    },
    Sending {
        name: "a_sender_that_leaves",
        count: 0,
        operation: |tx, _| {
            drop(tx);
            None
        },
        ..SENDING
    },
];

pub(crate) fn cases() -> impl Iterator<Item = Case> {
    SENDERS
        .iter()
        .map(|case| Case::new(case.name, || case.sweep()))
}

#[expect(clippy::unnecessary_wraps)] // as every operation is
fn lend(mut tx: ShmSender, msgs: &[&[u8]]) -> Option<ShmSender> {
    if let Ok(mut loan) = tx.loan(msgs[0].len()) {
        loan.copy_from_slice(msgs[0]);
        loan.send();
    }
    Some(tx)
}

#[expect(clippy::unnecessary_wraps)]
fn send_many(mut tx: ShmSender, msgs: &[&[u8]]) -> Option<ShmSender> {
    let _ = tx.send_many(msgs, Wait::Forever);
    Some(tx)
}

impl Sending {
    fn sweep(&self) {
        stay();
        sweep(self.name, 0..=self.count, &FORMS, 12, |point, form| {
            self.trial(point, form)
        });
    }

    /// The ring, and how many messages are in it.
    fn ring(&self) -> ((ShmSender, ShmReceiver), usize) {
        if self.before == Before::Full {
            return full(&(self.options)(), self.len);
        }
        let (mut tx, mut rx) = ring(&(self.options)(), self.start);
        let Before::Some(count) = self.before else {
            assert!(matches!(rx.try_recv(), Err(Error::WouldBlock)));
            return ((tx, rx), 0);
        };
        for number in 0..count {
            tx.send(&message(number, self.len)).unwrap();
        }
        ((tx, rx), count)
    }

    fn trial(&self, point: Point, form: Form) -> (Progress, usize) {
        let ((tx, rx), before) = self.ring();
        let msgs: Vec<_> = (before..before + HELD)
            .map(|number| message(number, self.len))
            .collect();
        let msgs: Vec<_> = msgs.iter().map(Vec::as_slice).collect();
        let operation = |tx| (self.operation)(tx, &msgs);
        let (victim, mut rx) = Tracee::fork((rx, tx), operation, |_| 0);
        let mut seen = Vec::new();
        let progress = advance(&victim, point, || make_room(&mut rx, &mut seen));
        victim.kill();
        assert_ne!(progress.stop, Stop::Stuck);
        if self.before == Before::Asleep {
            wakes(&rx);
        }
        seen.extend(receive_to_the_end(&mut rx, form));
        for (number, seen) in seen.iter().enumerate() {
            assert!(
                *seen == message(number, self.len),
                "message {number} is torn"
            );
        }
        let sent = seen.len().checked_sub(before);
        let sent = sent.expect("what was sent before is there");
        assert!(
            !self.together || [0, self.count].contains(&sent),
            "a part of the batch"
        );
        assert!(
            progress.stop != Stop::Over || sent == self.count,
            "it was sent"
        );
        (progress, sent)
    }
}

/// Receives as much as a sender that waits for room may want.
fn make_room(rx: &mut ShmReceiver, seen: &mut Vec<Vec<u8>>) -> bool {
    let before = seen.len();
    while seen.len() < before + 3 && rx.recv_wait(Wait::Never).is_ok() {
        seen.push(rx.message().to_vec());
    }
    seen.len() > before
}
