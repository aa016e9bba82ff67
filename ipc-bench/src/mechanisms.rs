//! All that can be measured.

use std::fmt;

use ipc_core::{Duplex, Receiver, Sender};
use ipc_fifo::FifoOptions;
use ipc_msgqueue::QueueOptions;
use ipc_pipe::PipeOptions;
use ipc_shm::{ShmOptions, ShmSender};
use ipc_socket::{Kind, SocketOptions};

use crate::Result;
use crate::cells::{Ends, InPlace, InPlacePair, Pair};
use crate::floors;
use crate::placement::Placement;
use crate::plan::{Cell, Pattern, Polling};

/// A mechanism of the toolkit, or a floor.
pub struct Mechanism {
    /// Its name on the command line and in results.
    pub name: &'static str,
    /// What it is, in a line.
    pub about: &'static str,
    /// What it can do.
    pub patterns: &'static [Pattern],
    /// What it is compared with; a floor with nothing.
    pub floor: Floor,
    /// How its ends wait, when asked for a way: `None` is in the kernel, at once, without a choice.
    pub spin: fn(Polling) -> Option<Polling>,
    /// What a row asks for beyond the defaults.
    pub asks: fn(&Cell) -> Option<String>,
    /// Makes the two ends of a cell.
    pub connect: fn(&Cell) -> Result<Box<dyn Ends>>,
}

/// What a mechanism is compared with.
#[derive(Clone, Copy, Debug)]
pub enum Floor {
    /// It is one itself.
    Itself,
    /// The same calls without the mechanism.
    Raw(&'static str),
    /// A ring that spins, for polling ends on two cores; else one that sleeps.
    Ring(&'static str, &'static str),
}

/// The longest message that default buffers surely carry; beyond it a row asks for more.
const DEFAULT_RING: usize = (512 << 10) - 16;
const DEFAULT_PACKET: usize = 128 << 10;
/// In place the ring of one this long is two messages: no more memory than is needed is touched.
const LARGE_IN_PLACE: usize = 64 << 10;

/// All of them: each mechanism, then its floors.
pub static ALL: &[Mechanism] = &[
    mechanism(
        "pipe",
        "ipc-pipe: two anonymous pipes",
        Floor::Raw("raw-pipe"),
        |cell| pair(PipeOptions::new().spin(cell.policy()).pair()),
    ),
    floor("raw-pipe", "write(2) and read(2) on pipes", floors::pipe),
    mechanism(
        "fifo",
        "ipc-fifo: two private FIFOs",
        Floor::Raw("raw-fifo"),
        |cell| pair(FifoOptions::new().spin(cell.policy()).pair()),
    ),
    floor("raw-fifo", "write(2) and read(2) on FIFOs", floors::fifo),
    mechanism(
        "msgqueue",
        "ipc-msgqueue: two SysV queues",
        Floor::Raw("raw-sysv"),
        |cell| pair(QueueOptions::new().spin(cell.policy()).pair()),
    ),
    floor("raw-sysv", "msgsnd(2) and msgrcv(2)", floors::sysv),
    Mechanism {
        patterns: Pattern::ALL,
        asks: rings_of_two,
        ..mechanism(
            "shm",
            "ipc-shm: two rings in shared memory",
            RINGS,
            |cell| {
                let pair = Pair::new(shm(cell).pair()?);
                Ok(Box::new(InPlacePair(pair)))
            },
        )
    },
    Mechanism {
        spin: always,
        patterns: RING_FLOOR,
        ..floor(
            "raw-ring",
            "a textbook ring in shared memory, spinning",
            floors::ring,
        )
    },
    Mechanism {
        spin: never,
        patterns: RING_FLOOR,
        ..floor(
            "raw-futex-ring",
            "the same ring, sleeping at once",
            floors::futex_ring,
        )
    },
    Mechanism {
        asks: rings_of_two,
        ..mechanism(
            "shm-untrusted",
            "ipc-shm: the same to a peer that may be hostile",
            Floor::Ring("raw-ring-copy", "raw-futex-ring"),
            |cell| pair(shm(cell).untrusted().pair()),
        )
    },
    Mechanism {
        spin: always,
        ..floor(
            "raw-ring-copy",
            "the spinning ring, each message copied in and out",
            floors::copying_ring,
        )
    },
    mechanism(
        "unix",
        "ipc-socket: AF_UNIX stream",
        Floor::Raw("raw-unix"),
        |cell| socket(Kind::Unix, cell),
    ),
    floor(
        "raw-unix",
        "send(2) and recv(2), AF_UNIX stream",
        floors::unix,
    ),
    Mechanism {
        asks: |cell| {
            (cell.size > DEFAULT_PACKET).then(|| "a send buffer that takes a packet".to_owned())
        },
        ..mechanism(
            "seqpacket",
            "ipc-socket: AF_UNIX seqpacket",
            Floor::Raw("raw-seqpacket"),
            |cell| socket(Kind::Seqpacket, cell),
        )
    },
    floor(
        "raw-seqpacket",
        "send(2) and recv(2), AF_UNIX seqpacket",
        floors::seqpacket,
    ),
    mechanism(
        "tcp",
        "ipc-socket: TCP over loopback",
        Floor::Raw("raw-tcp"),
        |cell| socket(Kind::Tcp, cell),
    ),
    floor(
        "raw-tcp",
        "send(2) and recv(2), TCP over loopback",
        floors::tcp,
    ),
    Mechanism {
        spin: always,
        patterns: &[Pattern::RoundTrip],
        ..floor(
            "raw-cacheline",
            "a cache line each way between two cores",
            floors::line,
        )
    },
    Mechanism {
        spin: never,
        patterns: &[Pattern::Stream],
        ..floor("raw-memcpy", "memcpy(3) on one core", floors::memcpy)
    },
];

/// What all pairs of a sender and a receiver can do, ..
const FLOOR: &[Pattern] = &[
    Pattern::RoundTrip,
    Pattern::Stream,
    Pattern::Paced,
    Pattern::Idle,
    Pattern::Stall,
];
/// .. those that have batches of their own, ..
const MECHANISM: &[Pattern] = &[
    Pattern::RoundTrip,
    Pattern::Stream,
    Pattern::Batch,
    Pattern::Paced,
    Pattern::Idle,
    Pattern::Stall,
];
/// .. and rings, in which a message can be written in place.
const RING_FLOOR: &[Pattern] = &[
    Pattern::RoundTrip,
    Pattern::Stream,
    Pattern::InPlace,
    Pattern::Paced,
    Pattern::Idle,
    Pattern::Stall,
];
const RINGS: Floor = Floor::Ring("raw-ring", "raw-futex-ring");

/// The one of this name.
pub fn find(name: &str) -> Option<&'static Mechanism> {
    ALL.iter().find(|mechanism| mechanism.name == name)
}

impl Mechanism {
    /// Whether it is a floor.
    pub fn is_floor(&self) -> bool {
        matches!(self.floor, Floor::Itself)
    }

    /// The name of the floor that a row is compared with.
    pub fn floor_of(&self, placement: Placement, spin: Option<Polling>) -> Option<&'static str> {
        match self.floor {
            Floor::Itself => None,
            Floor::Raw(name) => Some(name),
            Floor::Ring(spinning, sleeping) => {
                let sleeps = placement == Placement::Same || spin == Some(Polling::Never);
                Some(if sleeps { sleeping } else { spinning })
            }
        }
    }
}

impl fmt::Debug for Mechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

const fn mechanism(
    name: &'static str,
    about: &'static str,
    floor: Floor,
    connect: fn(&Cell) -> Result<Box<dyn Ends>>,
) -> Mechanism {
    Mechanism {
        name,
        about,
        patterns: MECHANISM,
        floor,
        spin: Some,
        asks: |_| None,
        connect,
    }
}

const fn floor(
    name: &'static str,
    about: &'static str,
    connect: fn(&Cell) -> Result<Box<dyn Ends>>,
) -> Mechanism {
    Mechanism {
        spin: polled_or_not,
        patterns: FLOOR,
        ..mechanism(name, about, Floor::Itself, connect)
    }
}

fn polled_or_not(asked: Polling) -> Option<Polling> {
    (asked == Polling::Always).then_some(asked)
}

#[expect(clippy::unnecessary_wraps)] // as all that say how an end waits
fn always(_: Polling) -> Option<Polling> {
    Some(Polling::Always)
}

fn never(_: Polling) -> Option<Polling> {
    None
}

/// Rings as they come, if that is enough.
fn shm(cell: &Cell) -> ShmOptions {
    let options = ShmOptions::new().spin(cell.policy());
    match rings_of_two(cell) {
        None => options,
        Some(_) => options.max_len(cell.size),
    }
}

fn rings_of_two(cell: &Cell) -> Option<String> {
    let large = cell.pattern == Pattern::InPlace && cell.size >= LARGE_IN_PLACE;
    (large || cell.size > DEFAULT_RING).then(|| "rings of two messages".to_owned())
}

impl InPlace for ShmSender {
    #[inline]
    fn send_with(&mut self, len: usize, write: impl FnOnce(&mut [u8])) -> ipc_core::Result<()> {
        let mut loan = self.loan(len)?;
        write(&mut loan);
        loan.send()
    }
}

/// The ends that a `pair()` made.
fn pair<S, R>(made: ipc_core::Result<(Duplex<S, R>, Duplex<S, R>)>) -> Result<Box<dyn Ends>>
where
    S: Sender + Send + 'static,
    R: Receiver + 'static,
{
    Ok(Box::new(Pair::new(made?)))
}

fn socket(kind: Kind, cell: &Cell) -> Result<Box<dyn Ends>> {
    let options = SocketOptions::new().kind(kind).spin(cell.policy());
    pair(if kind == Kind::Seqpacket && cell.size > DEFAULT_PACKET {
        options.max_len(cell.size).pair()
    } else {
        options.pair()
    })
}
