//! When an `Async` sleeps, what wakes it, and whom it lets run.

mod support;

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ipc_core::{Async, Error, Receiver, Sender};
use ipc_pipe::PipeReceiver;
use nix::fcntl::OFlag;
use support::{LARGE, channel, number, on_both_schedulers, pair};
use tokio::time::timeout;

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

/// The end of the way in stays ready for ever.
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
