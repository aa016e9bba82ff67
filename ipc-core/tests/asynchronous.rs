//! `Async` over pipes, on both of tokio's schedulers.

mod support;

use ipc_core::{Async, Error, Receiver, Wait};
use ipc_pipe::PipeDuplex;
use support::{LARGE, cancel_after, channel, message, on_both_schedulers, pair};

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
