//! The template: a small process with one thread that is copied into workers.
//!
//! It is made with the pool, and knows the callbacks. An order brings it one end of a channel; it
//! copies itself by clone(2) with `CLONE_PARENT`, so that the copy is its own sibling: the child of
//! the process that owns the pool, which watches and reaps it, and whose size does not matter.
//!
//! One copy is a template too, and takes its place should it die.

mod maker;

use std::io::{self, Write};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::process::parent_id;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::process;

use ipc_core::inherit::{Reader, Writer};
use ipc_core::{Inherit, Receiver, Sender, Spin};
use ipc_process::set_parent_death;
use ipc_socket::{Kind, SocketDuplex, SocketOptions};

use crate::duty::Duty;
use crate::life::{self, Birth};
use crate::link::{self, Ends};
use crate::{Pool, Result, Transport, sys};
pub(crate) use maker::{Maker, Spawn, spawn};

/// What all workers of a pool have in common.
#[derive(Clone, Debug)]
pub(crate) struct Terms {
    pub(crate) transport: Transport,
    pub(crate) max_len: usize,
    /// What the processes are called, if that was asked for.
    pub(crate) title: Option<String>,
    /// Where they write, if that was asked for.
    pub(crate) log: Option<PathBuf>,
}

/// The end of a pool's template process: what the function named by
/// [`Pool::template`] is given.
#[derive(Debug)]
pub struct Template {
    orders: SocketDuplex,
}

impl Template {
    /// Is the template of `pool`, which is made as it was in the program that owns it, until that ends
    /// or the pool is stopped.
    pub fn serve(self, pool: Pool) {
        let (duty, terms) = pool.into_duty();
        // It was made with a signal for its parent's death, so the parent is the owner.
        serve(self.orders, duty, &terms, parent_id());
    }
}

impl Inherit for Template {
    fn fds(&self, each: &mut dyn FnMut(BorrowedFd<'_>)) {
        self.orders.fds(each);
    }

    fn into_parts(self) -> ipc_core::Result<(Vec<OwnedFd>, Vec<u8>)> {
        self.orders.into_parts()
    }

    fn from_parts(fds: Vec<OwnedFd>, state: &[u8]) -> ipc_core::Result<Self> {
        let orders = SocketDuplex::from_parts(fds, state)?;
        Ok(Template { orders })
    }
}

fn channel() -> Result<(SocketDuplex, SocketDuplex)> {
    let options = SocketOptions::new().kind(Kind::Seqpacket).fds(16);
    Ok(options.spin(Spin::Never).pair()?)
}

/// The life of a template: until the pool closes the channel, or is gone.
fn serve(mut orders: SocketDuplex, mut duty: Duty, terms: &Terms, manager: u32) {
    sys::leave_signals_to_the_manager();
    if let Some(path) = &terms.log {
        sys::reopen_at_sighup(path);
    }
    name(terms, "template");
    while orders.receiver().recv().is_ok() {
        let receiver = orders.receiver();
        let fds = receiver.take_fds();
        let Ok(order) = Order::read(receiver.message()) else {
            break;
        };
        let made = sys::clone_as_sibling();
        let newborn = matches!(made, Ok(None)).then_some(fds);
        if newborn.is_some() {
            // After the copy, since it is not copied.
            let _ = set_parent_death(libc::SIGKILL, manager);
        }
        let (pid, errno) = match made {
            Ok(pid) => (pid.unwrap_or_else(process::id), 0),
            Err(error) => (0, error.raw_os_error().unwrap_or(libc::EAGAIN)),
        };
        // The template and its copy both answer, and the first counts: so the pool knows of the copy,
        // whichever of them dies now.
        let mut answer = Writer::new();
        answer.u64(order.number).u64(u64::from(pid));
        answer.u64(u64::from(errno.unsigned_abs()));
        let answered = orders.sender().send(&answer.finish());
        let Some(fds) = newborn else {
            if answered.is_err() {
                break;
            }
            continue;
        };
        // One that was given up finds that in its own channel.
        let state = order.state;
        if order.kind == WORKER {
            drop(orders);
            let ends = Ends { fds, state };
            be_born(order.worker, order.max_tasks, ends, &mut duty, terms);
        }
        match SocketDuplex::from_parts(fds, &state) {
            Ok(own) => orders = own,
            Err(_) => break,
        }
    }
}

const WORKER: u64 = 0;
const TEMPLATE: u64 = 1;

/// What is to be made.
struct Order {
    /// How many there were before, and this one.
    number: u64,
    /// [`WORKER`] or [`TEMPLATE`].
    kind: u64,
    worker: usize,
    max_tasks: u64,
    state: Vec<u8>,
}

impl Order {
    fn write(&self) -> Vec<u8> {
        let mut order = Writer::new();
        order.u64(self.number).u64(self.kind);
        order.len(self.worker).u64(self.max_tasks);
        order.bytes(&self.state);
        order.finish()
    }

    fn read(order: &[u8]) -> ipc_core::Result<Self> {
        let mut from = Reader::new(order);
        let order = Order {
            number: from.u64()?,
            kind: from.u64()?,
            worker: from.len()?,
            max_tasks: from.u64()?,
            state: from.bytes()?.to_vec(),
        };
        from.end()?;
        Ok(order)
    }
}

/// What a new worker does, to its end.
fn be_born(id: usize, max_tasks: u64, ends: Ends, duty: &mut Duty, terms: &Terms) -> ! {
    name(terms, &format!("worker {id}"));
    let code = catch_unwind(AssertUnwindSafe(|| {
        let lived = link::attach(terms.transport, ends).and_then(|mut link| {
            if link.rx.woken().is_err() {
                return Ok(0); // it was given up, and another was made
            }
            let birth = Birth {
                id,
                max_len: terms.max_len,
                max_tasks,
                link,
            };
            life::live(birth, duty)
        });
        lived.unwrap_or_else(|error| {
            eprintln!("worker {id}: {error}");
            1
        })
    }));
    let _ = io::stdout().flush();
    sys::exit_now(code.unwrap_or(101))
}

fn name(terms: &Terms, role: &str) {
    if let Some(title) = &terms.title {
        let _ = ipc_process::set_name(&format!("{title}: {role}"));
    }
}
