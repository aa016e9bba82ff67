//! The traits through `&mut T` and `Box<T>`, and the macros by which newtypes forward them.
//!
//! Every method is forwarded, the provided ones too: a default would silently lose a fast path.
#![deny(clippy::missing_trait_methods)]

use crate::{Channel, Receiver, Sender};

/// The methods of [`Sender`], each forwarded to an expression: `forward_sender!(self => self.0);`.
#[doc(hidden)]
#[macro_export]
macro_rules! forward_sender {
    ($self:ident => $half:expr) => {
        #[inline]
        fn send_wait(&mut $self, msg: &[u8], wait: $crate::Wait) -> $crate::Result<()> {
            $crate::Sender::send_wait(&mut $half, msg, wait)
        }
        #[inline]
        fn max_len(&$self) -> usize {
            $crate::Sender::max_len(&$half)
        }
        #[inline]
        fn send(&mut $self, msg: &[u8]) -> $crate::Result<()> {
            $crate::Sender::send(&mut $half, msg)
        }
        #[inline]
        fn try_send(&mut $self, msg: &[u8]) -> $crate::Result<()> {
            $crate::Sender::try_send(&mut $half, msg)
        }
        #[inline]
        fn send_timeout(
            &mut $self,
            msg: &[u8],
            timeout: ::std::time::Duration,
        ) -> $crate::Result<()> {
            $crate::Sender::send_timeout(&mut $half, msg, timeout)
        }
        #[inline]
        fn send_many(&mut $self, msgs: &[&[u8]], wait: $crate::Wait) -> $crate::Result<usize> {
            $crate::Sender::send_many(&mut $half, msgs, wait)
        }
        #[inline]
        fn flush(&mut $self, wait: $crate::Wait) -> $crate::Result<()> {
            $crate::Sender::flush(&mut $half, wait)
        }
        #[inline]
        fn pending(&$self) -> ::std::option::Option<::std::os::fd::BorrowedFd<'_>> {
            $crate::Sender::pending(&$half)
        }
        #[inline]
        fn link(&mut $self, receiver: &mut dyn $crate::Receiver) {
            $crate::Sender::link(&mut $half, receiver)
        }
        #[inline]
        fn unlink(&mut $self) {
            $crate::Sender::unlink(&mut $half)
        }
    };
}

/// The methods of [`Receiver`], each forwarded to an expression.
#[doc(hidden)]
#[macro_export]
macro_rules! forward_receiver {
    ($self:ident => $half:expr) => {
        #[inline]
        fn recv_wait(&mut $self, wait: $crate::Wait) -> $crate::Result<()> {
            $crate::Receiver::recv_wait(&mut $half, wait)
        }
        #[inline]
        fn message(&$self) -> &[u8] {
            $crate::Receiver::message(&$half)
        }
        #[inline]
        fn recv(&mut $self) -> $crate::Result<&[u8]> {
            $crate::Receiver::recv(&mut $half)
        }
        #[inline]
        fn try_recv(&mut $self) -> $crate::Result<&[u8]> {
            $crate::Receiver::try_recv(&mut $half)
        }
        #[inline]
        fn recv_timeout(&mut $self, timeout: ::std::time::Duration) -> $crate::Result<&[u8]> {
            $crate::Receiver::recv_timeout(&mut $half, timeout)
        }
        #[inline]
        fn recv_many(
            &mut $self,
            max: usize,
            wait: $crate::Wait,
            each: &mut dyn FnMut(&[u8]),
        ) -> $crate::Result<usize> {
            $crate::Receiver::recv_many(&mut $half, max, wait, each)
        }
        #[inline]
        fn linkable(&mut $self) -> ::std::option::Option<$crate::stream::Linkable<'_>> {
            $crate::Receiver::linkable(&mut $half)
        }
    };
}

impl<T: Sender + ?Sized> Sender for &mut T {
    forward_sender!(self => **self);
}

impl<T: Sender + ?Sized> Sender for Box<T> {
    forward_sender!(self => **self);
}

impl<T: Receiver + ?Sized> Receiver for &mut T {
    forward_receiver!(self => **self);
}

impl<T: Receiver + ?Sized> Receiver for Box<T> {
    forward_receiver!(self => **self);
}

impl<T: Channel + ?Sized> Channel for &mut T {
    fn halves(&mut self) -> (&mut dyn Sender, &mut dyn Receiver) {
        (**self).halves()
    }
}

impl<T: Channel + ?Sized> Channel for Box<T> {
    fn halves(&mut self) -> (&mut dyn Sender, &mut dyn Receiver) {
        (**self).halves()
    }
}
