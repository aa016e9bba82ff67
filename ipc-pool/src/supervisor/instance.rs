//! One life of a worker, as its supervisor sees it.

use std::time::{Duration, Instant};

use ipc_process::Child;

use crate::events::log;

#[derive(Debug)]
pub(super) struct Instance {
    pub(super) worker: usize,
    pub(super) seat: usize,
    pub(super) child: Child,
    pub(super) phase: Phase,
    pub(super) born: Instant,
    pub(super) is_ready: bool,
    /// Whether it is a reload's, and has not taken its predecessor's place yet.
    pub(super) is_new: bool,
    /// Why it cannot start.
    pub(super) last_words: Option<String>,
    /// When it is to end because its channel is broken, and how that is.
    deaf: Option<(Instant, String)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Starting,
    Serving,
    /// It finishes what it has; SIGTERM then, or at this time, if it is limited.
    Draining(Option<Instant>),
    /// It has got SIGTERM; SIGKILL at this time, if it is limited.
    Terminated(Option<Instant>),
    /// It has got SIGKILL.
    Killed,
    /// It has left the pool, and is nobody's to end.
    Detached,
}

/// So long after the end of its channel a worker has ended, or has not noticed.
const ENDING: Duration = Duration::from_millis(50);
/// How often a worker that finishes what it has is looked at.
const LOOKS: Duration = Duration::from_millis(1);

impl Instance {
    pub(super) fn new(worker: usize, seat: usize, child: Child) -> Self {
        Instance {
            worker,
            seat,
            child,
            phase: Phase::Starting,
            born: Instant::now(),
            is_ready: false,
            is_new: false,
            last_words: None,
            deaf: None,
        }
    }

    /// Whether it is not to end.
    pub(super) fn is_serving(&self) -> bool {
        matches!(self.phase, Phase::Starting | Phase::Serving)
    }

    /// It is to finish what it has by `deadline`, and to end.
    pub(super) fn drain(&mut self, deadline: Option<Instant>) {
        if self.is_serving() {
            self.phase = Phase::Draining(deadline);
        }
    }

    /// It is to finish the task that it runs, and to end.
    pub(super) fn terminate(&mut self, grace: Duration) {
        if !matches!(
            self.phase,
            Phase::Terminated(_) | Phase::Killed | Phase::Detached
        ) {
            let _ = self.child.signal(libc::SIGTERM);
            self.phase = Phase::Terminated(Instant::now().checked_add(grace));
        }
    }

    /// Its channel is broken: if it does not end by itself, it is ended.
    pub(super) fn is_deaf(&mut self, reason: String) {
        self.deaf = Some((Instant::now() + ENDING, reason));
    }

    /// Goes on to the next signal if it is time.
    pub(super) fn press(&mut self, now: Instant, idle: bool, grace: Duration) {
        if let Some((_, reason)) = self.deaf.take_if(|(then, _)| *then <= now) {
            let pid = self.child.pid();
            log(&format!(
                "worker {} (pid {pid}) has lost its channel and is ended: {reason}",
                self.worker
            ));
            self.terminate(grace);
        }
        let is_over = |deadline: Option<Instant>| deadline.is_some_and(|then| then <= now);
        match self.phase {
            Phase::Draining(deadline) if idle || is_over(deadline) => self.terminate(grace),
            Phase::Terminated(deadline) if is_over(deadline) => {
                let _ = self.child.kill();
                self.phase = Phase::Killed;
            }
            _ => {}
        }
    }

    /// When to look again.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let signal = match self.phase {
            Phase::Draining(_) => Some(Instant::now() + LOOKS),
            Phase::Terminated(deadline) => deadline,
            _ => None,
        };
        let deaf = self.deaf.as_ref().map(|(then, _)| *then);
        signal.into_iter().chain(deaf).min()
    }
}
