//! [`Owed`]: long messages that were taken from the queue while there was no descriptor, or no memory, to read
//! them.

use crate::spill::Token;
use crate::{Error, Result, Selection};

/// The `mtype` and the token of each, in the order in which they were taken.
#[derive(Default)]
pub(crate) struct Owed(Vec<(i64, Token)>);

impl Owed {
    /// After an attempt to read a message: it is owed if that was short of something, or else no more.
    pub(crate) fn tried(&mut self, mtype: i64, token: Token, fetched: &Result<()>) {
        let short = fetched.as_ref().is_err_and(is_shortage);
        match self.0.iter().position(|(_, owed)| *owed == token) {
            None if short => self.0.push((mtype, token)),
            Some(at) if !short => drop(self.0.remove(at)),
            _ => {}
        }
    }

    pub(crate) fn first(&self, selection: Selection) -> Option<(i64, Token)> {
        let mut owed = self.0.iter().copied();
        owed.find(|(mtype, _)| selection.takes(*mtype))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let bytes =
            |(mtype, token): &(i64, Token)| [&mtype.to_le_bytes()[..], &token.to_bytes()].concat();
        self.0.iter().flat_map(bytes).collect()
    }

    pub(crate) fn parse(bytes: &[u8]) -> Option<Owed> {
        let owed = bytes.chunks(size_of::<i64>() + Token::LEN).map(|bytes| {
            let (mtype, token) = bytes.split_first_chunk()?;
            Some((i64::from_le_bytes(*mtype), Token::parse(token)?))
        });
        owed.collect::<Option<_>>().map(Owed)
    }
}

/// Whether the file is still there, to be read when others have given back what was lacking.
fn is_shortage(error: &Error) -> bool {
    let lacking = [libc::EMFILE, libc::ENFILE, libc::ENOMEM].map(Some);
    matches!(error, Error::Os { source, .. } if lacking.contains(&source.raw_os_error()))
}
