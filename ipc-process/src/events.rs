//! What signals and ticks have in common: waiting for a descriptor that tells them.

use std::io;

use ipc_core::{Error, Ready, Result, Wait};

/// Tries `take` until it no longer would block, or `wait` is over.
pub(crate) fn take<S: Ready, T>(
    source: &mut S,
    wait: Wait,
    mut take: impl FnMut(&mut S) -> Result<T>,
) -> Result<T> {
    loop {
        match take(source) {
            Err(Error::WouldBlock) => {}
            taken => return taken,
        }
        let (fd, interest) = source.fd();
        if !ipc_core::poll(fd, interest, wait)? {
            return Err(wait.error());
        }
    }
}

/// The error of a read that must not wait.
pub(crate) fn read_error(object: &'static str) -> impl FnOnce(io::Error) -> Error {
    move |error| match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Error::WouldBlock,
        _ => Error::os("read", object, error),
    }
}
