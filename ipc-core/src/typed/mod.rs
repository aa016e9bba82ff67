//! Messages that are values: [`Typed`].

mod codec;

use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

#[cfg(feature = "bincode")]
pub use codec::Bincode;
pub use codec::{Codec, Postcard};

use crate::{Receiver, Result, Sender, Wait};

/// A half or an endpoint that carries values of type `T`, one a message.
///
/// Whatever sends gets the sending methods, whatever receives the receiving ones, a
/// `Box<dyn Channel>` both. A message that is no `T` is [`Error::Codec`](crate::Error::Codec), and
/// the next receive goes on with the next message.
///
/// ```
/// use ipc_core::Typed;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// struct Order {
///     id: u64,
///     item: String,
/// }
///
/// let (tx, rx) = ipc_pipe::channel()?;
/// let (mut tx, mut rx) = (Typed::new(tx), Typed::<Order, _>::new(rx));
/// tx.send(&Order { id: 7, item: "tea".into() })?;
/// assert_eq!(rx.recv()?.item, "tea");
/// # Ok::<(), ipc_core::Error>(())
/// ```
pub struct Typed<T, H, C = Postcard> {
    half: H,
    codec: C,
    /// Where values are encoded; kept, so that no message allocates.
    scratch: Vec<u8>,
    values: PhantomData<fn(T) -> T>,
}

impl<T, H> Typed<T, H> {
    /// A half that carries values as [`Postcard`].
    pub fn new(half: H) -> Self {
        Typed::with_codec(half, Postcard)
    }
}

impl<T, H, C> Typed<T, H, C> {
    /// A half that carries values as `codec` says.
    pub fn with_codec(half: H, codec: C) -> Self {
        Typed {
            half,
            codec,
            scratch: Vec::new(),
            values: PhantomData,
        }
    }

    /// The half, to send or receive bytes in between, say.
    pub fn get_mut(&mut self) -> &mut H {
        &mut self.half
    }

    /// The half, without its type.
    pub fn into_inner(self) -> H {
        self.half
    }
}

impl<T, H: Sender, C: Codec<T>> Typed<T, H, C> {
    /// Sends `value`, waiting as long as `wait` allows.
    ///
    /// # Errors
    ///
    /// [`Codec`](crate::Error::Codec) before anything is sent, and those of
    /// [`Sender::send_wait`].
    pub fn send_wait(&mut self, value: &T, wait: Wait) -> Result<()> {
        self.scratch.clear();
        self.codec.encode(value, &mut self.scratch)?;
        self.half.send_wait(&self.scratch, wait)
    }

    /// Sends `value`, waiting as long as it takes.
    pub fn send(&mut self, value: &T) -> Result<()> {
        self.send_wait(value, Wait::Forever)
    }

    /// Sends `value` if that needs no waiting, else returns
    /// [`WouldBlock`](crate::Error::WouldBlock).
    pub fn try_send(&mut self, value: &T) -> Result<()> {
        self.send_wait(value, Wait::Never)
    }

    /// Sends `value` within `timeout`, else returns [`TimedOut`](crate::Error::TimedOut).
    pub fn send_timeout(&mut self, value: &T, timeout: Duration) -> Result<()> {
        self.send_wait(value, timeout.into())
    }

    /// Waits until everything that was accepted has been handed to the kernel.
    pub fn flush(&mut self, wait: Wait) -> Result<()> {
        self.half.flush(wait)
    }
}

impl<T, H: Receiver, C: Codec<T>> Typed<T, H, C> {
    /// Receives the next value, waiting as long as `wait` allows.
    ///
    /// # Errors
    ///
    /// Those of [`Receiver::recv_wait`], and [`Codec`](crate::Error::Codec) for a message that is
    /// no `T`: it is gone, and the channel goes on.
    pub fn recv_wait(&mut self, wait: Wait) -> Result<T> {
        self.half.recv_wait(wait)?;
        self.codec.decode(self.half.message())
    }

    /// Receives the next value, waiting as long as it takes.
    pub fn recv(&mut self) -> Result<T> {
        self.recv_wait(Wait::Forever)
    }

    /// Receives a value that is there, else returns [`WouldBlock`](crate::Error::WouldBlock).
    pub fn try_recv(&mut self) -> Result<T> {
        self.recv_wait(Wait::Never)
    }

    /// Receives the next value within `timeout`, else returns
    /// [`TimedOut`](crate::Error::TimedOut).
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<T> {
        self.recv_wait(timeout.into())
    }
}

impl<T, H: fmt::Debug, C: fmt::Debug> fmt::Debug for Typed<T, H, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Typed")
            .field("type", &std::any::type_name::<T>())
            .field("half", &self.half)
            .field("codec", &self.codec)
            .finish_non_exhaustive()
    }
}
