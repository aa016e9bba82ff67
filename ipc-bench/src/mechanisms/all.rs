//! The registry: each mechanism, then its floors.

use super::{Floor, Mechanism, make};
use crate::Result;
use crate::cells::Ends;
use crate::plan::{Cell, Pattern, Polling};
use crate::{asynchronous, floors};

/// All of them.
pub static ALL: &[Mechanism] = &[
    Mechanism {
        asks: make::room_for_large,
        ..mechanism(
            "pipe",
            "ipc-pipe: two anonymous pipes",
            Floor::Raw("raw-pipe"),
            make::pipe,
        )
    },
    Mechanism {
        patterns: STREAM_FLOOR,
        ..floor("raw-pipe", "write(2) and read(2) on pipes", floors::pipe)
    },
    mechanism(
        "fifo",
        "ipc-fifo: two private FIFOs",
        Floor::Raw("raw-fifo"),
        make::fifo,
    ),
    Mechanism {
        patterns: STREAM_FLOOR,
        ..floor("raw-fifo", "write(2) and read(2) on FIFOs", floors::fifo)
    },
    mechanism(
        "msgqueue",
        "ipc-msgqueue: two SysV queues",
        Floor::Raw("raw-sysv"),
        make::msgqueue,
    ),
    floor("raw-sysv", "msgsnd(2) and msgrcv(2)", floors::sysv),
    Mechanism {
        patterns: Pattern::ALL,
        asks: make::rings_of_two,
        ..mechanism(
            "shm",
            "ipc-shm: two rings in shared memory",
            RINGS,
            make::shm,
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
        asks: make::rings_of_two,
        ..mechanism(
            "shm-untrusted",
            "ipc-shm: the same to a peer that may be hostile",
            Floor::Ring("raw-ring-copy", "raw-futex-ring"),
            make::shm_untrusted,
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
        make::unix,
    ),
    Mechanism {
        patterns: STREAM_FLOOR,
        ..floor(
            "raw-unix",
            "send(2) and recv(2), AF_UNIX stream",
            floors::unix,
        )
    },
    Mechanism {
        asks: make::room_for_packet,
        ..mechanism(
            "seqpacket",
            "ipc-socket: AF_UNIX seqpacket",
            Floor::Raw("raw-seqpacket"),
            make::seqpacket,
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
        make::tcp,
    ),
    Mechanism {
        patterns: STREAM_FLOOR,
        ..floor(
            "raw-tcp",
            "send(2) and recv(2), TCP over loopback",
            floors::tcp,
        )
    },
    asynchronous(
        "async-pipe",
        "ipc-pipe driven by tokio, Async",
        Floor::Raw("tokio-pipe"),
        asynchronous::pipe,
    ),
    Mechanism {
        patterns: PEER,
        ..asynchronous(
            "tokio-pipe",
            "tokio's own pipes, LengthDelimitedCodec",
            Floor::Itself,
            asynchronous::tokio_pipe,
        )
    },
    asynchronous(
        "async-unix",
        "ipc-socket, AF_UNIX stream, driven by tokio, Async",
        Floor::Raw("tokio-unix"),
        asynchronous::unix,
    ),
    Mechanism {
        patterns: PEER,
        ..asynchronous(
            "tokio-unix",
            "tokio's own unix stream, LengthDelimitedCodec",
            Floor::Itself,
            asynchronous::tokio_unix,
        )
    },
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

const RINGS: Floor = Floor::Ring("raw-ring", "raw-futex-ring");

/// What all pairs of a sender and a receiver can do, ..
const FLOOR: &[Pattern] = &[
    Pattern::RoundTrip,
    Pattern::Stream,
    Pattern::Paced,
    Pattern::Idle,
    Pattern::Stall,
];
/// .. those that have batches, mechanisms and byte streams, ..
const STREAM_FLOOR: &[Pattern] = MECHANISM;
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
/// What is awaited.
const ASYNCHRONOUS: &[Pattern] = &[
    Pattern::RoundTrip,
    Pattern::Stream,
    Pattern::Batch,
    Pattern::Idle,
];
/// What tokio alone can do, in a build that has it.
const PEER: &[Pattern] = if cfg!(feature = "peers") {
    ASYNCHRONOUS
} else {
    &[]
};

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

const fn asynchronous(
    name: &'static str,
    about: &'static str,
    floor: Floor,
    connect: fn(&Cell) -> Result<Box<dyn Ends>>,
) -> Mechanism {
    Mechanism {
        spin: never,
        patterns: ASYNCHRONOUS,
        ..mechanism(name, about, floor, connect)
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
