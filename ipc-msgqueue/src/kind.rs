//! [`Kind`]: what a message is marked with, and [`Selection`]: which marks a receiver takes.

use std::{fmt, io};

use ipc_core::{Error, Result};
use libc::c_int;

/// The positive number that every message on a queue is marked with: its `mtype`.  msgop(2)
///
/// ```
/// use ipc_msgqueue::Kind;
///
/// const ORDER: Kind = Kind::of::<10>(); // checked by the compiler
/// assert_eq!(Kind::new(10).unwrap(), ORDER);
/// assert!(Kind::new(0).is_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Kind(i64);

impl Kind {
    /// The kind `N`, a constant.
    ///
    /// # Panics
    ///
    /// It does not compile for an `N` under 1.
    pub const fn of<const N: i64>() -> Self {
        const { assert!(N > 0, "kinds start at 1") };
        Kind(N)
    }

    /// The kind `value`.
    ///
    /// # Errors
    ///
    /// [`Os`](Error::Os) for numbers under 1, which the kernel refuses to send: they mean
    /// something only when receiving, where [`Selection`] says it in words.
    pub fn new(value: i64) -> Result<Self> {
        if value > 0 {
            return Ok(Kind(value));
        }
        let source = io::Error::new(
            io::ErrorKind::InvalidInput,
            "kinds start at 1; to receive any kind or several use Selection",
        );
        Err(Error::os("msgsnd", format!("message kind {value}"), source))
    }

    /// The number.
    pub const fn get(self) -> i64 {
        self.0
    }
}

/// 1: for those who need but one.
impl Default for Kind {
    fn default() -> Self {
        Kind::of::<1>()
    }
}

impl TryFrom<i64> for Kind {
    type Error = Error;

    fn try_from(value: i64) -> Result<Self> {
        Kind::new(value)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Which kinds a receiver takes. All others stay in the queue, for others.  msgop(2)
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Selection {
    /// The oldest message.
    #[default]
    Any,
    /// The oldest of this kind.
    Exactly(Kind),
    /// The oldest of the lowest kind there is, up to this one: a queue with priorities.
    UpTo(Kind),
    /// The oldest of any other kind (`MSG_EXCEPT`, Linux's own).
    Except(Kind),
}

impl Selection {
    /// Whether it takes messages of this `mtype`.
    pub(crate) fn takes(self, mtype: i64) -> bool {
        match self {
            Selection::Any => true,
            Selection::Exactly(kind) => mtype == kind.0,
            Selection::UpTo(kind) => mtype <= kind.0,
            Selection::Except(kind) => mtype != kind.0,
        }
    }

    /// `msgtyp` and the flag, as msgrcv(2) wants them.
    pub(crate) fn msgtyp(self) -> (i64, c_int) {
        match self {
            Selection::Any => (0, 0),
            Selection::Exactly(kind) => (kind.0, 0),
            Selection::UpTo(kind) => (-kind.0, 0),
            Selection::Except(kind) => (kind.0, libc::MSG_EXCEPT),
        }
    }
}
