//! How the ends of each mechanism are made, and what they ask for beyond the defaults.

use ipc_core::{Duplex, Receiver, Sender};
use ipc_fifo::FifoOptions;
use ipc_msgqueue::QueueOptions;
use ipc_pipe::PipeOptions;
use ipc_shm::{ShmOptions, ShmSender};
use ipc_socket::{Kind, SocketOptions};

use crate::Result;
use crate::cells::{Ends, InPlace, InPlacePair, Pair};
use crate::plan::{Cell, Pattern};
use crate::units::bytes;

/// The longest message that default buffers surely carry; beyond it a row asks for more.
const DEFAULT_RING: usize = (512 << 10) - 16;
const DEFAULT_PACKET: usize = 128 << 10;
/// A message that fills a pipe by itself goes and comes in turns; in one of this size many are under way.
const DEFAULT_PIPE: usize = 64 << 10;
const LARGE_PIPE: usize = 1 << 20;
/// In place the ring of one this long is two messages: no more memory than is needed is touched.
const LARGE_IN_PLACE: usize = 64 << 10;

/// Pipes as they come, unless a message fills one.
pub(super) fn pipe(cell: &Cell) -> Result<Box<dyn Ends>> {
    let options = PipeOptions::new().spin(cell.policy());
    pair(match room_for_large(cell) {
        None => options.pair(),
        Some(_) => options.capacity(LARGE_PIPE).pair(),
    })
}

pub(super) fn room_for_large(cell: &Cell) -> Option<String> {
    (cell.size >= DEFAULT_PIPE).then(|| format!("pipes of {}", bytes(LARGE_PIPE)))
}

pub(super) fn fifo(cell: &Cell) -> Result<Box<dyn Ends>> {
    pair(FifoOptions::new().spin(cell.policy()).pair())
}

pub(super) fn msgqueue(cell: &Cell) -> Result<Box<dyn Ends>> {
    pair(QueueOptions::new().spin(cell.policy()).pair())
}

pub(super) fn shm(cell: &Cell) -> Result<Box<dyn Ends>> {
    let pair = Pair::new(rings(cell).pair()?);
    Ok(Box::new(InPlacePair(pair)))
}

pub(super) fn shm_untrusted(cell: &Cell) -> Result<Box<dyn Ends>> {
    pair(rings(cell).untrusted().pair())
}

/// Rings as they come, if that is enough.
fn rings(cell: &Cell) -> ShmOptions {
    let options = ShmOptions::new().spin(cell.policy());
    match rings_of_two(cell) {
        None => options,
        Some(_) => options.max_len(cell.size),
    }
}

pub(super) fn rings_of_two(cell: &Cell) -> Option<String> {
    let large = cell.pattern == Pattern::InPlace && cell.size >= LARGE_IN_PLACE;
    (large || cell.size > DEFAULT_RING).then(|| "rings of two messages".to_owned())
}

impl InPlace for ShmSender {
    #[inline]
    fn send_with(&mut self, len: usize, write: impl FnOnce(&mut [u8])) -> ipc_core::Result<()> {
        let mut loan = self.loan(len)?;
        write(&mut loan);
        loan.send();
        Ok(())
    }
}

pub(super) fn unix(cell: &Cell) -> Result<Box<dyn Ends>> {
    pair(socket(Kind::Unix, cell).pair())
}

pub(super) fn tcp(cell: &Cell) -> Result<Box<dyn Ends>> {
    pair(socket(Kind::Tcp, cell).pair())
}

pub(super) fn seqpacket(cell: &Cell) -> Result<Box<dyn Ends>> {
    let options = socket(Kind::Seqpacket, cell);
    pair(match room_for_packet(cell) {
        None => options.pair(),
        Some(_) => options.max_len(cell.size).pair(),
    })
}

pub(super) fn room_for_packet(cell: &Cell) -> Option<String> {
    (cell.size > DEFAULT_PACKET).then(|| "a send buffer that takes a packet".to_owned())
}

fn socket(kind: Kind, cell: &Cell) -> SocketOptions {
    SocketOptions::new().kind(kind).spin(cell.policy())
}

/// The ends that a `pair()` made.
fn pair<S, R>(made: ipc_core::Result<(Duplex<S, R>, Duplex<S, R>)>) -> Result<Box<dyn Ends>>
where
    S: Sender + Send + 'static,
    R: Receiver + 'static,
{
    Ok(Box::new(Pair::new(made?)))
}
