//! Where a listener is found.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::{Error, Result};

/// Where a listener is found. As text, an abstract name begins with `@`, and a path has a slash.
///
/// ```
/// use ipc_shm::Address;
/// use std::path::Path;
///
/// assert_eq!("/run/app.ring".parse::<Address>()?, Path::new("/run/app.ring").into());
/// assert_eq!("@app".parse::<Address>()?, Address::Abstract(b"app".to_vec()));
/// assert!("app.ring".parse::<Address>().is_err()); // write ./app.ring
/// # Ok::<(), ipc_shm::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    /// A file of type socket, of up to 107 bytes. Who may connect is told by its mode.  unix(7)
    Path(PathBuf),
    /// A name outside the file system, of up to 107 bytes. It is gone with its listener, and
    /// everybody in the network namespace may connect.  unix(7)
    Abstract(Vec<u8>),
}

impl From<&Path> for Address {
    fn from(path: &Path) -> Self {
        Address::Path(path.to_owned())
    }
}

impl From<PathBuf> for Address {
    fn from(path: PathBuf) -> Self {
        Address::Path(path)
    }
}

impl From<&Address> for Address {
    fn from(address: &Address) -> Self {
        address.clone()
    }
}

impl FromStr for Address {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text.strip_prefix('@') {
            Some(name) => Ok(Address::Abstract(name.into())),
            None if text.contains('/') => Ok(Address::Path(text.into())),
            None => {
                let reason = "neither an abstract @name nor a path with a slash";
                let error = io::Error::new(io::ErrorKind::InvalidInput, reason);
                Err(Error::os("bind", format!("address {text:?}"), error))
            }
        }
    }
}

/// As it is parsed.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Path(path) => path.display().fmt(f),
            Address::Abstract(name) => write!(f, "@{}", String::from_utf8_lossy(name)),
        }
    }
}
