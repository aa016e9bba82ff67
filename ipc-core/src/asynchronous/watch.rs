//! Registered descriptors, and the noting of their readiness.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::task::{Context, Poll};

use tokio::io::unix::{AsyncFd, AsyncFdReadyGuard};
use tokio::runtime::Handle;

use crate::{Error, Interest, Result, sys};

/// Which way an operation goes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// For a message.
    Receive,
    /// For anything else.
    In,
    Out,
}

/// A private duplicate of a descriptor, registered with tokio.
pub(super) struct Watch {
    fd: AsyncFd<OwnedFd>,
    interest: Interest,
}

type Guard<'a> = AsyncFdReadyGuard<'a, OwnedFd>;

impl Watch {
    pub(super) fn new((fd, interest): (BorrowedFd<'_>, Interest)) -> Result<Self> {
        let error = |call, source| Error::os(call, "a descriptor for tokio", source);
        Handle::try_current().map_err(|none| error("epoll_ctl", io::Error::other(none)))?;
        let fd = fd
            .try_clone_to_owned()
            .map_err(|source| error("fcntl(F_DUPFD_CLOEXEC)", source))?;
        let fd = sys::register(fd, interest).map_err(|source| error("epoll_ctl", source))?;
        Ok(Watch { fd, interest })
    }

    /// Whether it is ready; otherwise the task is woken when it is.
    fn note(&self, cx: &mut Context<'_>) -> Result<Option<Guard<'_>>> {
        let ready = match self.interest {
            Interest::Read => self.fd.poll_read_ready(cx),
            Interest::Write => self.fd.poll_write_ready(cx),
        };
        match ready {
            Poll::Ready(guard) => guard
                .map(Some)
                .map_err(|source| Error::os("epoll_wait", "a descriptor for tokio", source)),
            Poll::Pending => Ok(None),
        }
    }

    /// The same for an endpoint's other way, which helps and no more: its end, which would be ready
    /// for ever, is not waited for.
    fn note_help(&self, cx: &mut Context<'_>) -> Result<Option<Guard<'_>>> {
        let open = |guard: &Guard<'_>| {
            let ready = guard.ready();
            !ready.is_read_closed() && !ready.is_write_closed()
        };
        Ok(self.note(cx)?.filter(open))
    }
}

/// Forgets readiness that a try has refuted.
pub(super) fn clear(refuted: [Option<Guard<'_>>; 2]) {
    for mut guard in refuted.into_iter().flatten() {
        guard.clear_ready();
    }
}

/// Notes the descriptors that an operation waits on. While the task is not woken by one of them, both are
/// `None`.
pub(super) fn note<'a>(
    fd: &'a Watch,
    room: Option<&'a Watch>,
    way: Way,
    cx: &mut Context<'_>,
) -> Result<[Option<Guard<'a>>; 2]> {
    match (room, way) {
        (None, _) => Ok([fd.note(cx)?, None]),
        (Some(room), Way::Receive | Way::In) => Ok([fd.note(cx)?, room.note_help(cx)?]),
        (Some(room), Way::Out) => Ok([fd.note_help(cx)?, room.note(cx)?]),
    }
}
