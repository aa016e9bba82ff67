//! Halves driven by tokio: [`Async`].

mod accept;
mod watch;

pub use accept::Accept;

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::task::coop;
use tokio::time::{Sleep, sleep_until};
use watch::{Watch, Way, clear, note};

use crate::{Error, Interest, Ready, Receiver, Result, Sender, Wait};

/// A half or an endpoint that is [`Ready`], driven by tokio: its operations wait without a thread.
///
/// Everything is cancel-safe. A [`recv`](Async::recv) that is dropped loses nothing; a dropped
/// [`send`](Async::send) has sent nothing, or has had its message accepted whole: what is left of it
/// goes out first with the next operation, for an endpoint a `recv` too. So every one may stand in
/// `tokio::select!`. As with the blocking halves, two endpoints that each send a large message
/// before they receive do not hang.
///
/// ```
/// use ipc_core::Async;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> ipc_core::Result<()> {
/// let (ours, theirs) = ipc_pipe::pair()?;
/// let (mut ours, mut theirs) = (Async::new(ours)?, Async::new(theirs)?);
/// let echo = tokio::spawn(async move {
///     let request = theirs.recv().await?.to_vec();
///     theirs.send(&request).await
/// });
/// ours.send(b"hello").await?;
/// assert_eq!(ours.recv().await?, b"hello");
/// echo.await.unwrap()
/// # }
/// ```
///
/// For a task each, [split](crate::Duplex::split) an endpoint first and make two halves of it
/// asynchronous.
pub struct Async<H> {
    half: H,
    /// The half's own descriptor; that of an endpoint is about receiving.
    fd: Watch,
    /// An endpoint's descriptor for sending. Registered when a send first has to wait: on a socket,
    /// every message that the peer reads would wake the reactor.
    room: Option<Watch>,
    /// There was nothing left after a receive: `fd` tells of what came since.
    drained: bool,
}

impl<H: Ready> Async<H> {
    /// Registers `half` with the reactor of the current tokio runtime, and with no other from then
    /// on.
    ///
    /// # Errors
    ///
    /// [`Os`](Error::Os) outside a runtime, and if there are no descriptors left: one is duplicated,
    /// for an endpoint that had to wait for room two.
    ///
    /// # Panics
    ///
    /// If the runtime was built without `enable_io`; and a receive does, if a half has a
    /// [`deadline`](Ready::deadline) and the runtime was built without `enable_time`.
    pub fn new(half: H) -> Result<Self> {
        let fd = Watch::new(half.fd())?;
        Ok(Async {
            half,
            fd,
            room: None,
            drained: false,
        })
    }

    /// Tries `op`, which must not wait, until it no longer would block: for what one mechanism alone
    /// has. `interest` says which way it goes.
    ///
    /// It is as cancel-safe as `op`: if this is dropped, every `op` so far would have blocked.
    ///
    /// # Errors
    ///
    /// Those of `op`, but for [`WouldBlock`](Error::WouldBlock), which it must return only after the
    /// kernel said `EAGAIN`.
    pub async fn async_io<T>(
        &mut self,
        interest: Interest,
        op: impl FnMut(&mut H) -> Result<T>,
    ) -> Result<T> {
        let way = match interest {
            Interest::Read => Way::In,
            Interest::Write => Way::Out,
        };
        self.drive(way, op).await
    }

    /// Tries `op` until it no longer would block.
    async fn drive<T>(&mut self, way: Way, mut op: impl FnMut(&mut H) -> Result<T>) -> Result<T> {
        // Where there is always a message, other tasks get their turn all the same.
        coop::consume_budget().await;
        let mut timer = None;
        poll_fn(|cx| self.poll(cx, way, &mut op, &mut timer)).await
    }

    fn poll<T>(
        &mut self,
        cx: &mut Context<'_>,
        way: Way,
        op: &mut impl FnMut(&mut H) -> Result<T>,
        timer: &mut Option<Pin<Box<Sleep>>>,
    ) -> Poll<Result<T>> {
        let Async {
            half,
            fd,
            room,
            drained,
        } = self;
        loop {
            let both = way == Way::Out || half.tail().is_some();
            let watched = room.as_ref().filter(|_| both);
            // Only readiness from before a try is refuted by it; what comes later is kept.
            let refuted = note(fd, watched, way, cx)?;
            let told = refuted.iter().any(Option::is_some);
            let in_vain = way == Way::Receive && !both && *drained && !told;
            if in_vain && !arm(half, way)? && !is_late(half, way, timer, cx) {
                return Poll::Pending;
            }
            match op(half) {
                Err(Error::WouldBlock) => {}
                done => {
                    let emptied = way == Way::Receive && half.is_drained();
                    if emptied {
                        clear(refuted);
                    }
                    *drained = emptied || (*drained && !told);
                    return Poll::Ready(done);
                }
            }
            // A sender that waits takes in what arrives, but not without end.
            *drained = false;
            let ready = arm(half, way)?;
            clear(refuted);
            if both && room.is_none() {
                if let Some(sender) = half.sending() {
                    *room = Some(Watch::new(sender.fd())?);
                    continue;
                }
            }
            let watched = room.as_ref().filter(|_| both);
            let waits = !ready && note(fd, watched, way, cx)?.iter().all(Option::is_none);
            if waits && !is_late(half, way, timer, cx) {
                return Poll::Pending;
            }
        }
    }
}

impl<H: Sender + Ready> Async<H> {
    /// Sends `msg`, and returns when the kernel has all of it.
    ///
    /// # Errors
    ///
    /// Those of [`Sender::send_wait`].
    pub async fn send(&mut self, msg: &[u8]) -> Result<()> {
        let mut accepted = false;
        self.drive(Way::Out, |half| {
            if !accepted {
                half.try_send(msg)?;
                accepted = true;
            }
            half.flush(Wait::Never)
        })
        .await
    }

    /// Sends all of `msgs` with as few system calls as the mechanism allows, and returns how many
    /// were accepted: fewer than all before one that fails, as the next call will tell.
    ///
    /// If it is dropped, whole messages have been accepted, the first few of them.
    ///
    /// # Errors
    ///
    /// Those of [`Sender::send_wait`], if the first fails.
    pub async fn send_many(&mut self, msgs: &[&[u8]]) -> Result<usize> {
        let mut accepted = 0;
        self.drive(Way::Out, |half| {
            while accepted < msgs.len() {
                match half.send_many(&msgs[accepted..], Wait::Never) {
                    Ok(more) => accepted += more,
                    Err(Error::WouldBlock) => return Err(Error::WouldBlock),
                    Err(_) if accepted > 0 => break,
                    Err(error) => return Err(error),
                }
            }
            half.flush(Wait::Never)?;
            Ok(accepted)
        })
        .await
    }

    /// Waits until the kernel has everything that was accepted.
    pub async fn flush(&mut self) -> Result<()> {
        self.drive(Way::Out, |half| half.flush(Wait::Never)).await
    }
}

impl<H: Receiver + Ready> Async<H> {
    /// Receives the next message.
    ///
    /// # Errors
    ///
    /// Those of [`Receiver::recv_wait`].
    pub async fn recv(&mut self) -> Result<&[u8]> {
        self.drive(Way::Receive, |half| half.recv_wait(Wait::Never))
            .await?;
        Ok(self.half.message())
    }

    /// Waits for one message, then takes those that are there, up to `max`, as
    /// [`Receiver::recv_many`] does; returns how many.
    ///
    /// # Errors
    ///
    /// Only if none was received.
    pub async fn recv_many(&mut self, max: usize, mut each: impl FnMut(&[u8])) -> Result<usize> {
        self.drive(Way::Receive, |half| {
            half.recv_many(max, Wait::Never, &mut each)
        })
        .await
    }
}

impl<H> Async<H> {
    /// The half, for what is particular to its mechanism. It must not be exchanged for another: its
    /// descriptor is registered.
    pub fn get_mut(&mut self) -> &mut H {
        &mut self.half
    }

    /// The half, to be used without tokio.
    pub fn into_inner(self) -> H {
        self.half
    }
}

impl<H: fmt::Debug> fmt::Debug for Async<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Async").field(&self.half).finish()
    }
}

/// Whether a receive has to be tried again though nothing turned ready; else the task is woken then.
fn is_late<H: Ready>(
    half: &H,
    way: Way,
    timer: &mut Option<Pin<Box<Sleep>>>,
    cx: &mut Context<'_>,
) -> bool {
    let Some(deadline) = half.deadline().filter(|_| way != Way::Out) else {
        return false;
    };
    let timer = timer.get_or_insert_with(|| Box::pin(sleep_until(deadline.into())));
    timer.as_mut().reset(deadline.into());
    timer.as_mut().poll(cx).is_ready()
}

/// Prepares for sleep. The two ways of an endpoint help each other: before it waits for a message it
/// sends a tail on, and before it waits for room it takes in what has arrived.
fn arm<H: Ready>(half: &mut H, way: Way) -> Result<bool> {
    match (way, half.sending()) {
        (Way::Out, Some(sender)) => sender.arm(),
        _ => half.arm(),
    }
}
