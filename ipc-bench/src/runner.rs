//! The runner: a small process that owns the kernel's objects and forks a cell's two processes.
//!
//! It is forked before anything else is started, so that it has one thread and nothing of the
//! command line's in it. It holds the signals of Ctrl-C back and lives until its command line is
//! gone, however that went: then it kills the cell, removes the objects and ends. The cell's own
//! processes die with it.

use std::time::Duration;

use ipc_core::{Error, Ready, Receiver, Select, Sender, Wait};
use ipc_pipe::{PipeDuplex, PipeReceiver, PipeSender};
use ipc_process::Child;
use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::unistd::{Pid, getpid, getppid};
use serde::{Deserialize, Serialize};

use crate::Result;
use crate::cells::{Ends, Figures, Part, Role};
use crate::mechanisms;
use crate::meeting::Meeting;
use crate::placement::{self, Placement};
use crate::plan::Cell;
use crate::signals::Signals;

/// How long a cell may take beyond its time.
const PATIENCE: Duration = Duration::from_secs(30);

/// How a cell went.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Outcome {
    Measured(Measured),
    /// The mechanism cannot carry this size, for this reason.
    Refused(String),
    Failed(String),
}

/// What both processes found out.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Measured {
    pub(crate) figures: Figures,
    /// Processor time of both.
    pub(crate) cpu: Duration,
    pub(crate) core_to_core_ns: Option<f64>,
}

/// Measures the cells that come, until there is nobody to tell.
pub(crate) fn serve(ui: PipeDuplex) -> Result<()> {
    let mut runner = Runner {
        ui,
        signals: Signals::hold()?,
        select: Select::new(),
    };
    while let Some(cell) = runner.next_cell()? {
        let outcome = match runner.measure(&cell) {
            Ok(Some(outcome)) => outcome,
            Ok(None) => break,
            // Out of descriptors or processes: the next cell may need fewer.
            Err(error) => Outcome::Failed(error.to_string()),
        };
        match runner.ui.send(&serde_json::to_vec(&outcome)?) {
            Err(Error::Disconnected) => break,
            sent => sent?,
        }
    }
    Ok(())
}

struct Runner {
    ui: PipeDuplex,
    signals: Signals,
    select: Select,
}

impl Runner {
    /// The next cell; `None` is time to end.
    fn next_cell(&mut self) -> Result<Option<Cell>> {
        loop {
            let mut members: [&mut dyn Ready; 2] = [&mut self.ui, &mut self.signals];
            if self.select.wait(&mut members, Wait::Forever)? == 1 {
                return Ok(None);
            }
            match self.ui.try_recv() {
                Err(Error::WouldBlock) => {}
                Err(Error::Disconnected) => return Ok(None),
                message => return Ok(serde_json::from_slice(message?)?),
            }
        }
    }

    /// Measures a cell; `None` is time to end.
    fn measure(&mut self, cell: &Cell) -> Result<Option<Outcome>> {
        let mechanism = mechanisms::find(&cell.mechanism).ok_or("unknown mechanism")?;
        let mut ends = (mechanism.connect)(cell)?;
        if let Some(reason) = ends.refusal(cell.size) {
            return Ok(Some(Outcome::Refused(reason.to_string())));
        }
        // The ends stay here too until the cell is over: what this process made, it removes.
        let meeting = Meeting::new()?;
        let mut playing = vec![
            Player::start(Role::Driver, &mut *ends, cell, &meeting)?,
            Player::start(Role::Peer, &mut *ends, cell, &meeting)?,
        ];
        let deadline = Wait::from(cell.time * 2 + PATIENCE);
        let mut reports = Vec::new();
        while !playing.is_empty() {
            let mut members: Vec<&mut dyn Ready> = vec![&mut self.ui, &mut self.signals];
            members.extend(playing.iter_mut().map(|p| &mut p.report as &mut dyn Ready));
            let at = match self.select.wait(&mut members, deadline) {
                Err(Error::TimedOut) => {
                    let waited = cell.time * 2 + PATIENCE;
                    let reason = format!("hung: killed after {waited:?}");
                    return Ok(Some(Outcome::Failed(reason)));
                }
                at => at?,
            };
            // While a cell runs the command line says nothing: it is gone.
            let Some(at) = at.checked_sub(2) else {
                return Ok(None);
            };
            match playing[at].take_report() {
                None => {}
                Some(Err(reason)) => return Ok(Some(Outcome::Failed(reason))),
                Some(Ok(report)) => {
                    playing.remove(at).child.join()?;
                    reports.push(report);
                }
            }
        }
        Ok(Some(join(reports)))
    }
}

/// One of a cell's processes. Dropping it kills it.
struct Player {
    role: Role,
    child: Child,
    report: PipeReceiver,
}

/// What a process reports.
#[derive(Debug, Serialize, Deserialize)]
struct Report {
    part: Part,
    core_to_core_ns: Option<f64>,
}

impl Player {
    fn start(role: Role, ends: &mut dyn Ends, cell: &Cell, meeting: &Meeting) -> Result<Self> {
        let runner = getpid();
        let (tx, rx) = ipc_pipe::channel()?;
        let (child, report) = ipc_process::fork((rx, tx), |mut tx: PipeSender| -> Result<()> {
            die_with(runner)?;
            let report = play(role, ends, cell, meeting).map_err(|error| error.to_string());
            Ok(tx.send(&serde_json::to_vec(&report)?)?)
        })?;
        Ok(Player {
            role,
            child,
            report,
        })
    }

    /// The report, if it is there; an error says what went wrong.
    fn take_report(&mut self) -> Option<Result<Report, String>> {
        let role = self.role;
        match self.report.try_recv() {
            Err(Error::WouldBlock) => None,
            Ok(message) => Some(
                serde_json::from_slice(message)
                    .unwrap_or_else(|error| Err(error.to_string()))
                    .map_err(|error| format!("{role:?}: {error}")),
            ),
            Err(_) => Some(Err(match self.child.wait() {
                Ok(status) => format!("{role:?}: ended with {status}"),
                Err(error) => format!("{role:?}: {error}"),
            })),
        }
    }
}

/// Plays a part between two looks at how far apart the cores are.
fn play(role: Role, ends: &mut dyn Ends, cell: &Cell, meeting: &Meeting) -> Result<Report> {
    placement::enter(cell.placement, role)?;
    let probe = || match cell.placement {
        Placement::Split => meeting.probe(role),
        Placement::Same | Placement::Free => None,
    };
    let before = probe();
    let part = ends.play(role, cell)?;
    let after = probe();
    Ok(Report {
        part,
        // The host may move them meanwhile: the worse one counts.
        core_to_core_ns: before.zip(after).map(|(before, after)| before.max(after)),
    })
}

/// Has this process killed when its parent ends, which may have been just now.
fn die_with(parent: Pid) -> Result<()> {
    prctl::set_pdeathsig(Signal::SIGKILL)?;
    if getppid() == parent {
        Ok(())
    } else {
        Err("the runner is gone".into())
    }
}

fn join(reports: Vec<Report>) -> Outcome {
    let cpu = reports.iter().map(|report| report.part.cpu).sum();
    let core_to_core_ns = reports.iter().find_map(|report| report.core_to_core_ns);
    match reports.into_iter().find_map(|report| report.part.figures) {
        Some(figures) if figures.count > 0 => Outcome::Measured(Measured {
            figures,
            cpu,
            core_to_core_ns,
        }),
        _ => Outcome::Failed("not one message in the time given: give it more".to_owned()),
    }
}
