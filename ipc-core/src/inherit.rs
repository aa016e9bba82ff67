//! Ends that cross a fork or an exec.

use std::os::fd::{BorrowedFd, OwnedFd};

use crate::{Error, Result, Spin};

/// An end that can cross a fork, where its descriptors are simply there, or an exec, where it is
/// taken into parts and put together again.
///
/// `()`, pairs, triples and vectors of ends are ends too: hand a child several at once.
///
/// ```
/// use ipc_core::{Inherit, Receiver, Sender};
///
/// let (mut tx, rx) = ipc_pipe::channel()?;
/// tx.send(b"hello")?;
/// let (fds, state) = rx.into_parts()?; // to be passed on, in whatever way
/// let mut rx = ipc_pipe::PipeReceiver::from_parts(fds, &state)?;
/// assert_eq!(rx.recv()?, b"hello");
/// # Ok::<(), ipc_core::Error>(())
/// ```
pub trait Inherit: Sized {
    /// Calls `each` with every descriptor that this end holds.
    fn fds(&self, each: &mut dyn FnMut(BorrowedFd<'_>));

    /// The descriptors, and everything else that the end is made of.
    ///
    /// # Errors
    ///
    /// When a descriptor that is shared with another half cannot be duplicated.
    fn into_parts(self) -> Result<(Vec<OwnedFd>, Vec<u8>)>;

    /// The end again. The state may come from a stranger: it is checked.
    ///
    /// # Errors
    ///
    /// [`Malformed`](Error::Malformed) for parts that are not those of such an end.
    fn from_parts(fds: Vec<OwnedFd>, state: &[u8]) -> Result<Self>;

    /// Restores what a fork took, from the child's end or from the one that stays here: pages that
    /// were touched beforehand. `ipc_process::fork` calls it in both processes; after a fork(2) of
    /// your own it is yours to call.
    fn forked(&self) {}
}

impl Inherit for () {
    fn fds(&self, _: &mut dyn FnMut(BorrowedFd<'_>)) {}

    fn into_parts(self) -> Result<(Vec<OwnedFd>, Vec<u8>)> {
        Ok((Vec::new(), Vec::new()))
    }

    fn from_parts(fds: Vec<OwnedFd>, state: &[u8]) -> Result<Self> {
        let rest = Reader::new(state);
        if fds.is_empty() {
            rest.end()
        } else {
            Err(foreign())
        }
    }
}

impl<A: Inherit, B: Inherit> Inherit for (A, B) {
    fn fds(&self, each: &mut dyn FnMut(BorrowedFd<'_>)) {
        self.0.fds(each);
        self.1.fds(each);
    }

    fn into_parts(self) -> Result<(Vec<OwnedFd>, Vec<u8>)> {
        Ok(join([self.0.into_parts()?, self.1.into_parts()?]))
    }

    fn from_parts(fds: Vec<OwnedFd>, state: &[u8]) -> Result<Self> {
        let mut parts = Parts {
            fds,
            state: Reader::new(state),
        };
        let ends = (parts.next()?, parts.next()?);
        parts.state.end()?;
        Ok(ends)
    }

    fn forked(&self) {
        self.0.forked();
        self.1.forked();
    }
}

impl<A: Inherit, B: Inherit, C: Inherit> Inherit for (A, B, C) {
    fn fds(&self, each: &mut dyn FnMut(BorrowedFd<'_>)) {
        self.0.fds(each);
        self.1.fds(each);
        self.2.fds(each);
    }

    fn into_parts(self) -> Result<(Vec<OwnedFd>, Vec<u8>)> {
        Ok(join([
            self.0.into_parts()?,
            self.1.into_parts()?,
            self.2.into_parts()?,
        ]))
    }

    fn from_parts(fds: Vec<OwnedFd>, state: &[u8]) -> Result<Self> {
        let mut parts = Parts {
            fds,
            state: Reader::new(state),
        };
        let ends = (parts.next()?, parts.next()?, parts.next()?);
        parts.state.end()?;
        Ok(ends)
    }

    fn forked(&self) {
        self.0.forked();
        self.1.forked();
        self.2.forked();
    }
}

impl<T: Inherit> Inherit for Vec<T> {
    fn fds(&self, each: &mut dyn FnMut(BorrowedFd<'_>)) {
        for end in self {
            end.fds(each);
        }
    }

    fn into_parts(self) -> Result<(Vec<OwnedFd>, Vec<u8>)> {
        Ok(join(
            self.into_iter()
                .map(T::into_parts)
                .collect::<Result<Vec<_>>>()?,
        ))
    }

    fn from_parts(fds: Vec<OwnedFd>, state: &[u8]) -> Result<Self> {
        let mut parts = Parts {
            fds,
            state: Reader::new(state),
        };
        let mut ends = Vec::new();
        while !parts.state.is_empty() {
            ends.push(parts.next()?);
        }
        Ok(ends)
    }

    fn forked(&self) {
        self.iter().for_each(T::forked);
    }
}

/// The parts of several ends as one: per end the number of its descriptors, then its state.
fn join(ends: impl IntoIterator<Item = (Vec<OwnedFd>, Vec<u8>)>) -> (Vec<OwnedFd>, Vec<u8>) {
    let (mut fds, mut state) = (Vec::new(), Writer::new());
    for (own, bytes) in ends {
        state.len(own.len()).bytes(&bytes);
        fds.extend(own);
    }
    (fds, state.finish())
}

/// The parts that [`join`] joined, end by end.
struct Parts<'a> {
    fds: Vec<OwnedFd>,
    state: Reader<'a>,
}

impl Parts<'_> {
    fn next<T: Inherit>(&mut self) -> Result<T> {
        let count = self.state.len()?;
        let state = self.state.bytes()?;
        if count > self.fds.len() {
            return Err(foreign());
        }
        let rest = self.fds.split_off(count);
        T::from_parts(std::mem::replace(&mut self.fds, rest), state)
    }
}

fn foreign() -> Error {
    Error::malformed("inherited end", "these are not the parts of such an end")
}

/// Writes an end's state: numbers and byte strings, in order.
#[derive(Debug, Default)]
pub struct Writer(Vec<u8>);

impl Writer {
    /// An empty state.
    pub fn new() -> Self {
        Writer::default()
    }

    /// Appends a number.
    pub fn u64(&mut self, value: u64) -> &mut Self {
        self.0.extend_from_slice(&value.to_le_bytes());
        self
    }

    /// Appends a size.
    pub fn len(&mut self, value: usize) -> &mut Self {
        self.u64(value as u64)
    }

    /// Appends a polling policy.
    pub fn spin(&mut self, spin: Spin) -> &mut Self {
        self.u64(spin as u64)
    }

    /// Appends a byte string.
    pub fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.len(bytes.len()).0.extend_from_slice(bytes);
        self
    }

    /// The state.
    pub fn finish(self) -> Vec<u8> {
        self.0
    }
}

/// Reads what a [`Writer`] wrote; whatever does not fit is [`Malformed`](Error::Malformed).
#[derive(Debug)]
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Reads `state` from its start.
    pub fn new(state: &'a [u8]) -> Self {
        Reader(state)
    }

    /// The next number.
    pub fn u64(&mut self) -> Result<u64> {
        let (value, rest) = self.0.split_first_chunk().ok_or_else(foreign)?;
        self.0 = rest;
        Ok(u64::from_le_bytes(*value))
    }

    /// The next polling policy.
    pub fn spin(&mut self) -> Result<Spin> {
        let value = self.u64()?;
        let all = [Spin::Adaptive, Spin::Never, Spin::Always];
        all.into_iter()
            .find(|&spin| spin as u64 == value)
            .ok_or_else(foreign)
    }

    /// The next size.
    pub fn len(&mut self) -> Result<usize> {
        usize::try_from(self.u64()?).map_err(|_| foreign())
    }

    /// The next byte string.
    pub fn bytes(&mut self) -> Result<&'a [u8]> {
        let len = self.len()?;
        let (bytes, rest) = self.0.split_at_checked(len).ok_or_else(foreign)?;
        self.0 = rest;
        Ok(bytes)
    }

    /// Whether all has been read.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Checks that all has been read.
    pub fn end(self) -> Result<()> {
        if self.is_empty() {
            Ok(())
        } else {
            Err(foreign())
        }
    }
}
