//! What the supervisor is asked to do, by handles and by signals.

use std::time::Instant;

use super::Supervisor;
use crate::control::Order;
use crate::events::log;

impl Supervisor {
    pub(super) fn obey(&mut self, order: Order) {
        match order {
            Order::Stop => self.stop(),
            Order::Reload => {} // the news say so
            Order::Scale(workers) => self.scale(workers),
            Order::ReopenLog => self.reopen_log(),
            Order::Signal(worker, signal) => self.signal(worker, signal),
        }
    }

    pub(super) fn signalled(&mut self, signal: i32) {
        match signal {
            libc::SIGTERM | libc::SIGINT => self.stop(),
            libc::SIGUSR1 => self.control.tell(|news| news.asked += 1),
            _ => self.reopen_log(),
        }
    }

    fn signal(&self, worker: usize, signal: i32) {
        let mut instances = self.instances.iter();
        let found = instances.find(|one| one.worker == worker && one.is_serving());
        if let Some(Err(error)) = found.map(|one| one.child.signal(signal)) {
            log(&format!("worker {worker}: {error}"));
        }
    }

    /// Opens the log file anew, here and in every process of the pool.
    fn reopen_log(&mut self) {
        let Some(file) = &self.log else { return };
        if let Err(error) = file.reopen() {
            log(&error.to_string());
        }
        for maker in self.maker.iter().chain(&self.heir) {
            maker.hang_up();
        }
        for instance in &self.instances {
            let _ = instance.child.signal(libc::SIGHUP);
        }
    }

    pub(super) fn stop(&mut self) {
        if self.stopping {
            return;
        }
        self.stopping = true;
        let told = self.hooks.shutdown();
        self.heed(told);
        self.desk.close();
        self.reload = None; // who waits for it is told at the end
        let deadline = Instant::now().checked_add(self.grace);
        for instance in &mut self.instances {
            self.desk.shut(instance.seat);
            instance.drain(deadline);
        }
        self.due.fill(None);
    }
}
