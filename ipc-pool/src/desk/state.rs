//! What is on the desk: the book and the channels.

use std::sync::Arc;

use ipc_core::Wait;
use nix::sys::epoll::{Epoll, EpollEvent, EpollFlags};
use nix::sys::eventfd::EventFd;

use crate::book::{Answer, Book};
use crate::link::Link;
use crate::wire::{self, Kind};

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) book: Book,
    /// By seat.
    pub(crate) links: Vec<Option<Link>>,
    /// Hear when a channel takes more, too, while it has taken a part of a task.
    pub(super) ears: Arc<Epoll>,
    /// What workers said to the pool itself, by seat.
    pub(crate) notices: Vec<(usize, Kind, String)>,
    /// Wakes the one who heeds them.
    pub(super) supervisor: Arc<EventFd>,
    /// Whether no more is taken in.
    pub(crate) closed: bool,
    /// Whether no worker will ever answer.
    pub(crate) ended: bool,
    pub(super) followers: usize,
    pub(super) leader: Leader,
    /// Counts whatever may be waited for.
    pub(super) news: u64,
    /// Answers taken in so far.
    pub(crate) taken: u64,
    /// Tasks submitted since a look at the answers.
    pub(super) submitted: u32,
}

/// Who takes the answers in for all who wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leader {
    Nobody,
    Awake,
    /// On the ears: the bell wakes it.
    Asleep,
}

/// So many submissions come between two looks at the answers.
const LOOKS: u32 = 8;
/// With fewer tasks at the workers there is nothing to share out better.
const MANY: usize = 32;

impl State {
    /// Gives waiting tasks to workers with room.
    #[inline]
    pub(crate) fn dispatch(&mut self) {
        let (links, ears) = (&mut self.links, &self.ears);
        self.book.dispatch(|seat, lease, payload| {
            let Some(link) = &mut links[seat] else {
                return false;
            };
            let sent = link.tx.send(Kind::Task, lease, payload, Wait::Never);
            if link.tx.has_tail() && !std::mem::replace(&mut link.tail, true) {
                hear(ears, seat, link);
            }
            // One that is gone takes nothing: what it had comes back when it is reaped.
            sent.is_ok()
        });
    }

    /// Whether to take answers in before a task is given out: a worker that shares the submitter's processor gets on
    /// more slowly than the others, which are to be given more.
    #[inline]
    pub(super) fn is_time_to_look(&mut self) -> bool {
        self.submitted = (self.submitted + 1) % LOOKS;
        self.submitted == 0 && self.links.len() > 1 && self.book.counts().leased >= MANY
    }

    /// Takes in all answers that are there, and gives out more tasks; true if there were any.
    #[inline]
    pub(crate) fn take_in(&mut self) -> bool {
        let before = self.taken;
        for seat in 0..self.links.len() {
            self.take_in_of(seat);
        }
        if self.taken == before {
            return false;
        }
        if self.book.depth() > 0 {
            self.dispatch();
        }
        true
    }

    #[inline]
    pub(super) fn take_in_of(&mut self, seat: usize) {
        while let Some(link) = &mut self.links[seat] {
            if link.broken {
                break;
            }
            match link.rx.look() {
                Ok(true) => self.enter(seat),
                Ok(false) => break,
                Err(error) => self.broken(seat, &error.to_string()),
            }
        }
    }

    /// Before a sleep on the ears: true if an answer is there already.
    pub(crate) fn arm(&mut self) -> bool {
        let mut links = self.links.iter_mut().flatten();
        links.any(|link| !link.broken && link.rx.arm().unwrap_or(false))
    }

    /// Whether somebody waits for answers, and so takes them in.
    pub(crate) fn is_attended(&self) -> bool {
        self.leader != Leader::Nobody || self.followers > 0
    }

    /// Takes in what has woken a sleeper.
    pub(super) fn woken(&mut self, seat: usize) {
        let Some(Some(link)) = self.links.get_mut(seat) else {
            return;
        };
        if link.tail {
            let _ = link.tx.flush(Wait::Never);
            link.tail = link.tx.has_tail();
            if !link.tail {
                hear(&self.ears, seat, link);
            }
        }
        match link.rx.woken() {
            Ok(true) => {
                self.enter(seat);
                self.take_in_of(seat);
            }
            Ok(false) => {}
            Err(error) => self.broken(seat, &error.to_string()),
        }
        if self.book.depth() > 0 {
            self.dispatch();
        }
    }

    /// Hears no more of a worker, whose supervisor is to end it.
    #[cold]
    fn broken(&mut self, seat: usize, reason: &str) {
        if let Some(link) = &mut self.links[seat] {
            link.broken = true;
            self.notices.push((seat, Kind::Broken, reason.into()));
            let _ = self.supervisor.write(1);
        }
    }

    /// Enters the record at hand.
    #[inline]
    fn enter(&mut self, seat: usize) {
        self.taken += 1;
        let Some(link) = &self.links[seat] else {
            return;
        };
        let (kind, lease, body) = match wire::read(link.rx.message()) {
            Ok(record) => record,
            Err(error) => return self.broken(seat, &error.to_string()),
        };
        match kind {
            Kind::Done => {
                let answer = Answer::Done(body.to_vec());
                self.book.settle(seat, lease, answer);
            }
            Kind::Failed => {
                let answer = Answer::Failed(String::from_utf8_lossy(body).into_owned());
                self.book.settle(seat, lease, answer);
            }
            kind => {
                let text = String::from_utf8_lossy(body).into_owned();
                self.notices.push((seat, kind, text));
                let _ = self.supervisor.write(1);
            }
        }
    }
}

/// Hears of what a channel is waited for now.
#[cold]
fn hear(ears: &Epoll, seat: usize, link: &Link) {
    let mut flags = EpollFlags::EPOLLIN;
    flags.set(EpollFlags::EPOLLOUT, link.tail);
    // Refused if it is broken, and is heard no more.
    let _ = ears.modify(&link.rx, &mut EpollEvent::new(flags, seat as u64));
}
