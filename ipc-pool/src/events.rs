//! What happens to a pool, as the process that owns it is told.

use std::process::ExitStatus;

use crate::life::caught;
use crate::{Handle, Quarantined};

/// A worker has ended.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Exit {
    /// The worker's id.
    pub worker: usize,
    /// Its process id, as it was.
    pub pid: u32,
    /// How it ended.
    pub status: ExitStatus,
    /// Why it could not start, or what its own work ended with, if that was an error.
    pub reason: Option<String>,
    /// The task that it was running, if it died of that.
    pub task: Option<u64>,
}

/// Callbacks in the process that owns the pool.
#[derive(Default)]
#[allow(clippy::type_complexity)] // each is used once
pub(crate) struct Hooks {
    pub(crate) start: Option<Box<dyn FnMut(&Handle) + Send>>,
    pub(crate) shutdown: Option<Box<dyn FnMut() + Send>>,
    pub(crate) worker_exit: Option<Box<dyn FnMut(&Exit) + Send>>,
    pub(crate) quarantine: Option<Box<dyn FnMut(&Quarantined) + Send>>,
}

/// The error says which callback panicked, and with what.
type Told = Result<(), String>;

impl Hooks {
    pub(crate) fn start(&mut self, pool: &Handle) -> Told {
        match &mut self.start {
            Some(hook) => call("on_start", || hook(pool)),
            None => Ok(()),
        }
    }

    pub(crate) fn shutdown(&mut self) -> Told {
        match &mut self.shutdown {
            Some(hook) => call("on_shutdown", hook),
            None => Ok(()),
        }
    }

    pub(crate) fn worker_exit(&mut self, exit: &Exit) -> Told {
        match &mut self.worker_exit {
            Some(hook) => return call("on_worker_exit", || hook(exit)),
            None if exit.status.success() => {}
            None => log(&describe(exit)),
        }
        Ok(())
    }

    pub(crate) fn quarantine(&mut self, task: &Quarantined) -> Told {
        match &mut self.quarantine {
            Some(hook) => return call("on_quarantine", || hook(task)),
            None => log(&format!(
                "task {} is quarantined: it has killed {} workers",
                task.id,
                task.history.len()
            )),
        }
        Ok(())
    }
}

fn call(name: &str, hook: impl FnOnce()) -> Told {
    caught(|| {
        hook();
        Ok(())
    })
    .map_err(|panicked| format!("{name} {panicked}"))
}

fn describe(exit: &Exit) -> String {
    let task = exit.task.map(|task| format!(", while it ran task {task}"));
    let reason = exit.reason.as_ref().map(|reason| format!(": {reason}"));
    let (task, reason) = (task.unwrap_or_default(), reason.unwrap_or_default());
    let (worker, pid, status) = (exit.worker, exit.pid, exit.status);
    format!("worker {worker} (pid {pid}): {status}{task}{reason}")
}

/// A line on stderr.
pub(crate) fn log(line: &str) {
    eprintln!("ipc-pool: {line}");
}
