//! [`Key`]: by what name unrelated processes find a queue.

use std::fmt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use ipc_core::{Error, Result};

/// The name of a queue: a number that unrelated processes agree on, or none.
///
/// Any number but 0 is a key, negative ones too. Keys have no owner: two programs may choose the
/// same, and then [`create`](crate::QueueOptions::create) tells whose queue is there already.
/// sysvipc(7)
///
/// ```
/// use ipc_msgqueue::Key;
///
/// assert_eq!(Key::new(1963150487).to_string(), "0x75034c97");
/// assert_eq!(Key::new(-1).to_string(), "0xffffffff");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key(i32);

impl Key {
    /// No name (`IPC_PRIVATE`): a queue that only its maker and those it hands an end to can use.
    pub const PRIVATE: Key = Key(0);

    /// This number; 0 is [`Key::PRIVATE`].
    pub const fn new(value: i32) -> Self {
        Key(value)
    }

    /// The key that `ftok` makes of a file that exists and a number of the project's choice.
    ///
    /// It is `project << 24 | (device & 0xff) << 16 | inode & 0xffff`, with glibc, musl and PHP
    /// alike. So a file that is deleted and made again gives another key, and two files can give
    /// the same: of a device's files 1 in 65,536 does. A `project` of 0 is not portable.  ftok(3)
    ///
    /// # Errors
    ///
    /// [`Os`](Error::Os) if the file cannot be looked at.
    pub fn ftok(path: impl AsRef<Path>, project: u8) -> Result<Self> {
        let path = path.as_ref();
        let file = path
            .metadata()
            .map_err(|error| Error::os("ftok", path.display().to_string(), error))?;
        let [inode, device] = [file.ino().to_le_bytes(), file.dev().to_le_bytes()];
        Ok(Key(i32::from_le_bytes([
            inode[0], inode[1], device[0], project,
        ])))
    }

    /// The number.
    pub const fn get(self) -> i32 {
        self.0
    }
}

impl From<i32> for Key {
    fn from(value: i32) -> Self {
        Key(value)
    }
}

/// As `ipcs -q` prints it.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#010x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ftok_is_that_of_the_c_library() {
        for path in ["/", "/dev/null", "/proc/self/exe", "Cargo.toml"] {
            for project in [1, b'u', 0x7f, 0x80, 0xff] {
                let ours = Key::ftok(path, project).unwrap();
                assert_eq!(
                    ours.get(),
                    crate::sys::ftok(path, project),
                    "{path} {project}"
                );
                assert_eq!(ours.get() < 0, project >= 0x80);
            }
        }
    }

    #[test]
    fn ftok_names_the_missing_file() {
        let error = Key::ftok("/no/such/file", b'a').unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
        assert!(error.to_string().starts_with("ftok on /no/such/file: "));
    }
}
