//! [`Spill`]: messages that are too long for the queue, beside it.
//!
//! The queue then carries a token in place of the message: a random name and a length. The body
//! lies under that name in a directory that both sides were given. A token is told from a message by its
//! own first bytes, and a message that looks like a token is spilled itself: so every other message
//! is on the queue as it is.

use std::fmt::Write;
use std::io;
use std::path::{Path, PathBuf};

use libc::c_int;

use crate::directory::Directory;
use crate::{Error, Result, sys};

/// What every token begins with: drawn at random, once and for all.
const MAGIC: [u8; 16] = *b"\0\xa6spill\x1d\xf3\xb0\x92\xc7\x5e\x08\xe4\n";
const NAME: usize = 16;

/// In place of a message: where it lies, and how long it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    name: [u8; NAME],
    pub(crate) len: u64,
}

impl Token {
    /// Bytes in a token.
    pub(crate) const LEN: usize = MAGIC.len() + NAME + size_of::<u64>();

    /// The token that a message is, if it is one.
    #[inline]
    pub(crate) fn parse(message: &[u8]) -> Option<Token> {
        if message.len() != Token::LEN {
            return None;
        }
        let (name, len) = message.strip_prefix(&MAGIC)?.split_first_chunk()?;
        Some(Token {
            name: *name,
            len: u64::from_le_bytes(len.try_into().ok()?),
        })
    }

    fn new(len: usize) -> io::Result<Token> {
        let mut name = [0; NAME];
        sys::random(&mut name)?;
        Ok(Token {
            name,
            len: len as u64,
        })
    }

    pub(crate) fn to_bytes(self) -> [u8; Token::LEN] {
        let mut bytes = [0; Token::LEN];
        bytes[..16].copy_from_slice(&MAGIC);
        bytes[16..32].copy_from_slice(&self.name);
        bytes[32..].copy_from_slice(&self.len.to_le_bytes());
        bytes
    }

    /// The name of the file, which begins with the queue's own id: so it is known whose it is, and
    /// what is left of queues that are gone can be told.
    fn file(&self, queue: c_int) -> String {
        let mut file = format!("{queue}-");
        for byte in self.name {
            let _ = write!(file, "{byte:02x}"); // to a String: it cannot fail
        }
        file
    }
}

/// The directory of a queue's long messages.
#[derive(Debug)]
pub(crate) struct Spill {
    path: PathBuf,
}

impl Spill {
    /// Messages in the directory `path`, if it is private. What queues that are gone have left there
    /// is removed.
    pub(crate) fn new(path: &Path) -> Result<Self> {
        let path = std::path::absolute(path)
            .map_err(|error| Error::os("getcwd", path.display().to_string(), error))?;
        Directory::open_private(&path)?;
        let spill = Spill { path };
        spill.sweep();
        Ok(spill)
    }

    /// The same without looking: it is looked at when it is used.
    pub(crate) fn trusted(path: PathBuf) -> Self {
        Spill { path }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Puts a message into a file; its token.
    pub(crate) fn put(&self, queue: c_int, message: &[u8]) -> Result<Token> {
        let directory = Directory::open_private(&self.path)?;
        let token = Token::new(message.len())
            .map_err(|error| Error::os("getrandom", "the name of a spilled message", error))?;
        directory.create(&token.file(queue), message)?;
        Ok(token)
    }

    /// Reads the message of `token`, and removes the file if it is to `remove` it. One of over
    /// `max_len` bytes is refused.
    pub(crate) fn get(
        &self,
        queue: c_int,
        token: Token,
        max_len: usize,
        body: &mut Vec<u8>,
        remove: bool,
    ) -> Result<()> {
        let directory = Directory::open_private(&self.path)?;
        let file = token.file(queue);
        if token.len > max_len as u64 {
            if remove {
                directory.remove(&file);
            }
            return Err(Error::TooLarge {
                len: usize::try_from(token.len).unwrap_or(usize::MAX),
                max: max_len,
                limit: "max_len",
            });
        }
        directory.read(&file, token.len, body, remove)
    }

    /// Removes the file of a token that was not sent.
    pub(crate) fn undo(&self, queue: c_int, token: Token) {
        if let Ok(directory) = Directory::open_private(&self.path) {
            directory.remove(&token.file(queue));
        }
    }

    /// Removes the files of queues that are gone: no token of theirs can come any more.
    pub(crate) fn sweep(&self) {
        let Ok(directory) = Directory::open_private(&self.path) else {
            return;
        };
        directory.names(|name| {
            if owner(name).is_some_and(|queue| !sys::exists(queue)) {
                directory.remove(name);
            }
        });
    }
}

/// The queue whose spilled message a file of this name is.
fn owner(file: &str) -> Option<c_int> {
    let (queue, name) = file.split_once('-')?;
    let ours = name.len() == 2 * NAME && name.bytes().all(|byte| byte.is_ascii_hexdigit());
    queue.parse().ok().filter(|_| ours)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_what_it_was() {
        let token = Token::new(123_456).unwrap();
        let bytes = token.to_bytes();
        assert_eq!(Token::parse(&bytes), Some(token));
        assert_ne!(Token::new(123_456).unwrap(), token);
        for at in 0..MAGIC.len() {
            let mut other = bytes;
            other[at] ^= 1;
            assert_eq!(Token::parse(&other), None);
        }
        assert_eq!(Token::parse(&bytes[1..]), None);
        assert_eq!(Token::parse(&[&bytes[..], b"x"].concat()), None);
    }

    #[test]
    fn a_file_says_whose_it_is() {
        let file = Token::new(1).unwrap().file(77);
        assert_eq!(owner(&file), Some(77));
        for other in [
            "77",
            "-",
            "77-",
            "x-y",
            "..",
            &file[..34],
            &format!("{file}0"),
        ] {
            assert_eq!(owner(other), None, "{other}");
        }
    }
}
