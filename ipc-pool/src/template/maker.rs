//! The pool's side of a template: it gives orders.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::process::{self, Termination};

use ipc_core::inherit::Reader;
use ipc_core::{Inherit, Receiver, Wait};
use ipc_process::{Child, ProcessOptions};
use ipc_socket::SocketDuplex;

use super::{Order, TEMPLATE, Template, Terms, WORKER, channel, serve};
use crate::duty::Duty;
use crate::link::Ends;
use crate::{Error, Result, sys};

/// The pool's side of a template.
#[derive(Debug)]
pub(crate) struct Maker {
    child: Child,
    orders: SocketDuplex,
    /// How many orders it was given: an answer has the number of its own.
    given: u64,
}

/// Makes the template from an entry of the program.
pub(crate) type Spawn = Box<dyn FnOnce() -> Result<Maker> + Send>;

/// Executes the program anew in `entry`, by the thread that calls.
pub(crate) fn spawn<R, F>(entry: F) -> Spawn
where
    F: Fn(Template) -> R + Copy + Send + 'static,
    R: Termination + 'static,
{
    Box::new(move || {
        let (ours, orders) = channel()?;
        let options = ProcessOptions::new().parent_death(libc::SIGKILL);
        let (child, orders) = options.spawn((ours, Template { orders }), entry)?;
        Ok(Maker::new(child, orders))
    })
}

impl Maker {
    fn new(child: Child, orders: SocketDuplex) -> Self {
        Maker {
            child,
            orders,
            given: 0,
        }
    }

    /// Forks it, which a process with one thread can.
    pub(crate) fn fork(duty: Duty, terms: &Terms) -> Result<Self> {
        let manager = process::id();
        let options = ProcessOptions::new().parent_death(libc::SIGKILL);
        let (child, orders) = options.fork(channel()?, |orders| {
            serve(orders, duty, terms, manager);
        })?;
        Ok(Maker::new(child, orders))
    }

    /// Has a worker made, which gets `ends`.
    ///
    /// # Errors
    ///
    /// [`Channel`](crate::Error::Channel) if the template is dead, or the kernel refuses.
    pub(crate) fn worker(
        &mut self,
        worker: usize,
        max_tasks: u64,
        ends: &Ends,
        wait: Wait,
    ) -> Result<Child> {
        self.order(WORKER, worker, max_tasks, ends, wait)
    }

    /// Has another template made.
    ///
    /// # Errors
    ///
    /// As [`worker`](Self::worker).
    pub(crate) fn template(&mut self, wait: Wait) -> Result<Self> {
        let (orders, theirs) = channel()?;
        let (fds, state) = theirs.into_parts()?;
        let child = self.order(TEMPLATE, 0, 0, &Ends { fds, state }, wait)?;
        Ok(Maker::new(child, orders))
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.pid()
    }

    /// Has it open the log file anew.
    pub(crate) fn hang_up(&self) {
        let _ = self.child.signal(libc::SIGHUP);
    }

    pub(crate) fn is_dead(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Whether this error means that nothing can be made by it any more. One that does not answer is ended.
    pub(crate) fn is_lost(&mut self, error: &Error) -> bool {
        let lost = match error {
            Error::TimedOut => true,
            Error::Channel(error) => {
                matches!(
                    error,
                    ipc_core::Error::Disconnected | ipc_core::Error::Malformed { .. }
                )
            }
            _ => false,
        };
        if lost {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        lost
    }

    /// Sends an order, and takes its answer: a new child of this process.
    fn order(
        &mut self,
        kind: u64,
        worker: usize,
        max_tasks: u64,
        ends: &Ends,
        wait: Wait,
    ) -> Result<Child> {
        self.given += 1;
        let order = Order {
            number: self.given,
            kind,
            worker,
            max_tasks,
            state: ends.state.clone(),
        };
        let fds: Vec<BorrowedFd<'_>> = ends.fds.iter().map(AsFd::as_fd).collect();
        self.orders.sender().send_fds(&order.write(), &fds, wait)?;
        let (pid, errno) = loop {
            let answer = self.orders.receiver();
            answer.recv_wait(wait)?;
            let mut answer = Reader::new(answer.message());
            if answer.u64()? == self.given {
                break (answer.u64()?, answer.u64()?);
            } // else it is the second one of an order before
        };
        if errno != 0 {
            let errno = i32::try_from(errno).unwrap_or(libc::EINVAL);
            let error = io::Error::from_raw_os_error(errno);
            let object = "a new worker (limits: RLIMIT_NPROC, pids.max)";
            return Err(ipc_core::Error::os("clone", object, error).into());
        }
        let pid = u32::try_from(pid).unwrap_or(0);
        Child::adopt(pid).map_err(|error| {
            if !matches!(error, ipc_process::Error::Unknown { .. }) {
                sys::end_child(pid); // it lives, and nobody would know
            }
            error.into()
        })
    }
}

/// Readable when the template is dead.
impl AsFd for Maker {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.child.as_fd()
    }
}
