//! `Async` over pipes, on both of tokio's schedulers.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use ipc_core::{Async, Error, Receiver, Sender, Wait};
use ipc_pipe::{PipeDuplex, PipeReceiver, PipeSender};
use nix::fcntl::OFlag;
use tokio::runtime::Builder;
use tokio::task::yield_now;
use tokio::time::timeout;

/// Larger than a pipe, so that it takes several waits.
const LARGE: usize = 1 << 20;
/// A hang is a failure.
const WATCHDOG: Duration = Duration::from_secs(20);

fn channel() -> (Async<PipeSender>, Async<PipeReceiver>) {
    let (tx, rx) = ipc_pipe::channel().unwrap();
    (Async::new(tx).unwrap(), Async::new(rx).unwrap())
}

fn pair() -> (Async<PipeDuplex>, Async<PipeDuplex>) {
    let (a, b) = ipc_pipe::pair().unwrap();
    (Async::new(a).unwrap(), Async::new(b).unwrap())
}

fn on_both_schedulers<F: Future<Output = ()>>(test: impl Fn() -> F) {
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
async fn cancel_after<F: Future>(polls: usize, future: F) -> Option<F::Output> {
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
fn message(i: u32) -> Vec<u8> {
    let len = [0, 10, 5_000, 70_000, 10, 200_000][i as usize % 6];
    let number = i.to_be_bytes();
    let mut message = vec![number[3]; number.len() + len];
    message[..number.len()].copy_from_slice(&number);
    message
}

fn number(message: &[u8]) -> u32 {
    u32::from_be_bytes(*message.first_chunk().unwrap())
}

#[test]
fn messages_pass_whole_and_in_order_both_ways_at_once() {
    on_both_schedulers(|| async {
        let (a, b) = ipc_pipe::pair().unwrap();
        let mut tasks = Vec::new();
        for end in [a, b] {
            let (tx, rx) = end.split();
            let (mut tx, mut rx) = (Async::new(tx).unwrap(), Async::new(rx).unwrap());
            tasks.push(tokio::spawn(async move {
                for i in 0..300 {
                    tx.send(&message(i)).await.unwrap();
                }
            }));
            tasks.push(tokio::spawn(async move {
                for i in 0..300 {
                    assert_eq!(rx.recv().await.unwrap(), message(i));
                }
            }));
        }
        for task in tasks {
            task.await.unwrap();
        }
    });
}

#[test]
fn both_ends_may_send_a_large_message_before_they_receive() {
    on_both_schedulers(|| async {
        let (mut a, mut b) = pair();
        let swap = async |end: &mut Async<PipeDuplex>, ours: Vec<u8>, theirs: Vec<u8>| {
            for _ in 0..3 {
                end.send(&ours).await.unwrap();
                assert_eq!(end.recv().await.unwrap(), theirs);
            }
        };
        let (small, large) = (vec![b'a'; LARGE], vec![b'b'; 2 * LARGE]);
        tokio::join!(
            swap(&mut a, small.clone(), large.clone()),
            swap(&mut b, large, small)
        );
    });
}

#[test]
fn a_receive_dropped_at_any_await_loses_nothing() {
    let dropped = Cell::new(0);
    on_both_schedulers(|| async {
        for polls in 1..4 {
            let (mut tx, mut rx) = channel();
            let sending = tokio::spawn(async move {
                for i in 0..60 {
                    tx.send(&message(i)).await.unwrap();
                }
            });
            let mut received = 0;
            while received < 60 {
                match cancel_after(polls, rx.recv()).await {
                    None => dropped.set(dropped.get() + 1),
                    Some(got) => {
                        assert_eq!(got.unwrap(), message(received));
                        received += 1;
                    }
                }
                yield_now().await;
            }
            sending.await.unwrap();
        }
    });
    assert!(dropped.get() > 10, "only {}", dropped.get());
}

#[test]
fn a_send_dropped_at_any_await_has_sent_the_message_whole_or_not_at_all() {
    const COUNT: u32 = 300;
    let (whole, none) = (Cell::new(0), Cell::new(0));
    on_both_schedulers(|| async {
        for polls in 0..6 {
            let (mut tx, mut rx) = channel();
            let receiving = tokio::spawn(async move {
                let mut numbers = Vec::new();
                loop {
                    match rx.recv().await {
                        Ok(got) => {
                            let i = number(got);
                            assert_eq!(got, message(i));
                            numbers.push(i);
                        }
                        Err(Error::Disconnected) => return numbers,
                        Err(error) => panic!("{error}"),
                    }
                    yield_now().await;
                }
            });
            let mut finished = Vec::new();
            for i in 0..COUNT {
                if let Some(sent) = cancel_after(polls, tx.send(&message(i))).await {
                    sent.unwrap();
                    finished.push(i);
                }
            }
            tx.flush().await.unwrap();
            drop(tx);
            let numbers = receiving.await.unwrap();
            assert!(
                numbers.is_sorted_by(|a, b| a < b),
                "doubled or out of order"
            );
            assert!(finished.iter().all(|i| numbers.contains(i)), "lost");
            whole.set(whole.get() + numbers.len() - finished.len());
            none.set(none.get() + COUNT as usize - numbers.len());
        }
    });
    assert!(whole.get() > 10 && none.get() > 10, "{whole:?} {none:?}");
}

#[test]
fn a_batch_dropped_at_any_await_has_sent_its_first_messages() {
    on_both_schedulers(|| async {
        for polls in 0..8 {
            let (mut tx, mut rx) = channel();
            let messages: Vec<_> = (0..30).map(message).collect();
            let refs: Vec<_> = messages.iter().map(Vec::as_slice).collect();
            let receiving = tokio::spawn(async move {
                let mut expected = 0;
                while rx
                    .recv_many(7, |got| {
                        assert_eq!(got, message(expected));
                        expected += 1;
                    })
                    .await
                    .is_ok()
                {}
                expected
            });
            let sent = cancel_after(polls, tx.send_many(&refs)).await;
            tx.flush().await.unwrap();
            drop(tx);
            let received = receiving.await.unwrap();
            assert!(received <= 30);
            if let Some(sent) = sent {
                assert_eq!((sent.unwrap(), received), (30, 30));
            }
        }
    });
}

#[test]
fn a_batch_ends_before_a_message_that_is_too_large() {
    on_both_schedulers(|| async {
        let (tx, rx) = ipc_pipe::PipeOptions::new().max_len(4).channel().unwrap();
        let (mut tx, mut rx) = (Async::new(tx).unwrap(), Async::new(rx).unwrap());
        assert_eq!(tx.send_many(&[b"one", b"two", b"three"]).await.unwrap(), 2);
        let error = tx.send_many(&[b"three"]).await.unwrap_err();
        assert!(matches!(error, Error::TooLarge { len: 5, .. }), "{error}");
        tx.send(b"four").await.unwrap();
        for expected in ["one", "two", "four"] {
            assert_eq!(rx.recv().await.unwrap(), expected.as_bytes());
        }
    });
}

#[test]
fn a_receive_sends_on_what_a_dropped_send_left() {
    on_both_schedulers(|| async {
        let (mut a, mut b) = pair();
        assert!(cancel_after(1, a.send(&vec![1; LARGE])).await.is_none());
        assert!(a.get_mut().pending().is_some());
        let echo = tokio::spawn(async move {
            let got = b.recv().await.unwrap().to_vec();
            b.send(&got).await.unwrap();
        });
        assert_eq!(a.recv().await.unwrap(), vec![1; LARGE]);
        echo.await.unwrap();
    });
}

#[test]
fn select_over_two_receivers_loses_nothing() {
    on_both_schedulers(|| async {
        let ((mut tx1, mut rx1), (mut tx2, mut rx2)) = (channel(), channel());
        let sending = tokio::spawn(async move {
            for i in 0..300 {
                tx1.send(&message(i)).await.unwrap();
                tx2.send(&message(i)).await.unwrap();
            }
        });
        let (mut first, mut second) = (0, 0);
        while first + second < 600 {
            tokio::select! {
                got = rx1.recv(), if first < 300 => {
                    assert_eq!(got.unwrap(), message(first));
                    first += 1;
                }
                got = rx2.recv(), if second < 300 => {
                    assert_eq!(got.unwrap(), message(second));
                    second += 1;
                }
            }
        }
        sending.await.unwrap();
    });
}

#[test]
fn a_dead_peer_wakes_both_ways() {
    on_both_schedulers(|| async {
        let (mut tx, mut rx) = channel();
        let receiving = tokio::spawn(async move {
            assert_eq!(rx.recv().await.unwrap(), b"last words");
            rx.recv().await.map(<[u8]>::len)
        });
        tokio::time::sleep(Duration::from_millis(10)).await;
        tx.send(b"last words").await.unwrap();
        drop(tx);
        let ended = receiving.await.unwrap();
        assert!(matches!(ended, Err(Error::Disconnected)), "{ended:?}");

        let (mut tx, rx) = channel();
        let sending = tokio::spawn(async move { tx.send(&vec![1; LARGE]).await });
        tokio::time::sleep(Duration::from_millis(10)).await;
        drop(rx);
        let ended = sending.await.unwrap();
        assert!(matches!(ended, Err(Error::Disconnected)), "{ended:?}");
    });
}

/// How often `future` is polled in 50 ms.
async fn polls<F: Future>(mut future: Pin<&mut F>) -> u32 {
    let mut polls = 0;
    let counted = poll_fn(|cx| {
        polls += 1;
        future.as_mut().poll(cx)
    });
    assert!(timeout(Duration::from_millis(50), counted).await.is_err());
    polls
}

#[test]
fn a_receive_that_waits_sleeps() {
    on_both_schedulers(|| async {
        let (mut tx, mut rx) = channel();
        for _ in 0..3 {
            tx.send(b"hello").await.unwrap();
            assert_eq!(rx.recv().await.unwrap(), b"hello");
            assert!(polls(pin!(rx.recv())).await < 10);
        }
    });
}

/// The end of the way in stays ready for ever.
/// Several in one read, one in each, and nothing: what came is never left lying.
#[test]
fn messages_are_noticed_however_many_a_read_brings() {
    on_both_schedulers(|| async {
        let ((mut tx, mut rx), (mut back, mut answers)) = (channel(), channel());
        let answering = tokio::spawn(async move {
            for i in 0..2000 {
                assert_eq!(number(rx.recv().await.unwrap()), i);
                if i % 7 == 6 {
                    back.send(b"on").await.unwrap();
                }
            }
        });
        for i in 0..2000u32 {
            tx.send(&i.to_be_bytes()).await.unwrap();
            if i % 7 == 6 {
                answers.recv().await.unwrap();
            }
        }
        answering.await.unwrap();
    });
}

/// A read of such a pipe ends where a packet does, however much there is: not what a short one means
/// elsewhere.  pipe(2)
#[test]
fn packets_of_a_foreign_writer_are_all_received() {
    on_both_schedulers(|| async {
        let flags = OFlag::O_CLOEXEC | OFlag::O_DIRECT;
        let (reader, writer) = nix::unistd::pipe2(flags).unwrap();
        let mut rx = Async::new(PipeReceiver::try_from(reader).unwrap()).unwrap();
        for _ in 0..3 {
            nix::unistd::write(&writer, b"\0\0\0\x02hi").unwrap();
        }
        for _ in 0..3 {
            assert_eq!(rx.recv().await.unwrap(), b"hi");
        }
    });
}

#[test]
fn a_send_that_waits_sleeps_though_nothing_more_can_come() {
    on_both_schedulers(|| async {
        let (mut a, b) = pair();
        let (tx, mut rx) = b.into_inner().split();
        drop(tx);
        let large = vec![1; LARGE];
        let mut send = pin!(a.send(&large));
        assert!(polls(send.as_mut()).await < 10);
        let receiving = tokio::task::spawn_blocking(move || rx.recv().unwrap().len());
        send.await.unwrap();
        assert_eq!(receiving.await.unwrap(), LARGE);
    });
}

#[test]
fn a_channel_that_is_never_empty_leaves_others_their_turn() {
    on_both_schedulers(|| async {
        let (mut tx, mut rx) = channel();
        let had_its_turn = Arc::new(AtomicBool::new(false));
        let flag = had_its_turn.clone();
        tokio::spawn(async move { flag.store(true, Ordering::Relaxed) });
        for _ in 0..10_000 {
            tx.get_mut().try_send(b"more").unwrap();
            rx.recv().await.unwrap();
        }
        assert!(had_its_turn.load(Ordering::Relaxed));
    });
}

#[test]
fn there_is_an_error_outside_a_runtime() {
    let (tx, _rx) = ipc_pipe::channel().unwrap();
    let error = Async::new(tx).unwrap_err();
    assert!(error.to_string().contains("no reactor running"), "{error}");
}

#[test]
fn a_half_returns_to_blocking_use() {
    on_both_schedulers(|| async {
        let (mut tx, mut rx) = channel();
        assert!(cancel_after(1, rx.recv()).await.is_none());
        tx.send(b"hello").await.unwrap();
        let mut rx = rx.into_inner();
        assert_eq!(rx.recv().unwrap(), b"hello");
        assert!(matches!(rx.recv_wait(Wait::Never), Err(Error::WouldBlock)));
    });
}
