//! Who is at the other end.

use std::io;
use std::os::fd::OwnedFd;

use crate::socket::Socket;
use crate::{Kind, Result, SocketReceiver, SocketSender, sys};

/// Who is at the other end of a unix socket, by the kernel's word: who connected, listened or made
/// the pair, at that time. It may have handed its end on since.  unix(7), `SO_PEERCRED`
///
/// Here a server serves its own user and nobody else. An error is a no: the `?` hangs up, too.
///
/// ```
/// # use ipc_socket::{Address, Error, Result};
/// use std::os::unix::fs::MetadataExt;
///
/// # fn main() -> Result<()> {
/// # let address: Address = format!("@ipc-socket-credentials-{}", std::process::id()).parse()?;
/// # let listener = ipc_socket::listen(&address)?;
/// # let _client = ipc_socket::connect(&address)?;
/// let own = std::fs::metadata("/proc/self").unwrap().uid();
/// let mut client = listener.accept()?;
/// if client.receiver().credentials()?.uid != own {
///     drop(client);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Credentials {
    /// The process; `None` if it is in a pid namespace that is not seen from here. Good for a log
    /// only: once the process is gone its number is given to another. To signal it or to learn of
    /// its death use its pidfd.
    pub pid: Option<u32>,
    /// The effective user. One that the user namespace here does not know is 65,534 ("nobody"), as
    /// many are: never let that one in.
    pub uid: u32,
    /// The effective group, as with the user.
    pub gid: u32,
}

impl Socket {
    /// Who is at the other end of a unix socket.
    pub(crate) fn credentials(&self) -> Result<Credentials> {
        self.only_unix(sys::credentials)
            .map_err(|error| self.error("getsockopt(SO_PEERCRED)", error))
    }

    /// A pidfd of the process at the other end of a unix socket.
    pub(crate) fn pidfd(&self) -> Result<OwnedFd> {
        self.only_unix(sys::pidfd)
            .map_err(|error| self.error("getsockopt(SO_PEERPIDFD)", error))
    }

    /// Asks what TCP has no answer to: the kernel would give one that means nobody.
    fn only_unix<T>(&self, ask: impl FnOnce(&Socket) -> io::Result<T>) -> io::Result<T> {
        match self.kind() {
            Kind::Unix | Kind::Seqpacket => ask(self),
            Kind::Tcp => Err(io::ErrorKind::Unsupported.into()),
        }
    }
}

/// Each half tells who is at the other end: the same methods for both.
macro_rules! who_is_there {
    ($half:ty) => {
        impl $half {
            /// Who is at the other end.  unix(7), `SO_PEERCRED`
            ///
            /// # Errors
            ///
            /// [`Os`](crate::Error::Os) on TCP, where nobody can say, and if the kernel does not
            /// tell. Whoever is not known is not to be served.
            pub fn credentials(&self) -> Result<Credentials> {
                self.inner.socket().credentials()
            }

            /// A pidfd of the process at the other end, closed on exec: it stays that process's,
            /// whatever becomes of its number, and turns readable when it ends. Linux 6.5.
            /// socket(7), `SO_PEERPIDFD`
            ///
            /// # Errors
            ///
            /// As [`credentials`](Self::credentials), on older kernels, and on some for a process
            /// that is gone.
            pub fn pidfd(&self) -> Result<OwnedFd> {
                self.inner.socket().pidfd()
            }
        }
    };
}

who_is_there!(SocketSender);
who_is_there!(SocketReceiver);
