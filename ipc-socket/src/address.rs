//! Where a listener is found.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::{Error, Result};

/// Where a listener is found.
///
/// As text, an abstract name begins with `@`, a path has a slash, and the rest is `IP:PORT`. Host
/// names are not looked up.
///
/// ```
/// use ipc_socket::Address;
/// use std::path::Path;
///
/// assert_eq!("/run/app.sock".parse::<Address>()?, Path::new("/run/app.sock").into());
/// assert_eq!("@app".parse::<Address>()?, Address::Abstract(b"app".to_vec()));
/// assert!(matches!("127.0.0.1:9501".parse()?, Address::Tcp(_)));
/// assert!("app.sock".parse::<Address>().is_err()); // write ./app.sock
/// # Ok::<(), ipc_socket::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    /// A file of type socket, of up to 107 bytes. Who may connect is told by its mode.  unix(7)
    Path(PathBuf),
    /// A name outside the file system, of up to 107 bytes. It is gone with its listener, and
    /// everybody in the network namespace may connect.  unix(7)
    Abstract(Vec<u8>),
    /// An IP address and a port; port 0 lets the kernel choose.  tcp(7)
    Tcp(SocketAddr),
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

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        Address::Tcp(address)
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
        if let Some(name) = text.strip_prefix('@') {
            return Ok(Address::Abstract(name.into()));
        }
        if text.contains('/') {
            return Ok(Address::Path(text.into()));
        }
        text.parse().map(Address::Tcp).map_err(|_| {
            let reason = "neither an abstract @name, nor a path with a slash, nor IP:PORT";
            let error = io::Error::new(io::ErrorKind::InvalidInput, reason);
            Error::os("inet_pton", format!("address {text:?}"), error)
        })
    }
}

/// As it is parsed.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Path(path) => path.display().fmt(f),
            Address::Abstract(name) => write!(f, "@{}", String::from_utf8_lossy(name)),
            Address::Tcp(address) => address.fmt(f),
        }
    }
}
