//! A queue that is removed while it is waited for.

mod support;

use std::fs;
use std::time::Duration;

use ipc_core::conformance::skip;
use ipc_msgqueue::{
    Error, Key, Kind, Queue, QueueOptions, Receiver, Result, Selection, Sender, Spin, Wait, channel,
};
use support::{exists, own_namespace, sleeps_in};

/// Beyond any test.
const LONG: Duration = Duration::from_secs(1000);

/// A child waits, the queue is removed: the child must say so, and at once.
fn removed_while(
    sleeping_in: libc::c_long,
    spin: Spin,
    wait: fn() -> Wait,
    operation: fn(&Queue, Wait) -> Result<()>,
) {
    let queue = QueueOptions::new()
        .capacity(10)
        .spin(spin)
        .create(Key::PRIVATE)
        .unwrap();
    let (child, ()) = ipc_process::fork(((), ()), |()| {
        let result = operation(&queue, wait());
        let object = format!("SysV queue {} (private)", queue.id());
        assert!(matches!(result, Err(Error::Removed { object: o }) if *o == *object));
    })
    .unwrap();
    sleeps_in(child.pid(), sleeping_in);
    queue.remove().unwrap();
    child.join().unwrap();
}

fn receive(queue: &Queue, wait: Wait) -> Result<()> {
    queue.receiver(Selection::Any)?.recv_wait(wait)
}

fn send_to_full(queue: &Queue, wait: Wait) -> Result<()> {
    let mut tx = queue.sender(Kind::default())?;
    tx.send(&[0; 10])?;
    tx.send_wait(&[1], wait)
}

fn forever() -> Wait {
    Wait::Forever
}

fn long() -> Wait {
    LONG.into()
}

fn while_a_receiver_sleeps() {
    removed_while(libc::SYS_msgrcv, Spin::Never, forever, receive);
    removed_while(libc::SYS_msgrcv, Spin::Adaptive, forever, receive);
}

fn while_a_sender_sleeps() {
    removed_while(libc::SYS_msgsnd, Spin::Never, forever, send_to_full);
    removed_while(libc::SYS_msgsnd, Spin::Adaptive, forever, send_to_full);
}

fn while_one_with_a_deadline_naps() {
    for spin in [Spin::Never, Spin::Adaptive] {
        removed_while(libc::SYS_clock_nanosleep, spin, long, receive);
        removed_while(libc::SYS_clock_nanosleep, spin, long, send_to_full);
    }
}

fn while_one_polls() {
    let (mut tx, mut rx) = QueueOptions::new().spin(Spin::Always).channel().unwrap();
    let (child, ()) = ipc_process::fork(((), ()), |()| {
        tx.send(b"here").unwrap();
        let mut error = Ok(());
        while error.is_ok() {
            error = tx.send_timeout(&[0; 1000], LONG);
        }
        assert!(matches!(error, Err(Error::Removed { .. })));
    })
    .unwrap();
    assert_eq!(rx.recv().unwrap(), b"here");
    std::thread::sleep(Duration::from_millis(20));
    drop((tx, rx)); // the maker's last handles
    child.join().unwrap();
}

fn what_comes_later_is_told_too() {
    let queue = Queue::create(Key::PRIVATE).unwrap();
    let (mut tx, mut rx) = (
        queue.sender(Kind::default()).unwrap(),
        queue.receiver(Selection::Any).unwrap(),
    );
    tx.send(b"lost").unwrap();
    queue.remove().unwrap();
    for wait in [Wait::Never, LONG.into(), Wait::Forever] {
        assert!(matches!(
            tx.send_wait(b"", wait),
            Err(Error::Removed { .. })
        ));
        assert!(matches!(rx.recv_wait(wait), Err(Error::Removed { .. })));
    }
    assert!(matches!(queue.stat(), Err(Error::Removed { .. })));
    assert!(matches!(queue.set_capacity(1), Err(Error::Removed { .. })));
    assert!(matches!(
        queue.receiver(Selection::Any),
        Err(Error::Removed { .. })
    ));
    let text = queue.stat().unwrap_err().to_string();
    let expected = format!(
        "SysV queue {} (private) was removed while in use",
        queue.id()
    );
    assert!(text.starts_with(&expected), "{text}");
}

/// The other process's end outlives the maker's: it is told, not left waiting.
fn the_makers_last_end_removes_under_the_child() {
    let (ours, theirs) = ipc_msgqueue::pair().unwrap();
    let (child, ours) = ipc_process::fork((ours, theirs), |mut end| {
        assert!(matches!(end.recv(), Err(Error::Removed { .. })));
        assert!(matches!(end.send(b""), Err(Error::Removed { .. })));
    })
    .unwrap();
    sleeps_in(child.pid(), libc::SYS_msgrcv);
    drop(ours);
    child.join().unwrap();
}

/// Nobody is told anything while the maker keeps an end.
fn an_end_that_is_dropped_removes_nothing() {
    let (tx, mut rx) = channel().unwrap();
    drop(tx);
    assert!(matches!(rx.try_recv(), Err(Error::WouldBlock)));
}

/// Ids come again. Who knows that his queue is gone removes no other's, and neither does he who was told.
fn an_id_that_came_again() {
    own_namespace();
    let key = Key::new(7);
    let removals: [fn(&Queue); 2] = [
        |queue| queue.remove().unwrap(),
        |queue| {
            Queue::open(queue.key()).unwrap().remove().unwrap();
            let told = queue.sender(Kind::default());
            assert!(matches!(told, Err(Error::Removed { .. })));
        },
    ];
    for remove in removals {
        let queue = Queue::create(key).unwrap();
        let id = queue.id();
        remove(&queue);
        if let Err(error) = fs::write("/proc/sys/kernel/msg_next_id", id.to_string()) {
            skip(&format!("no choice of an id: {error}")); // without CONFIG_CHECKPOINT_RESTORE
        }
        let other = Queue::create(Key::PRIVATE).unwrap();
        assert_eq!(other.id(), id);
        drop(queue);
        assert!(exists(id));
    }
}

/// An id begins with a place in the kernel's table, which the next queue takes.
fn a_place_that_is_anothers_now() {
    const PLACES: i32 = 32_768;
    own_namespace();
    let queue = Queue::create(Key::PRIVATE).unwrap();
    let place = queue.id() % PLACES;
    queue.remove().unwrap();
    let _other = loop {
        let other = Queue::create(Key::PRIVATE).unwrap();
        if other.id() % PLACES == place {
            break other;
        }
    };
    assert!(matches!(
        queue.sender(Kind::default()),
        Err(Error::Removed { .. })
    ));
}

ipc_core::cases! {
    while_a_receiver_sleeps,
    while_a_sender_sleeps,
    while_one_with_a_deadline_naps,
    while_one_polls,
    what_comes_later_is_told_too,
    the_makers_last_end_removes_under_the_child,
    an_end_that_is_dropped_removes_nothing,
    an_id_that_came_again,
    a_place_that_is_anothers_now,
}
