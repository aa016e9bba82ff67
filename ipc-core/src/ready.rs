//! Waiting for several at once: [`Ready`], and the blocking [`Select`].

use std::os::fd::{AsFd, BorrowedFd};
use std::time::Instant;

use crate::{Result, Wait, sys};

/// What a descriptor is waited on for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interest {
    /// That it can be read.
    Read,
    /// That it can be written.
    Write,
}

/// What can be waited for together with others, by [`Select`] or an event loop.
///
/// The protocol has three steps: try the operation; if it would block, [`arm`](Ready::arm); if that
/// says false, wait on [`fd`](Ready::fd), and try again. The next try takes the arming back. A
/// descriptor that turns ready promises only that another try is worth while.
pub trait Ready {
    /// The descriptor to wait on, and what for. A ring's sender waits for space by *reading* a
    /// doorbell, so the direction is not the half's own.
    fn fd(&self) -> (BorrowedFd<'_>, Interest);

    /// Prepares for sleep, and looks once more: true is ready now, do not sleep.
    fn arm(&mut self) -> Result<bool>;

    /// Whether the last try looked, and took all that was there: unless [`arm`](Ready::arm) says
    /// otherwise, the next is in vain before [`fd`](Ready::fd) turns ready anew. Who heeds it spares a
    /// system call; false is never wrong.
    fn is_drained(&self) -> bool {
        false
    }

    /// A second descriptor, to wait on for writing, while an endpoint has an unsent tail. When it
    /// turns ready, [`arm`](Ready::arm) again.
    fn tail(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    /// When to try again even if nothing turns ready: there is news then all the same, such as that
    /// a peer is late.
    fn deadline(&self) -> Option<Instant> {
        None
    }

    /// The sending half of an endpoint, whose own [`fd`](Ready::fd) is about receiving: what to
    /// wait on for room. Before a sender sleeps, its [`arm`](Ready::arm) may take in what has
    /// arrived at the endpoint.
    fn sending(&mut self) -> Option<&mut dyn Ready> {
        None
    }
}

impl<T: Ready + ?Sized> Ready for &mut T {
    fn fd(&self) -> (BorrowedFd<'_>, Interest) {
        (**self).fd()
    }

    fn arm(&mut self) -> Result<bool> {
        (**self).arm()
    }

    fn is_drained(&self) -> bool {
        (**self).is_drained()
    }

    fn tail(&self) -> Option<BorrowedFd<'_>> {
        (**self).tail()
    }

    fn deadline(&self) -> Option<Instant> {
        (**self).deadline()
    }

    fn sending(&mut self) -> Option<&mut dyn Ready> {
        (**self).sending()
    }
}

/// Waits until `fd` is ready or `wait` is over; true if it is ready. Interruptions do not restart
/// the deadline.  poll(2)
///
/// # Errors
///
/// [`Os`](crate::Error::Os) if the kernel refuses.
pub fn poll(fd: BorrowedFd<'_>, interest: Interest, wait: Wait) -> Result<bool> {
    sys::poll(&mut [sys::pollfd(fd, interest)], wait)
}

/// Waits until one of several is ready, in turn when several are.
///
/// ```no_run
/// # use ipc_core::{Ready, Receiver, Result, Select, Wait};
/// # fn serve(mut orders: impl Receiver + Ready, mut news: impl Receiver + Ready) -> Result<()> {
/// let mut select = Select::new();
/// loop {
///     let received = match select.wait(&mut [&mut orders, &mut news], Wait::Forever)? {
///         0 => orders.try_recv(),
///         _ => news.try_recv(),
///     };
///     match received {
///         Err(ipc_core::Error::WouldBlock) => {} // ready is a hint: half a frame, say
///         message => println!("{:?}", message?),
///     }
/// }
/// # }
/// ```
#[derive(Default)]
pub struct Select {
    /// Where the next search starts, so that a busy member cannot starve the others.
    next: usize,
    /// Kept from call to call, to spare the allocation.
    fds: Vec<libc::pollfd>,
    armed: Vec<usize>,
}

impl Select {
    /// A selector that starts with the first.
    pub fn new() -> Self {
        Select::default()
    }

    /// Waits until one of `members` is ready, and returns its index.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](crate::Error::WouldBlock) or [`TimedOut`](crate::Error::TimedOut) when `wait`
    /// is over, and what a member's [`arm`](Ready::arm) fails with.
    ///
    /// # Panics
    ///
    /// If there are no members: such a wait could never end.
    pub fn wait(&mut self, members: &mut [&mut dyn Ready], wait: Wait) -> Result<usize> {
        assert!(
            !members.is_empty(),
            "select over no members would never end"
        );
        loop {
            self.fds.clear();
            self.armed.clear(); // a member that failed to arm may have left some
            let (mut limit, mut now) = (wait, None);
            let mut is_past = |at| at <= *now.get_or_insert_with(Instant::now);
            for member in members.iter_mut() {
                let ready = member.arm()?;
                let deadline = member.deadline();
                let ready = ready || deadline.is_some_and(&mut is_past);
                limit = limit.or_until(deadline);
                let (fd, interest) = member.fd();
                self.fds.push(sys::pollfd(fd, interest));
                if ready {
                    limit = Wait::Never;
                    self.armed.push(self.fds.len() - 1);
                }
            }
            let tails = members.iter().filter_map(Ready::tail);
            self.fds
                .extend(tails.map(|tail| sys::pollfd(tail, Interest::Write)));
            // Those that wait in the kernel take their turn among those that are ready here.
            let polled = sys::poll(&mut self.fds, limit)?;
            let count = members.len();
            let ready = |&at: &usize| self.armed.contains(&at) || self.fds[at].revents != 0;
            let found = (self.next..self.next + count)
                .map(|at| at % count)
                .find(ready);
            match found {
                Some(at) => {
                    self.next = (at + 1) % count;
                    return Ok(at);
                }
                None if polled => {} // a tail moved on
                None if wait.is_over() => return Err(wait.error()),
                None => {} // a member is late
            }
        }
    }
}

impl std::fmt::Debug for Select {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Select")
            .field("next", &self.next)
            .finish_non_exhaustive()
    }
}

/// The pipes of the standard library to a child's standard streams.
macro_rules! ready_pipe {
    ($pipe:ident, $interest:ident) => {
        impl Ready for std::process::$pipe {
            fn fd(&self) -> (BorrowedFd<'_>, Interest) {
                (self.as_fd(), Interest::$interest)
            }

            fn arm(&mut self) -> Result<bool> {
                Ok(false)
            }
        }
    };
}

ready_pipe!(ChildStdin, Write);
ready_pipe!(ChildStdout, Read);
ready_pipe!(ChildStderr, Read);
