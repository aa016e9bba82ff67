//! Listeners driven by tokio.

use super::Async;
use super::watch::Way;
use crate::{Ready, Result};

/// A listener whose connections an [`Async`] can accept.
pub trait Accept: Ready {
    /// An end of a connection.
    type End;

    /// Accepts a connection that is there, else returns [`WouldBlock`](crate::Error::WouldBlock), only
    /// after the kernel said `EAGAIN`.
    ///
    /// # Errors
    ///
    /// The listener's.
    fn try_accept(&self) -> Result<Self::End>;
}

impl<L: Accept> Async<L> {
    /// Accepts the next connection, whose end is ready to be made [`Async`] in its turn. One that is
    /// dropped has accepted none.
    ///
    /// # Errors
    ///
    /// The listener's, but for [`WouldBlock`](crate::Error::WouldBlock).
    pub async fn accept(&mut self) -> Result<L::End> {
        self.drive(Way::In, |listener| listener.try_accept()).await
    }
}
