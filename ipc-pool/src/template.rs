//! The template: a small process with one thread that is copied into workers.
//!
//! It is made with the pool, and knows the callbacks. An order brings it one end of a channel; it
//! copies itself by clone(2) with `CLONE_PARENT`, so that the copy is its own sibling: the child of
//! the process that owns the pool, which watches and reaps it, and whose size does not matter.

use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};

use ipc_core::inherit::{Reader, Writer};
use ipc_core::{Receiver, Sender, Spin, Wait};
use ipc_process::Child;
use ipc_socket::{Kind, SocketDuplex, SocketOptions};
use nix::unistd::{Pid, getpid};

use crate::duty::Duty;
use crate::link::{self, Ends};
use crate::worker::{self, Birth};
use crate::{Result, Transport, sys};

/// What all workers of a pool have in common.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    pub(crate) transport: Transport,
    pub(crate) max_len: usize,
}

/// The pool's side of the template.
#[derive(Debug)]
pub(crate) struct Template {
    child: Child,
    orders: SocketDuplex,
}

impl Template {
    /// Forks it, which a process with one thread can.
    pub(crate) fn fork(duty: Duty, terms: Terms) -> Result<Self> {
        let manager = getpid();
        let ends = SocketOptions::new()
            .kind(Kind::Seqpacket)
            .fds(16)
            .spin(Spin::Never)
            .pair()?;
        let (child, orders) = ipc_process::fork(ends, |orders| {
            serve(orders, duty, terms, manager);
        })?;
        Ok(Template { child, orders })
    }

    /// Orders a worker, which gets `ends`.
    ///
    /// # Errors
    ///
    /// [`Channel`](crate::Error::Channel) if the template is dead; it is then to be replaced.
    pub(crate) fn order(&mut self, worker: usize, max_tasks: u64, ends: &Ends) -> Result<()> {
        let mut order = Writer::new();
        order.len(worker).u64(max_tasks).bytes(&ends.state);
        let fds: Vec<BorrowedFd<'_>> = ends.fds.iter().map(AsFd::as_fd).collect();
        let order = order.finish();
        Ok(self.orders.sender().send_fds(&order, &fds, Wait::Forever)?)
    }

    /// Takes the answer to the oldest order, once it is there: the worker.
    pub(crate) fn answer(&mut self, wait: Wait) -> Result<Child> {
        let answer = self.orders.receiver();
        answer.recv_wait(wait)?;
        let mut answer = Reader::new(answer.message());
        let (pid, errno) = (answer.u64()?, answer.u64()?);
        if errno != 0 {
            let errno = i32::try_from(errno).unwrap_or(libc::EINVAL);
            let error = io::Error::from_raw_os_error(errno);
            let object = "a new worker (limits: RLIMIT_NPROC, pids.max)";
            return Err(ipc_core::Error::os("clone", object, error).into());
        }
        Ok(Child::adopt(u32::try_from(pid).unwrap_or(0))?)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.pid()
    }
}

/// Readable when the template is dead.
impl AsFd for Template {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.child.as_fd()
    }
}

/// The life of the template: until the pool closes the channel, or is gone.
fn serve(mut orders: SocketDuplex, mut duty: Duty, terms: Terms, manager: Pid) {
    sys::die_with(manager);
    sys::leave_signals_to_the_manager();
    while orders.receiver().recv().is_ok() {
        let receiver = orders.receiver();
        let fds = receiver.take_fds();
        let Ok((id, max_tasks, state)) = read(receiver.message()) else {
            break;
        };
        let (pid, errno) = match sys::clone_as_sibling() {
            Ok(None) => {
                drop(orders);
                be_born(
                    id,
                    max_tasks,
                    Ends { fds, state },
                    &mut duty,
                    terms,
                    manager,
                );
            }
            Ok(Some(pid)) => (pid, 0),
            Err(error) => (0, error.raw_os_error().unwrap_or(libc::EAGAIN)),
        };
        drop(fds);
        let mut answer = Writer::new();
        answer
            .u64(u64::from(pid))
            .u64(u64::from(errno.unsigned_abs()));
        if orders.sender().send(&answer.finish()).is_err() {
            break;
        }
    }
}

fn read(order: &[u8]) -> ipc_core::Result<(usize, u64, Vec<u8>)> {
    let mut order = Reader::new(order);
    let read = (order.len()?, order.u64()?, order.bytes()?.to_vec());
    order.end()?;
    Ok(read)
}

/// What a new worker does, to its end.
fn be_born(
    id: usize,
    max_tasks: u64,
    ends: Ends,
    duty: &mut Duty,
    terms: Terms,
    manager: Pid,
) -> ! {
    sys::die_with(manager);
    let max_len = terms.max_len;
    let code = catch_unwind(AssertUnwindSafe(|| {
        let lived = link::attach(terms.transport, ends).and_then(|link| {
            let birth = Birth {
                id,
                max_len,
                max_tasks,
                link,
            };
            worker::live(birth, duty)
        });
        lived.unwrap_or_else(|error| {
            eprintln!("worker {id}: {error}");
            1
        })
    }));
    let _ = io::stdout().flush();
    sys::exit_now(code.unwrap_or(101))
}
