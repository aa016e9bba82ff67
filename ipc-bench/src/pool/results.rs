//! What was found, as rows, and all that goes into the JSON file.

use serde::Serialize;

use super::drive::PAYLOAD;
use super::options::Plan;
use super::reload::WORKERS;
use super::step::{Condition, Finding, Load, Step, Subject};
use crate::Result;
use crate::machine::Machine;
use crate::placement::Placement;
use crate::ui::Ask;

/// A whole run.
#[derive(Debug, Serialize)]
pub(crate) struct Run {
    pub(super) machine: Machine,
    /// What was asked for.
    settings: serde_json::Value,
    /// Tasks of the pool.
    pub(super) results: Vec<TaskRow>,
    /// The same tasks without a pool.
    pub(super) floors: Vec<TaskRow>,
    pub(super) replacement: Vec<ReplacementRow>,
    pub(super) reload: Vec<ReloadRow>,
    pub(super) failed: Vec<Missing>,
}

/// Tasks in one combination. Latencies are from the submission to the answer.
#[derive(Debug, Serialize)]
pub(super) struct TaskRow {
    pub(super) subject: Subject,
    pub(super) placement: Placement,
    pub(super) workers: usize,
    pub(super) window: usize,
    pub(super) task_ns: u64,
    payload_bytes: usize,
    repetition: u32,
    pub(super) count: u64,
    pub(super) tasks_per_s: f64,
    mean_ns: f64,
    pub(super) p50_ns: u64,
    p90_ns: u64,
    pub(super) p99_ns: u64,
    max_ns: u64,
    /// The worse of two probes; `None` where the processes have no core each.
    pub(super) core_to_core_ns: Option<f64>,
}

/// From a worker's SIGKILL to the first instruction of its replacement.
#[derive(Debug, Serialize)]
pub(super) struct ReplacementRow {
    pub(super) subject: Subject,
    pub(super) condition: Condition,
    repetition: u32,
    pub(super) kills: u64,
    pub(super) p50_ms: f64,
    pub(super) p99_ms: f64,
    pub(super) max_ms: f64,
}

/// Until all workers are replaced.
#[derive(Debug, Serialize)]
pub(super) struct ReloadRow {
    pub(super) load: Load,
    workers: usize,
    task_ms: f64,
    repetition: u32,
    reloads: u64,
    pub(super) p50_ms: f64,
    pub(super) max_ms: f64,
    pub(super) lost_tasks: u64,
}

/// A step that has no row, and why.
#[derive(Debug, Serialize)]
pub(super) struct Missing {
    pub(super) step: String,
    pub(super) reason: String,
}

impl Run {
    /// One that has found nothing yet.
    pub(super) fn new(plan: &Plan) -> Result<Self> {
        Ok(Run {
            machine: Machine::look()?,
            settings: serde_json::to_value(plan)?,
            results: Vec::new(),
            floors: Vec::new(),
            replacement: Vec::new(),
            reload: Vec::new(),
            failed: Vec::new(),
        })
    }

    pub(super) fn take(&mut self, step: &Step, found: Result<Finding, String>) {
        let found = found.and_then(|found| {
            let latency = found.figures.latency.ok_or("nothing was timed")?;
            Ok((found, latency))
        });
        let (found, latency) = match found {
            Ok(found) => found,
            Err(reason) => {
                let step = step.describe();
                return self.failed.push(Missing { step, reason });
            }
        };
        let ms = |ns: u64| ns as f64 / 1e6;
        let repetition = step.repetition();
        let count = found.figures.count;
        match step {
            Step::Tasks(step) => {
                let rows = match step.subject {
                    Subject::Pool => &mut self.results,
                    Subject::Fork | Subject::Rings => &mut self.floors,
                };
                rows.push(TaskRow {
                    subject: step.subject,
                    placement: step.placement,
                    workers: step.workers,
                    window: step.window,
                    task_ns: u64::try_from(step.task.as_nanos()).unwrap_or(u64::MAX),
                    payload_bytes: PAYLOAD,
                    repetition,
                    count,
                    tasks_per_s: count as f64 / found.figures.elapsed.as_secs_f64(),
                    mean_ns: latency.mean_ns,
                    p50_ns: latency.p50_ns,
                    p90_ns: latency.p90_ns,
                    p99_ns: latency.p99_ns,
                    max_ns: latency.max_ns,
                    core_to_core_ns: found.core_to_core_ns,
                });
            }
            Step::Replacement(step) => self.replacement.push(ReplacementRow {
                subject: step.subject,
                condition: step.condition,
                repetition,
                kills: count,
                p50_ms: ms(latency.p50_ns),
                p99_ms: ms(latency.p99_ns),
                max_ms: ms(latency.max_ns),
            }),
            Step::Reload(step) => self.reload.push(ReloadRow {
                load: step.load,
                workers: WORKERS,
                task_ms: step.load.task().as_secs_f64() * 1e3,
                repetition,
                reloads: count,
                p50_ms: ms(latency.p50_ns),
                max_ms: ms(latency.max_ns),
                lost_tasks: found.lost,
            }),
        }
    }
}
