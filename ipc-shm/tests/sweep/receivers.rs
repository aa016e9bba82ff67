//! A receiver is killed after every instruction of what it does: its sender is told, and was woken
//! if there is room.

use ipc_core::conformance::Case;
use ipc_shm::{
    Error, Inherit, Ready, Receiver, Select, Sender, ShmOptions, ShmReceiver, Spin, Wait,
};

use crate::ends::{FORMS, Form, message, ring, send_to_the_end, tiny, wakes};
use crate::senders::FAR;
use crate::sweep::{Point, Progress, Stop, advance, sweep};
use crate::tracee::{Tracee, stay};

/// What a receiver does, and what went before.
struct Receiving {
    name: &'static str,
    options: fn() -> ShmOptions,
    /// The bytes of a message.
    len: usize,
    before: Before,
    operation: fn(ShmReceiver) -> Option<ShmReceiver>,
}

/// What is in the ring, behind the message in the receiver's hand.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Before {
    Some(usize),
    /// As many messages as there is room for, and the sender is asleep.
    Full,
}

/// An empty ring, and a receiver that sleeps at once.
const RECEIVING: Receiving = Receiving {
    name: "",
    options: tiny,
    len: 504,
    before: Before::Some(0),
    operation: |mut rx| {
        let _ = rx.recv_wait(Wait::Forever);
        Some(rx)
    },
};

const RECEIVERS: &[Receiving] = &[
    Receiving {
        name: "a_receiver_of_a_message",
        before: Before::Some(2),
        ..RECEIVING
    },
    Receiving {
        name: "a_receiver_that_wakes",
        before: Before::Full,
        ..RECEIVING
    },
    Receiving {
        name: "a_receiver_of_a_batch",
        options: || tiny().capacity(16 << 12),
        len: 4000,
        before: Before::Full,
        operation: |mut rx| {
            // The record in its hand makes too little room: what is in the batch does.
            let _ = rx.recv_many(10, Wait::Forever, &mut |_| ());
            Some(rx)
        },
    },
    Receiving {
        name: "a_receiver_that_finds_nothing",
        operation: |mut rx| {
            let _ = rx.try_recv();
            Some(rx)
        },
        ..RECEIVING
    },
    Receiving {
        name: "a_receiver_that_sleeps",
        ..RECEIVING
    },
    Receiving {
        name: "a_receiver_that_sleeps_with_a_deadline",
        operation: |mut rx| {
            let _ = rx.recv_timeout(FAR);
            Some(rx)
        },
        ..RECEIVING
    },
    Receiving {
        name: "a_receiver_that_waits_for_readiness",
        operation: |mut rx| {
            while let Err(Error::WouldBlock) = rx.recv_wait(Wait::Never) {
                let _ = Select::new().wait(&mut [&mut rx], Wait::Forever);
            }
            Some(rx)
        },
        ..RECEIVING
    },
    Receiving {
        name: "a_receiver_that_polls_then_sleeps",
        options: || tiny().spin(Spin::Adaptive),
        ..RECEIVING
    },
    Receiving {
        name: "a_receiver_from_the_untrusted",
        options: || tiny().untrusted(),
        before: Before::Full,
        ..RECEIVING
    },
    Receiving {
        name: "a_receiver_that_sleeps_beside_the_untrusted",
        options: || tiny().untrusted(),
        ..RECEIVING
    },
    Receiving {
        name: "a_receiver_taken_into_parts",
        before: Before::Full,
        operation: |rx| {
            let (fds, state) = rx.into_parts().ok()?;
            let mut rx = ShmReceiver::from_parts(fds, &state).ok()?;
            let _ = rx.recv_wait(Wait::Forever);
            Some(rx)
        },
        ..RECEIVING
    },
    Receiving {
        name: "a_receiver_that_leaves",
        before: Before::Some(2),
        operation: |rx| {
            drop(rx);
            None
        },
        ..RECEIVING
    },
];

pub(crate) fn cases() -> impl Iterator<Item = Case> {
    RECEIVERS
        .iter()
        .map(|case| Case::new(case.name, || case.sweep()))
}

impl Receiving {
    fn sweep(&self) {
        stay();
        let most = usize::from(self.before == Before::Full);
        sweep(self.name, 0..=most, &FORMS, 12, |point, form| {
            self.trial(point, form)
        });
    }

    /// Says whether the sender that slept has room.
    fn trial(&self, point: Point, form: Form) -> (Progress, usize) {
        let (mut tx, rx) = ring(&(self.options)(), 0);
        let msg = message(0, self.len);
        match self.before {
            Before::Some(count) => (0..count).for_each(|_| tx.send(&msg).unwrap()),
            Before::Full => while tx.try_send(&msg).is_ok() {},
        }
        let operation = self.operation;
        let (victim, mut tx) = Tracee::fork((tx, rx), operation, |_| 0);
        let progress = advance(&victim, point, || tx.try_send(&msg).is_ok());
        victim.kill();
        assert_ne!(progress.stop, Stop::Stuck);
        let mut room = false;
        if self.before == Before::Full {
            wakes(&tx);
            room = tx.arm().unwrap();
            assert!(progress.stop != Stop::Over || room, "it was given back");
        }
        send_to_the_end(&mut tx, &msg, form);
        (progress, room.into())
    }
}
