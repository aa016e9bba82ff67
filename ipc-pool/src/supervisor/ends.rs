//! The ends of workers, and what follows from them.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Duration;

use super::Supervisor;
use super::instance::{Instance, Phase};
use crate::events::Exit;
use crate::restarts::End;

/// A worker without tasks has proved itself when it has lived so long, or shorter if it ended well.
const PROVEN: Duration = Duration::from_secs(1);
const PROVEN_WELL: Duration = Duration::from_millis(100);

impl Supervisor {
    /// Buries the instances that have ended.
    pub(super) fn reap(&mut self) {
        let mut at = 0;
        while at < self.instances.len() {
            match self.instances[at].child.try_wait() {
                Ok(None) => at += 1,
                Ok(Some(status)) => self.bury(at, status),
                // Somebody else took its status; it is gone all the same.
                Err(_) => self.bury(at, ExitStatus::from_raw(0)),
            }
        }
    }

    fn bury(&mut self, at: usize, status: ExitStatus) {
        let instance = &self.instances[at];
        // One that we have killed may have been about to finish: no task is to blame.
        let death = (instance.phase != Phase::Killed).then_some(status);
        self.desk.hear(instance.seat);
        self.heed_notices(); // while its seat is its own
        let instance = self.instances.swap_remove(at);
        let buried = self.desk.bury(instance.seat, death);
        let reason = instance.last_words.clone();
        let worker = instance.worker;
        let well = instance.is_ready && buried.running.is_none() && status.success();
        let proved = self.is_proved(&instance, buried.acked > 0, well);
        let told = self.hooks.worker_exit(&Exit {
            worker,
            pid: instance.child.pid(),
            status,
            reason: reason.clone(),
            task: buried.running,
        });
        self.heed(told);
        if let Some(killer) = &buried.killer {
            let told = self.hooks.quarantine(killer);
            self.heed(told);
        }
        self.desk.ring();
        if !self.started && !instance.is_ready && self.instances.is_empty() && !self.stopping {
            let reason = reason.unwrap_or_else(|| format!("{status}, before it was ready"));
            return self.fail(format!("worker {worker}: {reason}"));
        }
        if self.reload == Some(worker) && instance.is_new {
            self.end_reload(Some(reason.unwrap_or_else(|| status.to_string())));
        }
        if instance.phase == Phase::Detached {
            return; // its place was taken then
        }
        // The old one goes on when a reload has failed, the new one when the old one ends.
        if worker < self.wanted && !self.stopping && !self.is_served(worker) {
            self.mourn(worker, End { proved, well });
        }
        drop(buried.link); // while its successor starts
    }

    /// Whether a life has done something: work, or what takes time where there are no tasks.
    pub(super) fn is_proved(&self, instance: &Instance, worked: bool, well: bool) -> bool {
        let least = if well { PROVEN_WELL } else { PROVEN };
        worked || (!self.has_tasks && instance.born.elapsed() >= least)
    }

    /// Whether a worker is there, or about to be.
    pub(super) fn is_served(&self, worker: usize) -> bool {
        let mut instances = self.instances.iter();
        instances.any(|one| one.worker == worker && one.is_serving())
    }
}
