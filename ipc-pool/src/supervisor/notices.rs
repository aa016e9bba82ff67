//! What the workers say to the pool itself.

use super::Supervisor;
use super::instance::Phase;
use crate::handle::Handle;
use crate::restarts::End;
use crate::wire::Kind;

impl Supervisor {
    /// What the workers said.
    pub(super) fn heed_notices(&mut self) {
        for (seat, kind, text) in self.desk.take_notices() {
            let Some(at) = self.instances.iter().position(|one| one.seat == seat) else {
                continue;
            };
            match kind {
                Kind::Ready => self.is_ready(at),
                Kind::Unfit => self.instances[at].last_words = Some(text),
                Kind::Shutdown => self.stop(),
                Kind::Detached => self.detach(at),
                Kind::Broken => {
                    self.desk.shut(seat);
                    self.instances[at].is_deaf(text);
                }
                _ => {}
            }
        }
    }

    fn is_ready(&mut self, at: usize) {
        let instance = &mut self.instances[at];
        instance.is_ready = true;
        if instance.phase == Phase::Starting {
            instance.phase = Phase::Serving;
            self.desk.open(instance.seat);
        }
        if !self.started {
            self.started = true;
            match self.hooks.start(&Handle::new(self.control.clone(), None)) {
                Ok(()) => self.control.tell(|news| news.ready = true),
                Err(panicked) => self.fail(panicked),
            }
        }
    }

    /// A worker goes on alone: it is only listened to until it ends.
    fn detach(&mut self, at: usize) {
        let instance = &mut self.instances[at];
        instance.phase = Phase::Detached;
        let worker = instance.worker;
        let has_worked = self.desk.recall(instance.seat);
        let proved = self.is_proved(&self.instances[at], has_worked, true);
        if worker < self.wanted && !self.stopping && !self.is_served(worker) {
            self.mourn(worker, End { proved, well: true });
        }
    }
}
