//! Clause 5, for halves that are [`Ready`]: an edge-triggered loop never misses.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

use super::Half;
use super::support::{Random, check, expect, message};
use crate::{Error, Interest, Ready, Receiver, Result, Sender, Wait};

/// A run in which nobody had to wait proves nothing.
const SLEEPS: usize = 20;

/// Whatever comes while the receiver tries, arms or sleeps wakes it; so does the sender's end. No
/// burst follows before the last was received: a missed edge has no successor to repair it.
pub(super) fn no_edge_is_missed_by_a_receiver<S, R>(channel: impl Fn() -> (S, R))
where
    S: Sender + Half,
    R: Receiver + Ready + Half,
{
    let (mut tx, mut rx) = channel();
    let len = lens(&tx);
    let (go, bursts) = mpsc::channel();
    thread::scope(|scope| {
        scope.spawn(move || {
            let mut random = Random(3);
            for seq in bursts.into_iter().flatten() {
                tx.send(&message(seq, len(seq))).unwrap();
                dawdle(&mut random);
            }
        });
        let (mut random, mut edges, mut received) = (Random(5), Edges::of(&rx), 0);
        while received < 5000 || edges.sleeps < SLEEPS {
            let burst = received..received + 1 + random.below(30);
            go.send(burst.clone()).unwrap();
            for seq in burst {
                edges
                    .drive(&mut rx, |rx| rx.recv_wait(Wait::Never))
                    .unwrap();
                check(rx.message(), seq, len(seq));
                received += 1;
            }
        }
        drop(go);
        let gone = edges.drive(&mut rx, |rx| rx.recv_wait(Wait::Never));
        expect(gone, &Error::Disconnected);
    });
}

/// Whatever room there is while the sender tries, arms or sleeps wakes it.
pub(super) fn no_edge_is_missed_by_a_sender<S, R>(channel: impl Fn() -> (S, R))
where
    S: Sender + Ready + Half,
    R: Receiver + Half,
{
    let (mut tx, mut rx) = channel();
    let len = lens(&tx);
    thread::scope(|scope| {
        let receiver = scope.spawn(move || {
            let (mut random, mut received) = (Random(4), 0);
            while let Ok(msg) = rx.recv() {
                check(msg, received, len(received));
                received += 1;
                dawdle(&mut random);
            }
            received
        });
        let mut edges = Edges::of(&tx);
        let mut sent = 0;
        while edges.sleeps < SLEEPS {
            let msg = message(sent, len(sent));
            edges.drive(&mut tx, |tx| tx.try_send(&msg)).unwrap();
            sent += 1;
        }
        edges.drive(&mut tx, |tx| tx.flush(Wait::Never)).unwrap();
        drop(tx);
        assert_eq!(receiver.join().unwrap(), sent);
    });
}

/// The lengths of the messages, as both sides know them.
fn lens<S: Sender>(tx: &S) -> impl Fn(usize) -> usize + Copy + use<S> {
    let max = tx.max_len();
    move |seq| (seq * 389 % 1001).min(max)
}

/// An edge-triggered loop around one half.  epoll(7)
struct Edges {
    epoll: Epoll,
    sleeps: usize,
}

impl Edges {
    fn of(half: &impl Ready) -> Self {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).unwrap();
        let (fd, interest) = half.fd();
        let flags = match interest {
            Interest::Read => EpollFlags::EPOLLIN,
            Interest::Write => EpollFlags::EPOLLOUT,
        };
        let event = EpollEvent::new(flags | EpollFlags::EPOLLET, 0);
        epoll.add(fd, event).unwrap();
        Edges { epoll, sleeps: 0 }
    }

    /// Tries; arms; sleeps until the next edge; tries again.
    fn drive<H: Ready>(
        &mut self,
        half: &mut H,
        attempt: impl Fn(&mut H) -> Result<()>,
    ) -> Result<()> {
        loop {
            match attempt(half) {
                Err(Error::WouldBlock) => {}
                done => return done,
            }
            if !half.arm()? {
                let mut events = [EpollEvent::empty()];
                let timeout = EpollTimeout::from(20_000u16);
                let woken = self.epoll.wait(&mut events, timeout).unwrap();
                assert_eq!(woken, 1, "an edge was missed: nobody wakes it");
                self.sleeps += 1;
            }
        }
    }
}

/// Now nothing, now a yield, now a nap: so that every step of the other side is met.
fn dawdle(random: &mut Random) {
    match random.below(100) {
        0 => thread::sleep(Duration::from_micros(200)),
        1..20 => thread::yield_now(),
        _ => {}
    }
}
