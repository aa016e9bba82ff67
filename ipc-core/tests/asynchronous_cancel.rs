//! Futures of `Async` that are dropped at any await: messages pass whole or not at all, and none is lost.

mod support;

use std::cell::Cell;

use ipc_core::{Error, Sender};
use support::{LARGE, cancel_after, channel, message, number, on_both_schedulers, pair};
use tokio::task::yield_now;

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
