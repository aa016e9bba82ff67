//! What is measured, one step after the other, each by a process of its own.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{reload, replacement, tasks};
use crate::Result;
use crate::cells::Figures;
use crate::placement::Placement;
use crate::runner::Job;
use crate::ui::Ask;
use crate::units::{time_unit, with_unit};

/// One thing that is measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Step {
    Tasks(Tasks),
    Replacement(Replacement),
    Reload(Reload),
}

/// Tasks are submitted, so many at a time, and answered.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Tasks {
    pub(crate) subject: Subject,
    pub(crate) placement: Placement,
    pub(crate) workers: usize,
    /// Tasks that are submitted and not answered.
    pub(crate) window: usize,
    /// How long a task takes.
    pub(crate) task: Duration,
    /// How long it is measured.
    pub(crate) time: Duration,
    pub(crate) repetition: u32,
}

/// A worker is killed, again and again.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Replacement {
    pub(crate) subject: Subject,
    pub(crate) condition: Condition,
    pub(crate) kills: u32,
    pub(crate) repetition: u32,
}

/// All workers are replaced under load, again and again.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Reload {
    pub(crate) load: Load,
    pub(crate) reloads: u32,
    pub(crate) repetition: u32,
}

/// Who does it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Subject {
    /// `ipc-pool`, by its public functions.
    Pool,
    /// Forked processes, without a pool: each echoes on a unix socketpair of its own.
    Fork,
    /// A forked process, with a bare ring each way, which spins where it has a core of its own.
    Rings,
}

/// What else there is while a worker is replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Condition {
    /// Nothing.
    Idle,
    /// A process on each core that never sleeps.
    Burners,
    /// The manager has 512 MB.
    Large,
}

/// What the workers do while they are replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Load {
    /// Tasks that sleep for 0.5 ms.
    Sleep,
    /// Tasks that compute for 0.5 ms.
    Compute,
    /// Tasks that sleep for 1.2 s.
    Long,
}

/// What a step has found.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Finding {
    pub(crate) figures: Figures,
    pub(crate) core_to_core_ns: Option<f64>,
    /// Tasks that were submitted and never answered.
    pub(crate) lost: u64,
}

impl Step {
    /// Measures, in this process, which has one thread.
    pub(crate) fn measure(&self) -> Result<Finding> {
        match self {
            Step::Tasks(step) => tasks::measure(step),
            Step::Replacement(step) => replacement::measure(step),
            Step::Reload(step) => reload::measure(step),
        }
    }

    /// How long it may take at most; the runner adds something.
    pub(crate) fn patience(&self) -> Duration {
        match self {
            Step::Tasks(step) => step.time * 2,
            Step::Replacement(step) => Duration::from_millis(300) * step.kills,
            Step::Reload(step) => Duration::from_secs(3) * step.reloads,
        }
    }

    pub(crate) fn repetition(&self) -> u32 {
        match self {
            Step::Tasks(step) => step.repetition,
            Step::Replacement(step) => step.repetition,
            Step::Reload(step) => step.repetition,
        }
    }
}

impl Tasks {
    /// How long it runs before it is measured.
    pub(crate) fn warm_up(&self) -> Duration {
        (self.time / 8).min(Duration::from_millis(100))
    }
}

impl Load {
    pub(crate) fn task(self) -> Duration {
        match self {
            Load::Sleep | Load::Compute => Duration::from_micros(500),
            Load::Long => Duration::from_millis(1200),
        }
    }
}

impl Ask for Step {
    type Reply = Result<Finding, String>;

    fn job(&self) -> Job {
        Job::Pool(self.clone())
    }

    fn describe(&self) -> String {
        match self {
            Step::Tasks(step) => {
                let (workers, window, task) = (step.workers, step.window, describe(step.task));
                format!("tasks: {workers} workers, window {window}, {task}")
            }
            Step::Replacement(step) => format!("replacement: {}", step.condition.name()),
            Step::Reload(step) => format!("reload: {}", step.load.name()),
        }
    }
}

impl Condition {
    pub(crate) const ALL: [Condition; 3] = [Condition::Idle, Condition::Burners, Condition::Large];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Condition::Idle => "idle",
            Condition::Burners => "beside a burner on each core",
            Condition::Large => "by a manager of 512 MB",
        }
    }
}

impl Load {
    pub(crate) const ALL: [Load; 3] = [Load::Sleep, Load::Compute, Load::Long];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Load::Sleep => "tasks sleep 0.5 ms",
            Load::Compute => "tasks compute 0.5 ms",
            Load::Long => "tasks sleep 1.2 s",
        }
    }
}

/// How long a task takes, in words.
pub(crate) fn describe(task: Duration) -> String {
    if task.is_zero() {
        return "no work".to_owned();
    }
    let ns = task.as_secs_f64() * 1e9;
    let time = with_unit(ns, time_unit(ns));
    // 10 us, not 10.0 us.
    match time.split_once(' ') {
        Some((number, unit)) if number.contains('.') => {
            let number = number.trim_end_matches('0').trim_end_matches('.');
            format!("{number} {unit}")
        }
        _ => time,
    }
}
