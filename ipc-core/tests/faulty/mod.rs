//! The reference channel with one fault at a time: what the suite must not let pass.

pub(crate) mod careless;
pub(crate) mod hasty;

use std::fs::File;
use std::{fmt, mem};

use ipc_core::conformance::reference::{self, ReferenceReceiver, ReferenceSender};
use ipc_core::{Duplex, Error, Receiver, Result, Sender, Wait};
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::poll::{PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    AcceptsOversize,
    Allocates,
    BlocksSigpipe,
    ChecksTheClockFirst,
    CrossesItself,
    CutsLarge,
    DoublesOne,
    DropWaits,
    EndsOnASignal,
    FailsTheWholeBatch,
    ForgetsDisconnected,
    HoldsTheTail,
    IgnoresAGonePeer,
    InheritsOverExec,
    KeepsTheOldMessage,
    LeaksADescriptor,
    LosesOne,
    MiscountsBatches,
    NamesNoReason,
    Nothing,
    PadsEmpty,
    PrintsNothing,
    ReceivesNothing,
    SaysWouldBlock,
    SwapsTwo,
    TakesOneForNone,
    TakesWhatItRefuses,
    TimesOutEarly,
}

pub(crate) struct FaultySender {
    inner: ReferenceSender,
    fault: Fault,
    /// Messages sent.
    count: usize,
    /// A message that is kept back.
    held: Option<Vec<u8>>,
    _descriptor: Option<File>,
}

pub(crate) struct FaultyReceiver {
    inner: ReferenceReceiver,
    fault: Fault,
    /// The message, where it is not the inner one's.
    message: Option<Vec<u8>>,
    held: Option<Vec<u8>>,
}

pub(crate) type FaultyEnd = Duplex<FaultySender, FaultyReceiver>;

pub(crate) fn channel(fault: Fault) -> (FaultySender, FaultyReceiver) {
    let (sender, receiver) = reference::channel();
    let sender = FaultySender {
        inner: sender,
        fault,
        count: 0,
        held: None,
        _descriptor: descriptor(fault),
    };
    let receiver = FaultyReceiver {
        inner: receiver,
        fault,
        message: None,
        held: None,
    };
    (sender, receiver)
}

pub(crate) fn pair(fault: Fault) -> (FaultyEnd, FaultyEnd) {
    let ((tx1, rx1), (tx2, rx2)) = (channel(fault), channel(fault));
    if fault == Fault::CrossesItself {
        return (Duplex::new(tx1, rx1), Duplex::new(tx2, rx2));
    }
    (Duplex::new(tx1, rx2), Duplex::new(tx2, rx1))
}

fn descriptor(fault: Fault) -> Option<File> {
    let file = File::open("/dev/null").unwrap();
    match fault {
        Fault::LeaksADescriptor => mem::forget(file),
        Fault::InheritsOverExec => {
            fcntl(&file, FcntlArg::F_SETFD(FdFlag::empty())).unwrap();
            return Some(file);
        }
        _ => {}
    }
    None
}

const LARGE: usize = 64 << 10;

impl Sender for FaultySender {
    fn send_wait(&mut self, msg: &[u8], wait: Wait) -> Result<()> {
        self.count += 1;
        match self.fault {
            Fault::AcceptsOversize if msg.len() > self.max_len() => return Ok(()),
            Fault::BlocksSigpipe => {
                let mut set = SigSet::empty();
                set.add(Signal::SIGPIPE);
                set.thread_block().unwrap();
            }
            Fault::CutsLarge if msg.len() > LARGE => {
                return self.inner.send_wait(&msg[..LARGE], wait);
            }
            Fault::DoublesOne if self.count == 300 => self.inner.send_wait(msg, wait)?,
            Fault::EndsOnASignal => {
                return interrupted(wait, |wait| self.inner.send_wait(msg, wait));
            }
            Fault::HoldsTheTail if msg.len() > LARGE => {
                self.held = Some(msg.to_vec());
                return Ok(());
            }
            Fault::LosesOne if self.count == 300 => return Ok(()),
            Fault::PadsEmpty if msg.is_empty() => return self.inner.send_wait(b"\0", wait),
            Fault::TimesOutEarly if wait != Wait::Forever => {
                return self
                    .inner
                    .send_wait(msg, Wait::Never)
                    .map_err(|_| wait.error());
            }
            _ => {}
        }
        match self.inner.send_wait(msg, wait) {
            Err(Error::WouldBlock | Error::TimedOut) if self.fault == Fault::TakesWhatItRefuses => {
                self.held = Some(msg.to_vec());
                Err(wait.error())
            }
            Err(Error::Disconnected) if self.fault == Fault::IgnoresAGonePeer => Ok(()),
            Err(Error::Disconnected) if self.fault == Fault::NamesNoReason => Err(no_reason()),
            sent => sent,
        }
    }

    fn max_len(&self) -> usize {
        self.inner.max_len()
    }

    fn send_many(&mut self, msgs: &[&[u8]], wait: Wait) -> Result<usize> {
        let mut sent = 0;
        for msg in msgs {
            match self.send_wait(msg, wait) {
                Ok(()) => sent += 1,
                Err(error) if sent == 0 || self.fault == Fault::FailsTheWholeBatch => {
                    return Err(error);
                }
                Err(_) => break,
            }
        }
        let more = usize::from(self.fault == Fault::MiscountsBatches);
        Ok(sent + more)
    }

    fn flush(&mut self, wait: Wait) -> Result<()> {
        match self.held.take() {
            Some(held) => self.inner.send_wait(&held, wait),
            None => Ok(()),
        }
    }
}

impl Drop for FaultySender {
    fn drop(&mut self) {
        if self.fault == Fault::DropWaits {
            let _ = self.inner.send(&vec![0; LARGE]);
        }
    }
}

impl Receiver for FaultyReceiver {
    fn recv_wait(&mut self, wait: Wait) -> Result<()> {
        self.message = match self.fault {
            Fault::KeepsTheOldMessage => Some(Self::message(self).to_vec()),
            _ => None,
        };
        match self.fault {
            Fault::ChecksTheClockFirst if wait.is_over() => return Err(wait.error()),
            Fault::EndsOnASignal => {
                return interrupted(wait, |wait| self.inner.recv_wait(wait));
            }
            Fault::SaysWouldBlock if wait == Wait::Never => return Err(Error::WouldBlock),
            Fault::TimesOutEarly if wait != Wait::Forever => {
                return self.inner.recv_wait(Wait::Never).map_err(|_| wait.error());
            }
            _ => {}
        }
        if let Some(held) = self.held.take() {
            self.message = Some(held);
            return Ok(());
        }
        match self.inner.recv_wait(wait) {
            Ok(()) => self.received(),
            Err(Error::WouldBlock) if self.fault == Fault::ReceivesNothing => {}
            Err(Error::Disconnected) if self.fault == Fault::ForgetsDisconnected => {
                self.fault = Fault::SaysWouldBlock;
                return Err(Error::Disconnected);
            }
            Err(Error::Disconnected) if self.fault == Fault::NamesNoReason => {
                return Err(no_reason());
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn message(&self) -> &[u8] {
        match &self.message {
            Some(message) => message,
            None => self.inner.message(),
        }
    }

    fn recv_many(&mut self, max: usize, wait: Wait, each: &mut dyn FnMut(&[u8])) -> Result<usize> {
        if self.fault == Fault::TakesOneForNone && max == 0 {
            return Ok(match self.recv_wait(Wait::Never) {
                Ok(()) => {
                    each(Self::message(self));
                    1
                }
                Err(_) => 0,
            });
        }
        let mut received = 0;
        while received < max {
            match self.recv_wait(if received == 0 { wait } else { Wait::Never }) {
                Err(error) if received == 0 => return Err(error),
                Err(_) => break,
                Ok(()) => each(Self::message(self)),
            }
            received += 1;
        }
        Ok(received)
    }
}

/// Waits once, however the wait ends.
fn interrupted(wait: Wait, mut call: impl FnMut(Wait) -> Result<()>) -> Result<()> {
    let Wait::Until(_) = wait else {
        return call(wait);
    };
    call(Wait::Never).or_else(|_| {
        let left = PollTimeout::try_from(wait.remaining().unwrap_or_default()).unwrap();
        let _ = poll(&mut [], left);
        call(Wait::Never).map_err(|_| wait.error())
    })
}

fn no_reason() -> Error {
    Error::os("read", "faulty channel", std::io::Error::other("no reason"))
}

impl FaultyReceiver {
    fn received(&mut self) {
        match self.fault {
            Fault::Allocates => self.message = Some(self.inner.message().to_vec()),
            Fault::KeepsTheOldMessage => self.message = None,
            Fault::SwapsTwo => {
                let first = self.inner.message().to_vec();
                if self.inner.try_recv().is_ok() {
                    self.message = Some(self.inner.message().to_vec());
                    self.held = Some(first);
                } else {
                    self.message = Some(first);
                }
            }
            _ => {}
        }
    }
}

impl fmt::Debug for FaultySender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.fault {
            Fault::PrintsNothing => Ok(()),
            fault => write!(f, "FaultySender({fault:?})"),
        }
    }
}

impl fmt::Debug for FaultyReceiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FaultyReceiver({:?})", self.fault)
    }
}
