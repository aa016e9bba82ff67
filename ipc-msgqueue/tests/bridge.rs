//! Queues beside others in `Select` and under tokio.

mod support;

use std::fs;
use std::future::Future;
use std::thread;
use std::time::{Duration, Instant};

use ipc_msgqueue::{
    Async, Duplex, Error, Key, Kind, Queue, QueueOptions, Ready, Receiver, Select, Selection,
    Sender, Spin, Wait, channel, pair,
};
use ipc_process::Signals;
use nix::sys::signal::{SigSet, Signal, kill};
use nix::unistd::Pid;

const A: Kind = Kind::of::<1>();
const B: Kind = Kind::of::<2>();
const SOON: Duration = Duration::from_millis(30);
const LONG: Duration = Duration::from_secs(1000);

fn run<F: Future>(future: F) -> F::Output {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().unwrap().block_on(future)
}

fn threads() -> usize {
    fs::read_dir("/proc/self/task").unwrap().count()
}

fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

fn select_waits_for_several() {
    let (mut to_a, a) = channel().unwrap();
    let (mut to_b, b) = channel().unwrap();
    let (mut a, mut b) = (a.bridge().unwrap(), b.bridge().unwrap());
    let mut select = Select::new();
    assert!(matches!(
        select.wait(&mut [&mut a, &mut b], SOON.into()),
        Err(Error::TimedOut)
    ));
    for round in 0..200_u8 {
        thread::scope(|scope| {
            scope.spawn(|| {
                thread::sleep(Duration::from_micros(u64::from(round % 8) * 50));
                let to = if round % 2 == 0 { &mut to_a } else { &mut to_b };
                to.send(&[round]).unwrap();
            });
            let ready = select.wait(&mut [&mut a, &mut b], LONG.into()).unwrap();
            assert_eq!(ready, usize::from(round % 2));
            let half = if ready == 0 { &mut a } else { &mut b };
            assert_eq!(half.try_recv().unwrap(), [round]);
            assert!(matches!(half.try_recv(), Err(Error::WouldBlock)));
        });
    }
}

/// Looking takes nothing: what was not received is still there when the bridge is gone.
fn a_dropped_bridge_loses_nothing() {
    let before = descriptors();
    let queue = Queue::create(Key::PRIVATE).unwrap();
    let mut bridge = queue.receiver(Selection::Any).unwrap().bridge().unwrap();
    assert!(!bridge.arm().unwrap());
    assert_eq!(threads(), 2);
    queue.sender(A).unwrap().send(b"stays").unwrap();
    let (fd, interest) = bridge.fd();
    assert!(ipc_core::poll(fd, interest, LONG.into()).unwrap());
    assert_eq!(queue.stat().unwrap().messages, 1);
    drop(bridge);
    assert_eq!(
        queue.receiver(Selection::Any).unwrap().recv().unwrap(),
        b"stays"
    );
    while threads() > 1 || descriptors() > before {
        thread::sleep(Duration::from_millis(1));
    }
}

/// Nothing looks while nobody waits: an empty message is another receiver's to take.
fn a_bridge_that_nobody_waits_for_takes_nothing() {
    let queue = Queue::create(Key::PRIVATE).unwrap();
    let mut bridge = queue.receiver(Selection::Any).unwrap().bridge().unwrap();
    assert!(!bridge.arm().unwrap());
    assert!(matches!(bridge.try_recv(), Err(Error::WouldBlock)));
    queue.sender(A).unwrap().send(b"").unwrap();
    thread::sleep(Duration::from_millis(5));
    assert_eq!(queue.stat().unwrap().messages, 1);
    bridge.recv().unwrap();
    assert_eq!(bridge.kind(), Some(A));
}

/// An empty message is taken by looking, and keeps its place.
fn empty_messages_keep_their_place() {
    let queue = Queue::create(Key::PRIVATE).unwrap();
    let mut tx = queue.sender(A).unwrap();
    for wait in [Wait::Never, Wait::Forever] {
        let mut bridge = queue.receiver(Selection::Any).unwrap().bridge().unwrap();
        assert!(!bridge.arm().unwrap());
        tx.send_kind(b"", B, Wait::Never).unwrap();
        let (fd, interest) = bridge.fd();
        assert!(ipc_core::poll(fd, interest, LONG.into()).unwrap());
        tx.send(b"then").unwrap();
        assert!(bridge.arm().unwrap());
        assert!(bridge.arm().unwrap());
        bridge.recv_wait(wait).unwrap();
        assert_eq!((bridge.message(), bridge.kind()), (&b""[..], Some(B)));
        bridge.recv_wait(wait).unwrap();
        assert_eq!((bridge.message(), bridge.kind()), (&b"then"[..], Some(A)));
    }
}

fn only_what_is_selected_rings() {
    for (selection, another, ours) in [
        (Selection::Any, None, A),
        (Selection::Exactly(B), Some(A), B),
        (Selection::UpTo(A), Some(B), A),
        (Selection::Except(A), Some(A), B),
    ] {
        let queue = Queue::create(Key::PRIVATE).unwrap();
        let mut tx = queue.sender(ours).unwrap();
        let mut bridge = queue.receiver(selection).unwrap().bridge().unwrap();
        assert_eq!(bridge.selection(), selection);
        for message in [b"another's", &b""[..]] {
            if let Some(kind) = another {
                tx.send_kind(message, kind, Wait::Never).unwrap();
            }
            assert!(!bridge.arm().unwrap(), "{selection:?}");
        }
        let others = queue.stat().unwrap().messages;
        tx.send(b"ours").unwrap();
        let mut select = Select::new();
        select.wait(&mut [&mut bridge], LONG.into()).unwrap();
        assert_eq!(bridge.try_recv().unwrap(), b"ours");
        assert_eq!(queue.stat().unwrap().messages, others);
    }
}

fn removal_is_told() {
    for spin in [Spin::Adaptive, Spin::Never] {
        let queue = QueueOptions::new().spin(spin).create(Key::PRIVATE).unwrap();
        let rx = queue.receiver(Selection::Any).unwrap().bridge().unwrap();
        run(async {
            let mut rx = Async::new(rx).unwrap();
            let removed = async {
                tokio::time::sleep(Duration::from_millis(5)).await;
                queue.remove().unwrap();
            };
            let (result, ()) = tokio::join!(async { rx.recv().await.map(drop) }, removed);
            assert!(matches!(result, Err(Error::Removed { .. })));
        });
    }
}

fn senders_wait_for_room() {
    let (tx, mut rx) = QueueOptions::new().capacity(1000).channel().unwrap();
    run(async {
        let mut tx = Async::new(tx.bridge().unwrap()).unwrap();
        tx.send(&[1; 600]).await.unwrap();
        let late = thread::spawn(move || {
            thread::sleep(SOON);
            assert_eq!(rx.recv().unwrap(), [1; 600]);
            rx
        });
        tx.send(&[2; 600]).await.unwrap();
        let mut rx = late.join().unwrap();
        assert_eq!(rx.recv().unwrap(), [2; 600]);
        // The room must be for this message.
        tx.send(&[3; 900]).await.unwrap();
        assert!(
            tokio::time::timeout(SOON, tx.send(&[4; 101]))
                .await
                .is_err()
        );
        tx.send(&[5; 100]).await.unwrap();
        assert_eq!(rx.recv().unwrap(), [3; 900]);
        assert_eq!(rx.recv().unwrap(), [5; 100]);
        assert!(rx.try_recv().is_err());
    });
}

/// A process that echoes, blocking, and one that is asynchronous both ways.
fn an_endpoint_talks_to_another_process() {
    const ROUNDS: u32 = 3000;
    let (child, ours) = ipc_process::fork(pair().unwrap(), |mut theirs| {
        let (tx, rx) = theirs.halves();
        for _ in 0..ROUNDS {
            tx.send(rx.recv().unwrap()).unwrap();
        }
    })
    .unwrap();
    run(async {
        let (tx, rx) = ours.split();
        let ours = Duplex::new(tx.bridge().unwrap(), rx.bridge().unwrap());
        let mut ours = Async::new(ours).unwrap();
        for number in 0..ROUNDS {
            let message = vec![number.to_le_bytes()[0]; number as usize % 300];
            ours.send(&message).await.unwrap();
            assert_eq!(ours.recv().await.unwrap(), message);
        }
    });
    child.join().unwrap();
}

/// Dropped at every await, nothing is lost, doubled or out of order, empty messages included.
fn cancelled_at_every_await() {
    const COUNT: u32 = 3000;
    let (tx, rx) = QueueOptions::new().capacity(200).channel().unwrap();
    let text = |number: u32| {
        if number % 3 == 0 {
            Vec::new()
        } else {
            number.to_le_bytes().to_vec()
        }
    };
    run(async {
        let (tx, rx) = (tx.bridge().unwrap(), rx.bridge().unwrap());
        let (mut tx, mut rx) = (Async::new(tx).unwrap(), Async::new(rx).unwrap());
        let sending = async {
            for number in 0..COUNT {
                let message = text(number);
                while !once(tx.send(&message)).await {}
            }
        };
        let receiving = async {
            for number in 0..COUNT {
                let message = text(number);
                while !once(async {
                    assert_eq!(rx.recv().await.unwrap(), message);
                    Ok(())
                })
                .await
                {}
            }
        };
        tokio::join!(sending, receiving);
    });
}

/// Whether it was done by the second poll; otherwise it is dropped.
async fn once(future: impl Future<Output = ipc_msgqueue::Result<()>>) -> bool {
    tokio::select! {
        biased;
        done = future => { done.unwrap(); true }
        () = tokio::task::yield_now() => false,
    }
}

/// Each message is one receiver's, and a bridge that was rung for nothing waits on.
fn several_bridges_share_a_queue() {
    const COUNT: u32 = 2000;
    let queue = Queue::create(Key::PRIVATE).unwrap();
    let receivers: Vec<_> = (0..3)
        .map(|_| queue.receiver(Selection::Any).unwrap().bridge().unwrap())
        .collect();
    let mut tx = queue.sender(A).unwrap();
    let sending = thread::spawn(move || {
        for number in 0..COUNT {
            tx.send(&number.to_le_bytes()).unwrap();
        }
        for _ in 0..3 {
            tx.send_kind(b"end", B, Wait::Forever).unwrap();
        }
    });
    let received = run(async {
        let tasks = receivers.into_iter().map(|rx| async {
            let mut rx = Async::new(rx).unwrap();
            let mut received = Vec::new();
            loop {
                let message = rx.recv().await.unwrap();
                let Ok(number) = message.try_into().map(u32::from_le_bytes) else {
                    return received;
                };
                received.push(number);
            }
        });
        let mut tasks: Vec<_> = tasks.map(Box::pin).collect();
        let [a, b, c] = &mut tasks[..] else {
            unreachable!()
        };
        let (a, b, c) = tokio::join!(a, b, c);
        [a, b, c]
    });
    sending.join().unwrap();
    assert!(received.iter().all(|numbers| numbers.is_sorted()));
    let mut all = received.concat();
    all.sort_unstable();
    assert!(all.into_iter().eq(0..COUNT));
}

/// A thread of ours takes no signal that the program wants to receive, and the program's own go on as
/// they were.
fn signals_are_the_programs_own() {
    let before = SigSet::thread_get_mask().unwrap();
    let (tx, rx) = channel().unwrap();
    let _bridges = (tx.bridge().unwrap(), rx.bridge().unwrap());
    assert_eq!(SigSet::thread_get_mask().unwrap(), before);
    let mut signals = Signals::new([libc::SIGTERM]).unwrap();
    kill(Pid::this(), Signal::SIGTERM).unwrap();
    assert_eq!(signals.recv().unwrap().number(), libc::SIGTERM);
}

/// A bridge is a half as before: it blocks, has deadlines, and is polled.
fn a_bridge_blocks_too() {
    let (tx, rx) = QueueOptions::new().capacity(10).channel().unwrap();
    let (mut tx, mut rx) = (tx.bridge().unwrap(), rx.bridge().unwrap());
    let start = Instant::now();
    assert!(matches!(rx.recv_timeout(SOON), Err(Error::TimedOut)));
    tx.send(&[0; 10]).unwrap();
    assert!(matches!(tx.send_timeout(&[1], SOON), Err(Error::TimedOut)));
    assert!(start.elapsed() >= 2 * SOON);
    assert_eq!(rx.recv().unwrap(), [0; 10]);
    assert_eq!(tx.max_len(), 10);
    tx.send_kind(b"x", B, Wait::Never).unwrap();
    assert_eq!((rx.recv().unwrap(), tx.kind()), (&b"x"[..], A));
    assert!(format!("{rx:?} {tx:?}").starts_with("QueueBridge(QueueReceiver"));
}

ipc_core::cases! {
    select_waits_for_several,
    a_dropped_bridge_loses_nothing,
    a_bridge_that_nobody_waits_for_takes_nothing,
    empty_messages_keep_their_place,
    only_what_is_selected_rings,
    removal_is_told,
    senders_wait_for_room,
    an_endpoint_talks_to_another_process,
    cancelled_at_every_await,
    several_bridges_share_a_queue,
    signals_are_the_programs_own,
    a_bridge_blocks_too,
}
