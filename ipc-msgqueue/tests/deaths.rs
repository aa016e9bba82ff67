//! SIGKILL and SIGSTOP of either side. A queue tells nobody: deadlines hold, and nothing is left.

mod support;

use std::time::Duration;

use ipc_msgqueue::{Error, Key, Kind, Queue, QueueOptions, Receiver, Selection, Sender, pair};
use support::{exists, sleeps_in};

const KIND: Kind = Kind::of::<1>();
const SOON: Duration = Duration::from_millis(30);

/// The survivor waits with a deadline; the queue lives on, and its maker removes it at the end.
fn the_peer_is_killed_while_both_wait() {
    let (there, back) = (
        Queue::create(Key::PRIVATE).unwrap(),
        Queue::create(Key::PRIVATE).unwrap(),
    );
    let ids = [there.id(), back.id()];
    let mut rx = there.receiver(Selection::Any).unwrap();
    let mut tx = back.sender(KIND).unwrap();
    let (mut child, ()) = ipc_process::fork(((), ()), |()| {
        there.sender(KIND).unwrap().send(b"here").unwrap();
        back.receiver(Selection::Any).unwrap().recv().map(drop)
    })
    .unwrap();
    assert_eq!(rx.recv().unwrap(), b"here");
    sleeps_in(child.pid(), libc::SYS_msgrcv);
    child.kill().unwrap();
    child.wait().unwrap();

    assert!(matches!(rx.recv_timeout(SOON), Err(Error::TimedOut)));
    tx.send(b"nobody takes it").unwrap();
    while tx.try_send(&[0; 1000]).is_ok() {}
    assert!(matches!(
        tx.send_timeout(&[0; 1000], SOON),
        Err(Error::TimedOut)
    ));
    // What waits in the queue waits for anybody.
    assert_eq!(
        back.receiver(Selection::Any).unwrap().recv().unwrap(),
        b"nobody takes it"
    );
    drop((there, rx));
    assert!(exists(ids[1]), "it still has handles");
    drop((back, tx));
    assert!(!ids.into_iter().any(exists));
}

fn a_sender_is_killed_while_it_waits_for_room() {
    let options = QueueOptions::new().capacity(16_384); // for three of them
    let (ours, theirs) = options.pair().unwrap();
    let (mut child, mut end) = ipc_process::fork((ours, theirs), |mut end| {
        for number in 0.. {
            end.send(&[number; 5000]).unwrap();
        }
    })
    .unwrap();
    sleeps_in(child.pid(), libc::SYS_msgsnd);
    child.kill().unwrap();
    child.wait().unwrap();
    // Whole messages, in order, and of the one that waited nothing.
    for number in 0..3 {
        assert_eq!(end.recv_timeout(SOON).unwrap(), [number; 5000]);
    }
    assert!(matches!(end.recv_timeout(SOON), Err(Error::TimedOut)));
}

fn a_stopped_peer_goes_on_later() {
    let (child, mut end) = ipc_process::fork(pair().unwrap(), |mut end| {
        let message = end.recv().unwrap().to_vec();
        end.send(&message).unwrap();
    })
    .unwrap();
    sleeps_in(child.pid(), libc::SYS_msgrcv);
    child.signal(libc::SIGSTOP).unwrap();
    end.send(b"wake up").unwrap();
    assert!(matches!(end.recv_timeout(SOON), Err(Error::TimedOut)));
    child.signal(libc::SIGCONT).unwrap();
    assert_eq!(end.recv().unwrap(), b"wake up");
    child.join().unwrap();
}

/// A maker that is killed leaves its queue; the next one is told whose it is, and how to remove it.
fn a_killed_maker_leaves_its_queue() {
    let key = Key::new(i32::try_from(std::process::id()).unwrap());
    let (mut told, mut tell) = ipc_msgqueue::channel().map(|(tx, rx)| (rx, tx)).unwrap();
    let (mut child, ()) = ipc_process::fork(((), ()), |()| {
        let queue = Queue::create(key).unwrap();
        tell.send(b"made").unwrap();
        queue.receiver(Selection::Any).unwrap().recv().map(drop)
    })
    .unwrap();
    assert_eq!(told.recv().unwrap(), b"made");
    sleeps_in(child.pid(), libc::SYS_msgrcv);
    child.kill().unwrap();
    child.wait().unwrap();

    let left = Queue::open(key).unwrap();
    let text = Queue::create(key).unwrap_err().to_string();
    let line = format!("`ipcrm -q {}`", left.id());
    assert!(text.ends_with(&line), "{text}");
    left.remove().unwrap();
    drop(Queue::create(key).unwrap());
}

ipc_core::cases! {
    the_peer_is_killed_while_both_wait,
    a_sender_is_killed_while_it_waits_for_room,
    a_stopped_peer_goes_on_later,
    a_killed_maker_leaves_its_queue,
}
