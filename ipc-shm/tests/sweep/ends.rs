//! Rings that look as if they had been used for long, numbered messages, and what a survivor does.

use std::time::Duration;

use ipc_shm::{
    Error, Ready, Receiver, Result, Select, Sender, ShmOptions, ShmReceiver, ShmSender, Spin, Wait,
};

/// A deadline after which the watchdog has long barked.
pub(crate) const PATIENCE: Duration = Duration::from_secs(100);
/// The header of a message of 16 bytes.
const DECOY: u64 = 1 << 63 | 16;
/// More messages than a sender passes to a dead receiver before it asks for it.
const UNNOTICED: usize = 4096;

/// How a survivor waits.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Form {
    Forever,
    Deadline,
    /// As an event loop does: try, arm, wait for the descriptor, try again.
    Readiness,
}

pub(crate) const FORMS: [Form; 3] = [Form::Forever, Form::Deadline, Form::Readiness];

/// A ring of one page, whose ends sleep at once.
pub(crate) fn tiny() -> ShmOptions {
    ShmOptions::new().capacity(1).spin(Spin::Never)
}

/// A ring in which every word looks like the header of a message that nobody sent. The next record is
/// `start` bytes into it.
pub(crate) fn ring(options: &ShmOptions, start: usize) -> (ShmSender, ShmReceiver) {
    let (mut tx, mut rx) = options.channel().unwrap();
    let eighth = tx.capacity() / 8;
    let decoy = DECOY.to_le_bytes().repeat(eighth / 8 - 1);
    let mut left = tx.capacity() + start;
    while left > 0 {
        let record = left.min(eighth);
        tx.send(&decoy[..record - 8]).unwrap();
        rx.recv().unwrap();
        left -= record;
    }
    (tx, rx)
}

/// Such a ring, with as many messages as there is room for; nobody has asked for more.
pub(crate) fn full(options: &ShmOptions, len: usize) -> ((ShmSender, ShmReceiver), usize) {
    let fill = |tx: &mut ShmSender, most: usize| {
        let mut numbers = 0..most;
        numbers.find(|&number| tx.try_send(&message(number, len)).is_err())
    };
    let room = fill(&mut ring(options, 0).0, usize::MAX).unwrap();
    let mut ends = ring(options, 0);
    fill(&mut ends.0, room);
    (ends, room)
}

/// The message of this number, in which no byte is 0.
pub(crate) fn message(number: usize, len: usize) -> Vec<u8> {
    let byte = |at| u8::try_from((number * 37 + at * 11) % 251).unwrap() + 1;
    (0..len).map(byte).collect()
}

/// Receives one message.
pub(crate) fn receive(rx: &mut ShmReceiver, form: Form) -> Result<()> {
    match form {
        Form::Forever => rx.recv_wait(Wait::Forever),
        Form::Deadline => rx.recv_wait(PATIENCE.into()),
        Form::Readiness => loop {
            match rx.recv_wait(Wait::Never) {
                Err(Error::WouldBlock) => Select::new().wait(&mut [rx], PATIENCE.into())?,
                received => return received,
            };
        },
    }
}

/// Sends one message.
pub(crate) fn send(tx: &mut ShmSender, msg: &[u8], form: Form) -> Result<()> {
    match form {
        Form::Forever => tx.send(msg),
        Form::Deadline => tx.send_timeout(msg, PATIENCE),
        Form::Readiness => loop {
            match tx.try_send(msg) {
                Err(Error::WouldBlock) => Select::new().wait(&mut [tx], PATIENCE.into())?,
                sent => return sent,
            };
        },
    }
}

/// Receives all that is there, to `Disconnected`, which stays.
pub(crate) fn receive_to_the_end(rx: &mut ShmReceiver, form: Form) -> Vec<Vec<u8>> {
    let mut received = Vec::new();
    let end = loop {
        match receive(rx, form) {
            Ok(()) => received.push(rx.message().to_vec()),
            Err(error) => break error,
        }
    };
    assert!(matches!(end, Error::Disconnected), "{end}");
    for form in FORMS {
        let again = receive(rx, form);
        assert!(matches!(again, Err(Error::Disconnected)), "{again:?}");
    }
    received
}

/// Sends to `Disconnected`, which stays and comes in time.
pub(crate) fn send_to_the_end(tx: &mut ShmSender, msg: &[u8], form: Form) {
    let end = (0..UNNOTICED).find_map(|_| send(tx, msg, form).err());
    let end = end.expect("a sender notices that nobody receives");
    assert!(matches!(end, Error::Disconnected), "{end}");
    for form in FORMS {
        let again = send(tx, msg, form);
        assert!(matches!(again, Err(Error::Disconnected)), "{again:?}");
    }
}

/// Fails unless something has been heard: who slept on the descriptor would be awake.
pub(crate) fn wakes(half: &impl Ready) {
    let (fd, interest) = half.fd();
    let awake = ipc_core::poll(fd, interest, PATIENCE.into()).unwrap();
    assert!(awake, "whoever sleeps here sleeps for ever");
}
