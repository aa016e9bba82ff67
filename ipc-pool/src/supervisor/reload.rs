//! Other workers in the place of those that are there, or more, or fewer.

use std::time::Instant;

use super::Supervisor;
use crate::events::log;
use crate::restarts::End;

impl Supervisor {
    pub(super) fn scale(&mut self, workers: usize) {
        if self.stopping {
            return;
        }
        let before = self.wanted;
        self.wanted = workers;
        self.due.resize(workers.max(1), None);
        self.desk.lock().book.set_workers(workers);
        let deadline = Instant::now().checked_add(self.grace);
        for instance in &mut self.instances {
            if instance.worker >= workers {
                self.desk.shut(instance.seat);
                instance.drain(deadline);
            }
        }
        for worker in before..workers {
            if !self.is_served(worker) {
                self.begin(worker);
            }
        }
    }

    /// Begins a reload if one is asked for. Those that are asked for during another are one, behind it.
    pub(super) fn begin_reload(&mut self) {
        let (asked, done) = {
            let news = self.control.news();
            (news.asked, news.reloads)
        };
        if asked == done || self.reload.is_some() || self.stopping {
            return;
        }
        self.asked = asked;
        self.restarts.forget();
        for due in &mut self.due {
            *due = due.map(|_| Instant::now()); // the circuit is closed again
        }
        if self.wanted == 0 {
            return self.end_reload(None);
        }
        self.reload_worker(0);
    }

    /// Starts the new instance of a worker.
    fn reload_worker(&mut self, worker: usize) {
        self.reload = Some(worker);
        self.due[worker] = None;
        if let Err(error) = self.try_begin(worker) {
            self.end_reload(Some(error.to_string()));
            if !self.is_served(worker) {
                // It was dead already, and due.
                let (proved, well) = (false, false);
                self.mourn(worker, End { proved, well });
            }
        } else if let Some(new) = self.instances.last_mut() {
            new.is_new = true;
        }
    }

    /// When the new instance is ready the old one is to end, and the next worker's turn comes.
    pub(super) fn go_on_with_reload(&mut self) {
        while let Some(worker) = self.reload {
            let new = self
                .instances
                .iter()
                .find(|one| one.worker == worker && one.is_new);
            if !new.is_some_and(|new| new.is_ready) {
                return;
            }
            for old in &mut self.instances {
                if old.worker == worker && !old.is_new {
                    self.desk.shut(old.seat);
                    old.terminate(self.grace);
                }
                old.is_new &= old.worker != worker;
            }
            self.reload = None;
            if worker + 1 < self.wanted {
                self.reload_worker(worker + 1);
            } else {
                self.reload = Some(worker);
                self.end_reload(None);
            }
        }
    }

    pub(super) fn end_reload(&mut self, failure: Option<String>) {
        if let Some(reason) = failure.as_ref().filter(|_| self.reload.is_some()) {
            log(&format!("the reload ended early: {reason}"));
        }
        self.reload = None;
        for instance in &mut self.instances {
            instance.is_new = false;
        }
        let done = self.asked;
        self.control.tell(|news| {
            news.reloads = done;
            news.reload_failure = failure;
        });
    }
}
