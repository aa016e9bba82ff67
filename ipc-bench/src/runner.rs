//! The runner: a small process that owns the kernel's objects and forks the processes that measure.
//!
//! It is forked before anything else is started, so that it has one thread and nothing of the
//! command line's in it. It holds the signals of Ctrl-C back and lives until its command line is
//! gone, however that went: then it kills the cell, removes the objects and ends. The cell's own
//! processes die with it.

mod player;

use std::time::Duration;

use ipc_core::{Error, Ready, Receiver, Select, Sender, Wait};
use ipc_pipe::PipeDuplex;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::Result;
use crate::cells::{Ends, Figures, Part, Role};
use crate::mechanisms;
use crate::meeting::Meeting;
use crate::placement::{self, Placement};
use crate::plan::Cell;
use crate::pool::{Finding, Step};
use crate::signals::Signals;

use player::Player;
pub(crate) use player::die_with;

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

/// What can be asked of the runner.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Job {
    /// Answered by an [`Outcome`].
    Cell(Cell),
    /// Answered by a [`Finding`], or the reason why there is none.
    Pool(Step),
}

/// Does the jobs that come, until there is nobody to tell.
pub(crate) fn serve(ui: PipeDuplex) -> Result<()> {
    let mut runner = Runner {
        ui,
        signals: Signals::hold()?,
        select: Select::new(),
    };
    while let Some(job) = runner.next_job()? {
        let Some(answer) = runner.answer(&job)? else {
            break;
        };
        match runner.ui.send(&answer) {
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
    /// The next job; `None` is time to end.
    fn next_job(&mut self) -> Result<Option<Job>> {
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

    /// Does a job; `None` is time to end.
    fn answer(&mut self, job: &Job) -> Result<Option<Vec<u8>>> {
        // Out of descriptors or processes: the next job may need fewer.
        let answer = match job {
            Job::Cell(cell) => match self.measure(cell) {
                Ok(None) => return Ok(None),
                Ok(Some(outcome)) => serde_json::to_vec(&outcome),
                Err(error) => serde_json::to_vec(&Outcome::Failed(error.to_string())),
            },
            Job::Pool(step) => match self.pool(step) {
                Ok(None) => return Ok(None),
                Ok(Some(found)) => serde_json::to_vec(&found),
                Err(error) => serde_json::to_vec(&Err::<Finding, _>(error.to_string())),
            },
        };
        Ok(Some(answer?))
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
        let mut start = |name, role| {
            let ends = &mut *ends;
            Player::start(name, || play(role, ends, cell, &meeting))
        };
        let playing = vec![start("Driver", Role::Driver)?, start("Peer", Role::Peer)?];
        let reports = self.gather(playing, cell.time * 2 + PATIENCE)?;
        Ok(reports.map(|reports| match reports {
            Ok(reports) => join(reports),
            Err(reason) => Outcome::Failed(reason),
        }))
    }

    /// Takes a step of a pool's measurement; `None` is time to end.
    fn pool(&mut self, step: &Step) -> Result<Option<Result<Finding, String>>> {
        let playing = vec![Player::start("Manager", || step.measure())?];
        let found = self.gather(playing, step.patience() + PATIENCE)?;
        Ok(found.map(|found| found.and_then(|mut all| all.pop().ok_or("nothing".to_owned()))))
    }

    /// Waits for the reports; `None` is time to end.
    fn gather<T: DeserializeOwned>(
        &mut self,
        mut playing: Vec<Player>,
        patience: Duration,
    ) -> Result<Option<Result<Vec<T>, String>>> {
        let deadline = Wait::from(patience);
        let mut reports = Vec::new();
        while !playing.is_empty() {
            let mut members: Vec<&mut dyn Ready> = vec![&mut self.ui, &mut self.signals];
            members.extend(playing.iter_mut().map(|p| &mut p.report as &mut dyn Ready));
            let at = match self.select.wait(&mut members, deadline) {
                Err(Error::TimedOut) => {
                    return Ok(Some(Err(format!("hung: killed after {patience:?}"))));
                }
                at => at?,
            };
            // While a job is done the command line says nothing: it is gone.
            let Some(at) = at.checked_sub(2) else {
                return Ok(None);
            };
            match playing[at].take_report() {
                None => {}
                Some(Err(reason)) => return Ok(Some(Err(reason))),
                Some(Ok(report)) => {
                    playing.remove(at).child.join()?;
                    reports.push(report);
                }
            }
        }
        Ok(Some(Ok(reports)))
    }
}

/// What a process of a cell reports.
#[derive(Debug, Serialize, Deserialize)]
struct Report {
    part: Part,
    core_to_core_ns: Option<f64>,
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
