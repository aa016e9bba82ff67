//! Cells whose ends are driven by tokio: both processes run one task on a runtime of one thread.

mod cells;
mod idle;
mod ours;
#[cfg(feature = "peers")]
mod peers;

use ipc_core::{Receiver, Sender};
use tokio::runtime::Builder;

use crate::Result;
use crate::cells::{Ends, Part, Role};
use crate::plan::Cell;

#[cfg(not(feature = "peers"))]
pub(crate) use absent as tokio_pipe;
#[cfg(not(feature = "peers"))]
pub(crate) use absent as tokio_unix;
pub(crate) use ours::{pipe, unix};
#[cfg(feature = "peers")]
pub(crate) use peers::{tokio_pipe, tokio_unix};

#[cfg(not(feature = "peers"))]
pub(crate) fn absent(_: &Cell) -> Result<Box<dyn Ends>> {
    Err(crate::mechanisms::NEEDS.into())
}

/// An end that sends and receives messages asynchronously.
pub(crate) trait End {
    /// Sends a message.
    async fn send(&mut self, msg: &[u8]) -> Result<()>;

    /// Sends all of `msgs`, with as few system calls as it can.
    async fn send_many(&mut self, msgs: &[&[u8]]) -> Result<()>;

    /// Receives a message.
    async fn recv(&mut self) -> Result<&[u8]>;

    /// Waits for a message, and may take more that are there, up to `max`.
    async fn recv_many(&mut self, max: usize, each: impl FnMut(&[u8])) -> Result<()>;

    /// Receives a message and sends it back, without a copy where there need be none.
    async fn echo(&mut self) -> Result<&[u8]>;
}

/// The two ends of a cell, as long as no runtime is there to register them with.
struct Unregistered<T, F> {
    driver: Option<T>,
    peer: Option<T>,
    /// Registers one.
    register: F,
}

impl<T, E: End, F: Fn(T) -> Result<E>> Ends for Unregistered<T, F> {
    fn play(&mut self, role: Role, cell: &Cell) -> Result<Part> {
        let end = match role {
            Role::Driver => &mut self.driver,
            Role::Peer => &mut self.peer,
        };
        let end = end.take().ok_or("this end has played its part")?;
        let runtime = Builder::new_current_thread().enable_io().build()?;
        runtime.block_on(async { cells::play((self.register)(end)?, role, cell).await })
    }

    fn halves(&mut self, _: Role) -> Option<(&mut dyn Sender, &mut dyn Receiver)> {
        None // outside a runtime there are none
    }
}

fn unregistered<T: 'static, E: End + 'static>(
    (driver, peer): (T, T),
    register: impl Fn(T) -> Result<E> + 'static,
) -> Box<dyn Ends> {
    Box::new(Unregistered {
        driver: Some(driver),
        peer: Some(peer),
        register,
    })
}
