//! The waist of the IPC toolkit: what every mechanism has in common, and nothing else.
//!
//! A channel carries *messages*: byte strings with a length, in order. [`Sender`] and [`Receiver`]
//! are its two halves, [`Channel`] is an endpoint that has both, and [`Duplex`] makes one of two
//! halves. Each mechanism crate (`ipc-pipe`, `ipc-fifo`, `ipc-msgqueue`, `ipc-shm`, `ipc-socket`)
//! implements them and re-exports this crate's names, so that one dependency is enough.
//!
//! # The contract
//!
//! Every half of every mechanism keeps these clauses. The `conformance` module checks them; a
//! mechanism that cannot keep one lists it by name in its tests and its README.
//!
//! 1. **Whole, in order, once.** An empty message is a message. Streams carry up to 16 MiB a
//!    message unless asked for more.
//! 2. **Too large is refused first.** [`Error::TooLarge`] comes before anything is written, and the
//!    sender stays usable.
//! 3. **Deadlines hold.** They are kept through interruptions and never restarted. `WouldBlock` and
//!    `TimedOut` mean that not one byte was taken. Once the kernel has taken the first byte the
//!    message is accepted: the call goes on until its deadline and returns `Ok`, and what is left
//!    is a *tail*, sent by the next send, by [`Sender::flush`] and by a receive on the same
//!    endpoint. The two halves of one endpoint help each other: two ends that each send a large
//!    message and then receive do not hang. Receiving is symmetric: a part of a message is kept. A
//!    deadline ends a receive, a batch and the sending of a tail even while bytes flow; one message that
//!    the kernel takes without a pause is sent to its end, which is quicker than keeping the rest.
//! 4. **A peer's death is an error.** [`Error::Disconnected`], never SIGPIPE and never a hang,
//!    after everything that was sent has been received. An end in mid-message is
//!    [`Error::Malformed`], and the receiver says so from then on.
//! 5. **`WouldBlock` is true.** It comes only after the kernel said `EAGAIN`, or a ring was empty
//!    after arming: an edge-triggered loop never misses.
//! 6. **No allocation per message**, and halves are `Send` and `Debug`.
//! 7. **Drop never waits.** It tries a tail once, closes, and removes what this process owns: a
//!    named or `SysV` object is removed with the last end *in the process that made it*. No "closed"
//!    mark is ever written to shared state: the kernel's count of descriptors says it.
//! 8. **Nothing leaks.** Every descriptor is born close-on-exec, every object 0600 under any umask,
//!    and exclusively.
//! 9. **Flags are one's own.** `O_NONBLOCK` is set only on descriptions that this end has to
//!    itself, and the disposition of SIGPIPE is never changed.

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

#[cfg(not(all(target_os = "linux", target_pointer_width = "64")))]
compile_error!("the IPC toolkit is for 64-bit Linux");

#[cfg(feature = "tokio")]
mod asynchronous;
mod channel;
#[cfg(feature = "conformance")]
pub mod conformance;
mod duplex;
mod error;
mod forward;
pub mod frame;
pub mod inherit;
mod ready;
pub mod spin;
pub mod stream;
mod sys;
#[cfg(feature = "serde")]
mod typed;
mod wait;

#[cfg(feature = "tokio")]
pub use asynchronous::{Accept, Async};
pub use channel::{Channel, Receiver, Sender};
pub use duplex::Duplex;
pub use error::{Error, Result};
pub use inherit::Inherit;
pub use ready::{Interest, Ready, Select, poll};
pub use spin::Spin;
#[cfg(feature = "bincode")]
pub use typed::Bincode;
#[cfg(feature = "serde")]
pub use typed::{Codec, Postcard, Typed};
pub use wait::Wait;
