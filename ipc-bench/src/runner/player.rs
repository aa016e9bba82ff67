//! A process that measures, and reports.

use ipc_core::{Error, Receiver, Sender};
use ipc_pipe::{PipeReceiver, PipeSender};
use ipc_process::Child;
use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::unistd::{Pid, getpid, getppid};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Result;

/// A process that measures, and reports. Dropping it kills it.
pub(super) struct Player {
    name: &'static str,
    pub(super) child: Child,
    pub(super) report: PipeReceiver,
}

impl Player {
    pub(super) fn start<T: Serialize>(
        name: &'static str,
        play: impl FnOnce() -> Result<T>,
    ) -> Result<Self> {
        let runner = getpid();
        let (tx, rx) = ipc_pipe::channel()?;
        let (child, report) = ipc_process::fork((rx, tx), |mut tx: PipeSender| -> Result<()> {
            die_with(runner)?;
            let report = play().map_err(|error| error.to_string());
            Ok(tx.send(&serde_json::to_vec(&report)?)?)
        })?;
        Ok(Player {
            name,
            child,
            report,
        })
    }

    /// The report, if it is there; an error says what went wrong.
    pub(super) fn take_report<T: DeserializeOwned>(&mut self) -> Option<Result<T, String>> {
        let name = self.name;
        match self.report.try_recv() {
            Err(Error::WouldBlock) => None,
            Ok(message) => Some(
                serde_json::from_slice(message)
                    .unwrap_or_else(|error| Err(error.to_string()))
                    .map_err(|error| format!("{name}: {error}")),
            ),
            Err(_) => Some(Err(match self.child.wait() {
                Ok(status) => format!("{name}: ended with {status}"),
                Err(error) => format!("{name}: {error}"),
            })),
        }
    }
}

/// Has this process killed when its parent ends, which may have been just now.
pub(crate) fn die_with(parent: Pid) -> Result<()> {
    prctl::set_pdeathsig(Signal::SIGKILL)?;
    if getppid() == parent {
        Ok(())
    } else {
        Err("the parent is gone".into())
    }
}
