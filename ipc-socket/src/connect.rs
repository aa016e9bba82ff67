//! Connecting.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use crate::make::Peer;
use crate::socket::Socket;
use crate::{Address, Error, Kind, Listener, Result, SocketOptions, Wait, sys};

/// How long a connection over the loopback address may take, which the kernel makes at once.
const LOOPBACK: Duration = Duration::from_secs(10);

/// A socket that is connected to the listener at `address`.
pub(crate) fn connect(options: &SocketOptions, address: &Address, wait: Wait) -> Result<Socket> {
    let kind = options.kind_for(address)?;
    let object = format!("{kind} socket {address}");
    let fd = sys::socket(kind, address).map_err(|error| Error::os("socket", &*object, error))?;
    // The buffers are set before, since TCP agrees on its window while it connects.
    let socket = options.socket(fd, kind, Peer::Stranger, &object)?;
    let failed = |error| socket.error("connect", explained(error));
    if !socket.connect(address, wait).map_err(failed)? {
        return Err(wait.error());
    }
    // Looking for a port that nobody listens on, TCP may find itself: both ends are this socket.
    if kind == Kind::Tcp && socket.local().ok() == socket.peer().ok() {
        return Err(failed(io::ErrorKind::ConnectionRefused.into()));
    }
    Ok(socket)
}

/// Two TCP sockets that are connected to each other.
pub(crate) fn loopback(options: &SocketOptions) -> Result<(Socket, Socket)> {
    let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let listener = options.listen(any_port)?;
    let wait = Wait::from(LOOPBACK);
    let ours = connect(options, listener.address(), wait)?;
    let theirs = accept_from(&listener, &ours, wait)?;
    Ok((ours, theirs))
}

/// The other end of `ours`: somebody else may have been quicker to connect.
fn accept_from(listener: &Listener, ours: &Socket, wait: Wait) -> Result<Socket> {
    let name = ours
        .local()
        .map_err(|error| ours.error("getsockname", error))?;
    loop {
        let theirs = listener.accept_socket(wait)?;
        if theirs.peer().is_ok_and(|peer| peer == name) {
            return Ok(theirs);
        }
    }
}

/// The error, with what to do about it.
fn explained(error: io::Error) -> io::Error {
    let advice = match error.raw_os_error() {
        Some(libc::ENOENT | libc::ECONNREFUSED) => "nobody listens there; start the server first",
        Some(libc::EPROTOTYPE) => "it listens for another kind of unix socket",
        Some(libc::EACCES) => "its file's mode lets only its owner connect",
        _ => return error,
    };
    io::Error::new(error.kind(), format!("{error}: {advice}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stranger_at_the_loopback_listener_is_turned_away() {
        let options = SocketOptions::new();
        let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let listener = options.listen(any_port).unwrap();
        let _stranger = connect(&options, listener.address(), Wait::Forever).unwrap();
        let ours = connect(&options, listener.address(), Wait::Forever).unwrap();
        let theirs = accept_from(&listener, &ours, Wait::Forever).unwrap();
        assert_eq!(theirs.peer().unwrap(), ours.local().unwrap());
        assert_eq!(theirs.local().unwrap(), ours.peer().unwrap());
    }
}
