//! Asynchronous pipes on both of tokio's schedulers, and futures that are dropped.
#![allow(dead_code, reason = "each test needs a part")]

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use ipc_core::Async;
use ipc_pipe::{PipeDuplex, PipeReceiver, PipeSender};
use tokio::runtime::Builder;
use tokio::time::timeout;

/// Larger than a pipe, so that it takes several waits.
pub(crate) const LARGE: usize = 1 << 20;
/// A hang is a failure.
pub(crate) const WATCHDOG: Duration = Duration::from_secs(20);

pub(crate) fn channel() -> (Async<PipeSender>, Async<PipeReceiver>) {
    let (tx, rx) = ipc_pipe::channel().unwrap();
    (Async::new(tx).unwrap(), Async::new(rx).unwrap())
}

pub(crate) fn pair() -> (Async<PipeDuplex>, Async<PipeDuplex>) {
    let (a, b) = ipc_pipe::pair().unwrap();
    (Async::new(a).unwrap(), Async::new(b).unwrap())
}

pub(crate) fn on_both_schedulers<F: Future<Output = ()>>(test: impl Fn() -> F) {
    let single = Builder::new_current_thread().enable_all().build();
    let multi = Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    for runtime in [single, multi] {
        runtime
            .unwrap()
            .block_on(async { timeout(WATCHDOG, test()).await.expect("it hangs") });
    }
}

/// Polls `future` at most `polls` times, then drops it.
pub(crate) async fn cancel_after<F: Future>(polls: usize, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut left = polls;
    poll_fn(|cx| {
        let polled = match left {
            0 => Poll::Pending,
            _ => future.as_mut().poll(cx),
        };
        left = left.saturating_sub(1);
        match polled {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// Message `i`: its number, and a length from none to several pipes full.
pub(crate) fn message(i: u32) -> Vec<u8> {
    let len = [0, 10, 5_000, 70_000, 10, 200_000][i as usize % 6];
    let number = i.to_be_bytes();
    let mut message = vec![number[3]; number.len() + len];
    message[..number.len()].copy_from_slice(&number);
    message
}

pub(crate) fn number(message: &[u8]) -> u32 {
    u32::from_be_bytes(*message.first_chunk().unwrap())
}
