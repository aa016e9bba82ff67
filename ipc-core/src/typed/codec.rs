//! How values become bytes: [`Codec`], [`Postcard`] and [`Bincode`].

#[cfg(feature = "bincode")]
use bincode::error::DecodeError;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Error, Result};

/// Turns values into the bytes of a message, and back.
///
/// What a hostile peer can cost is up to the codec and to `T`. Both codecs here bound what they
/// allocate; but a `T` that contains itself is decoded as deep as the message says, on the stack, and
/// a collection of elements that take no bytes, such as `Vec<()>`, as often as it says.
///
/// ```
/// use ipc_core::{Codec, Error, Result, Typed};
///
/// /// Text, as it is.
/// struct Utf8;
///
/// impl Codec<String> for Utf8 {
///     fn encode(&self, value: &String, out: &mut Vec<u8>) -> Result<()> {
///         out.extend_from_slice(value.as_bytes());
///         Ok(())
///     }
///     fn decode(&self, bytes: &[u8]) -> Result<String> {
///         let text = std::str::from_utf8(bytes).map_err(|error| Error::Codec(error.into()))?;
///         Ok(text.to_owned())
///     }
/// }
///
/// let (tx, mut rx) = ipc_pipe::channel()?;
/// let mut tx = Typed::with_codec(tx, Utf8);
/// tx.send(&"hello".to_owned())?;
/// assert_eq!(ipc_core::Receiver::recv(&mut rx)?, b"hello");
/// # Ok::<(), Error>(())
/// ```
pub trait Codec<T> {
    /// Appends the bytes of `value` to `out`.
    ///
    /// # Errors
    ///
    /// [`Codec`](Error::Codec), whatever has been appended by then.
    fn encode(&self, value: &T, out: &mut Vec<u8>) -> Result<()>;

    /// The value whose bytes these are, all of them.
    ///
    /// # Errors
    ///
    /// [`Codec`](Error::Codec) for bytes that are no value, or more than one.
    fn decode(&self, bytes: &[u8]) -> Result<T>;
}

/// The [postcard](https://postcard.jamesmunns.com) format, which is compact, stable and specified.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Postcard;

impl<T: Serialize + DeserializeOwned> Codec<T> for Postcard {
    fn encode(&self, value: &T, out: &mut Vec<u8>) -> Result<()> {
        postcard::to_io(value, out).map_err(codec)?;
        Ok(())
    }

    fn decode(&self, bytes: &[u8]) -> Result<T> {
        let (value, rest) = postcard::take_from_bytes(bytes).map_err(codec)?;
        whole(value, rest.len())
    }
}

/// The bincode 2 format in its standard configuration, for those who have bincode data: the crate
/// is no longer maintained (RUSTSEC-2025-0141).
///
/// A value of more than 256 MiB, as it lies in memory, is not decoded.
#[cfg(feature = "bincode")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bincode;

/// bincode allocates what a length claims before it looks whether the bytes are there. A byte
/// decodes to 16 at most, a `u128`: this is what the longest message of a stream can come to.
#[cfg(feature = "bincode")]
const LIMIT: usize = 16 * crate::frame::DEFAULT_MAX_LEN;

#[cfg(feature = "bincode")]
impl<T: Serialize + DeserializeOwned> Codec<T> for Bincode {
    fn encode(&self, value: &T, out: &mut Vec<u8>) -> Result<()> {
        bincode::serde::encode_into_std_write(value, out, bincode::config::standard())
            .map_err(codec)?;
        Ok(())
    }

    fn decode(&self, bytes: &[u8]) -> Result<T> {
        let config = bincode::config::standard().with_limit::<LIMIT>();
        let decoded = bincode::serde::decode_from_slice(bytes, config);
        let (value, read) = decoded.map_err(|error| match error {
            DecodeError::LimitExceeded => {
                Error::Codec(format!("the value would take more than {LIMIT} bytes").into())
            }
            error => codec(error),
        })?;
        whole(value, bytes.len() - read)
    }
}

fn codec(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::Codec(Box::new(error))
}

/// Refuses a value that leaves bytes over: the two ends disagree about its type.
fn whole<T>(value: T, left: usize) -> Result<T> {
    if left == 0 {
        return Ok(value);
    }
    let what = std::any::type_name::<T>();
    Err(Error::Codec(
        format!("{left} bytes are left after a {what}; is it sent as another type?").into(),
    ))
}
