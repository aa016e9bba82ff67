//! [`PhpSerialize`]: the codec of `serialize`, and the types that it knows.

use std::io::Write;

use super::float;
use super::parse::{Parsed, parse};
use crate::{Codec, Error, Result};
use sealed::Sealed;

/// The text of PHP's `serialize`, for scalars and strings: what `msg_send` sends unless it is told not
/// to, and `msg_receive` takes.
///
/// | Rust | PHP | text |
/// |---|---|---|
/// | `i64` | `int` | `i:-5;` |
/// | `f64` | `float` | `d:0.1;`, `d:1.0E+25;`, `d:INF;`, `d:-INF;`, `d:NAN;` |
/// | `bool` | `bool` | `b:1;` |
/// | `String`, if it is UTF-8, and `Vec<u8>` | `string` | `s:5:"hello";` |
/// | `Option` of those | or `null` | `N;` |
/// | [`PhpValue`] | any of them | |
///
/// Decoding is strict: one value, written as PHP writes it, with nothing behind it, and of the type asked
/// for. An `int` is no `f64`, though PHP's `10 / 2` is an `int`: ask for a `PhpValue` where it may be
/// either. Floats are written with the fewest digits that give the same one again, as by PHP with its
/// default `serialize_precision` of -1, and read with any number of digits. Arrays and objects are
/// refused.
///
/// ```
/// use ipc_msgqueue::Codec;
/// use ipc_msgqueue::php::PhpSerialize;
///
/// let mut text = Vec::new();
/// PhpSerialize.encode(&Some("hi".to_owned()), &mut text)?;
/// assert_eq!(text, br#"s:2:"hi";"#);
/// let value: Option<String> = PhpSerialize.decode(b"N;")?;
/// assert_eq!(value, None);
/// assert!(Codec::<i64>::decode(&PhpSerialize, b"d:1.5;").is_err());
/// # Ok::<(), ipc_msgqueue::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PhpSerialize;

impl<T: Scalar> Codec<T> for PhpSerialize {
    fn encode(&self, value: &T, out: &mut Vec<u8>) -> Result<()> {
        value.write(out);
        Ok(())
    }

    fn decode(&self, bytes: &[u8]) -> Result<T> {
        let parsed = parse(bytes).map_err(|what| refused(&what))?;
        T::read(parsed).ok_or_else(|| {
            let found = match parsed {
                Parsed::Null => "null",
                Parsed::Bool(_) => "a bool",
                Parsed::Int(_) => "an int",
                Parsed::Float(_) => "a float",
                Parsed::Bytes(_) => "a string",
            };
            refused(&format!(
                "{found}, where a {} is wanted",
                std::any::type_name::<T>()
            ))
        })
    }
}

/// A value whose type only the message tells.
///
/// ```
/// use ipc_msgqueue::Codec;
/// use ipc_msgqueue::php::{PhpSerialize, PhpValue};
///
/// let number = match PhpSerialize.decode(b"i:5;")? {
///     PhpValue::Int(number) => number as f64,
///     PhpValue::Float(number) => number,
///     other => panic!("no number: {other:?}"),
/// };
/// assert_eq!(number, 5.0);
/// # Ok::<(), ipc_msgqueue::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub enum PhpValue {
    /// `null`
    Null,
    /// `bool`
    Bool(bool),
    /// `int`
    Int(i64),
    /// `float`
    Float(f64),
    /// `string`, which is bytes in PHP.
    Bytes(Vec<u8>),
}

/// What [`PhpSerialize`] knows; the types are those of its table.
pub trait Scalar: Sealed {}

impl<T: Sealed> Scalar for T {}

mod sealed {
    use super::Parsed;

    pub trait Sealed: Sized {
        fn write(&self, out: &mut Vec<u8>);
        fn read(parsed: Parsed<'_>) -> Option<Self>;
    }
}

impl Sealed for i64 {
    fn write(&self, out: &mut Vec<u8>) {
        let _ = write!(out, "i:{self};"); // to a vector: it cannot fail
    }

    fn read(parsed: Parsed<'_>) -> Option<Self> {
        match parsed {
            Parsed::Int(value) => Some(value),
            _ => None,
        }
    }
}

impl Sealed for f64 {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"d:");
        float::write(*self, out);
        out.push(b';');
    }

    fn read(parsed: Parsed<'_>) -> Option<Self> {
        match parsed {
            Parsed::Float(value) => Some(value),
            _ => None,
        }
    }
}

impl Sealed for bool {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(if *self { b"b:1;" } else { b"b:0;" });
    }

    fn read(parsed: Parsed<'_>) -> Option<Self> {
        match parsed {
            Parsed::Bool(value) => Some(value),
            _ => None,
        }
    }
}

impl Sealed for Vec<u8> {
    fn write(&self, out: &mut Vec<u8>) {
        write_bytes(self, out);
    }

    fn read(parsed: Parsed<'_>) -> Option<Self> {
        match parsed {
            Parsed::Bytes(bytes) => Some(bytes.to_vec()),
            _ => None,
        }
    }
}

impl Sealed for String {
    fn write(&self, out: &mut Vec<u8>) {
        write_bytes(self.as_bytes(), out);
    }

    fn read(parsed: Parsed<'_>) -> Option<Self> {
        match parsed {
            Parsed::Bytes(bytes) => Some(std::str::from_utf8(bytes).ok()?.to_owned()),
            _ => None,
        }
    }
}

impl<T: Sealed> Sealed for Option<T> {
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Some(value) => value.write(out),
            None => out.extend_from_slice(b"N;"),
        }
    }

    fn read(parsed: Parsed<'_>) -> Option<Self> {
        match parsed {
            Parsed::Null => Some(None),
            parsed => T::read(parsed).map(Some),
        }
    }
}

impl Sealed for PhpValue {
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            PhpValue::Null => out.extend_from_slice(b"N;"),
            PhpValue::Bool(value) => value.write(out),
            PhpValue::Int(value) => value.write(out),
            PhpValue::Float(value) => value.write(out),
            PhpValue::Bytes(value) => value.write(out),
        }
    }

    fn read(parsed: Parsed<'_>) -> Option<Self> {
        Some(match parsed {
            Parsed::Null => PhpValue::Null,
            Parsed::Bool(value) => PhpValue::Bool(value),
            Parsed::Int(value) => PhpValue::Int(value),
            Parsed::Float(value) => PhpValue::Float(value),
            Parsed::Bytes(bytes) => PhpValue::Bytes(bytes.to_vec()),
        })
    }
}

fn write_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    let _ = write!(out, "s:{}:\"", bytes.len()); // to a vector: it cannot fail
    out.extend_from_slice(bytes);
    out.extend_from_slice(b"\";");
}

fn refused(what: &str) -> Error {
    Error::Codec(format!("PHP serialize: this is {what}").into())
}
