//! The channel between the pool and one instance of a worker: tasks one way, answers the other, and
//! a page on which the worker says what it is running.

use std::fmt;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use ipc_core::frame::LARGEST_MAX_LEN;
use ipc_core::{Inherit, Interest, Ready, Receiver, Sender, Wait};
use ipc_shm::{ShmOptions, ShmReceiver, ShmSender};
use ipc_socket::{SocketOptions, SocketReceiver, SocketSender};

use crate::sys::{self, Page};
use crate::wire::{self, HEADER, Kind, Lease};
use crate::{Error, Result, Transport};

/// The longest body of a record.
pub(crate) const MAX_LEN: usize = LARGEST_MAX_LEN - HEADER;

/// The pool's end.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) tx: Tx,
    pub(crate) rx: Rx,
    pub(crate) page: Page,
    /// Whether the other end is gone, or what came from it is no record.
    pub(crate) broken: bool,
    /// Whether a part of what was sent is still here, and its rest goes out when there is room.
    pub(crate) tail: bool,
}

/// The worker's end, to be handed over.
pub(crate) struct Ends {
    pub(crate) fds: Vec<OwnedFd>,
    pub(crate) state: Vec<u8>,
}

/// The half that sends records.
pub(crate) enum Tx {
    Shm(ShmSender),
    Unix(SocketSender, Vec<u8>),
}

/// The half that receives them.
pub(crate) enum Rx {
    Shm(ShmReceiver),
    Unix(SocketReceiver),
}

/// Makes a channel whose records carry up to `max_len` bytes each.
pub(crate) fn link(transport: Transport, max_len: usize) -> Result<(Link, Ends)> {
    let file = sys::page_file().map_err(|e| ipc_core::Error::os("memfd_create", "a page", e))?;
    let page = Page::map(&file).map_err(|e| ipc_core::Error::os("mmap", "a page", e))?;
    let len = max_len + HEADER;
    let (tx, rx, (mut fds, state)) = match transport {
        Transport::Shm => {
            let options = ShmOptions::new().capacity(0).max_len(len);
            let (tasks, answers) = (options.channel()?, options.channel()?);
            let parts = (tasks.1, answers.0).into_parts()?;
            (Tx::Shm(tasks.0), Rx::Shm(answers.1), parts)
        }
        Transport::Unix => {
            let (ours, theirs) = SocketOptions::new().max_len(len).pair()?;
            let (tx, rx) = ours.split();
            (Tx::Unix(tx, Vec::new()), Rx::Unix(rx), theirs.into_parts()?)
        }
    };
    fds.push(file);
    let link = Link {
        tx,
        rx,
        page,
        broken: false,
        tail: false,
    };
    Ok((link, Ends { fds, state }))
}

/// Puts a worker's end together.
pub(crate) fn attach(transport: Transport, mut ends: Ends) -> Result<Link> {
    let file = ends.fds.pop().ok_or(Error::Stopped)?;
    let page = Page::map(&file).map_err(|e| ipc_core::Error::os("mmap", "a page", e))?;
    let (tx, rx) = match transport {
        Transport::Shm => {
            let (rx, tx) = Inherit::from_parts(ends.fds, &ends.state)?;
            (Tx::Shm(tx), Rx::Shm(rx))
        }
        Transport::Unix => {
            let end = ipc_socket::SocketDuplex::from_parts(ends.fds, &ends.state)?;
            let (tx, rx) = end.split();
            (Tx::Unix(tx, Vec::new()), Rx::Unix(rx))
        }
    };
    Ok(Link {
        tx,
        rx,
        page,
        broken: false,
        tail: false,
    })
}

impl Tx {
    /// Sends a record if there is room.
    #[inline]
    pub(crate) fn send(
        &mut self,
        kind: Kind,
        lease: Lease,
        body: &[u8],
        wait: Wait,
    ) -> ipc_core::Result<()> {
        match self {
            Tx::Shm(tx) => {
                let mut loan = tx.loan_wait(HEADER + body.len(), wait)?;
                wire::write(&mut loan, kind, lease);
                loan[HEADER..].copy_from_slice(body);
                loan.send();
                Ok(())
            }
            Tx::Unix(tx, record) => {
                record.resize(HEADER, 0);
                wire::write(record, kind, lease);
                record.extend_from_slice(body);
                let sent = tx.send_wait(record, wait);
                record.clear();
                sent
            }
        }
    }

    /// Whether a part of a record is still to go out.
    #[inline]
    pub(crate) fn has_tail(&self) -> bool {
        match self {
            Tx::Shm(_) => false,
            Tx::Unix(tx, _) => tx.pending().is_some(),
        }
    }

    /// Sends what is left of a record.
    pub(crate) fn flush(&mut self, wait: Wait) -> ipc_core::Result<()> {
        match self {
            Tx::Shm(_) => Ok(()),
            Tx::Unix(tx, _) => tx.flush(wait),
        }
    }
}

impl Rx {
    /// Takes the next record if it is there. That a ring's peer is gone is not looked for.
    #[inline]
    pub(crate) fn look(&mut self) -> ipc_core::Result<bool> {
        match self {
            Rx::Shm(rx) if !rx.is_ready() => Ok(false),
            Rx::Shm(rx) => rx.recv_wait(Wait::Never).map(|()| true),
            Rx::Unix(rx) => if_any(rx.recv_wait(Wait::Never)),
        }
    }

    /// Takes the next record if it is there, and what has woken the one who waits for it.
    pub(crate) fn woken(&mut self) -> ipc_core::Result<bool> {
        match self {
            Rx::Shm(rx) => if_any(rx.recv_wait(Wait::Never)),
            Rx::Unix(rx) => if_any(rx.recv_wait(Wait::Never)),
        }
    }

    #[inline]
    pub(crate) fn message(&self) -> &[u8] {
        match self {
            Rx::Shm(rx) => rx.message(),
            Rx::Unix(rx) => rx.message(),
        }
    }

    /// Before a sleep on [`as_fd`](AsFd::as_fd): true if a record is there.
    pub(crate) fn arm(&mut self) -> ipc_core::Result<bool> {
        match self {
            Rx::Shm(rx) => rx.arm(),
            Rx::Unix(rx) => rx.arm(),
        }
    }
}

impl AsFd for Rx {
    fn as_fd(&self) -> BorrowedFd<'_> {
        let (fd, interest) = match self {
            Rx::Shm(rx) => rx.fd(),
            Rx::Unix(rx) => rx.fd(),
        };
        debug_assert_eq!(interest, Interest::Read);
        fd
    }
}

fn if_any(received: ipc_core::Result<()>) -> ipc_core::Result<bool> {
    match received {
        Ok(()) => Ok(true),
        Err(ipc_core::Error::WouldBlock) => Ok(false),
        Err(error) => Err(error),
    }
}

impl fmt::Debug for Tx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Tx::Shm(tx) => tx.fmt(f),
            Tx::Unix(tx, _) => tx.fmt(f),
        }
    }
}

impl fmt::Debug for Rx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Rx::Shm(rx) => rx.fmt(f),
            Rx::Unix(rx) => rx.fmt(f),
        }
    }
}
