//! What is asked for on the command line, and the steps that it takes.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use serde::Serialize;

use super::step::{Condition, Load, Reload, Replacement, Step, Subject, Tasks};
use crate::Result;
use crate::cli::parse_time;
use crate::placement::{self, Placement};
use crate::plan::distinct;

/// What can be measured of a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum What {
    /// How many tasks a second are submitted, done and answered, and how long one takes
    Tasks,
    /// From the SIGKILL of a worker to its replacement
    Replacement,
    /// Until all workers are replaced, under load
    Reload,
}

#[derive(Debug, Args)]
pub(crate) struct PoolOptions {
    /// What to measure: tasks, replacement, reload; all, unless named
    #[arg(value_name = "WHAT", hide_possible_values = true)]
    what: Vec<What>,
    /// Workers
    #[arg(long, value_delimiter = ',', default_value = "1,2", value_parser = number(64))]
    workers: Vec<u64>,
    /// Tasks that are submitted and not answered
    #[arg(long, value_delimiter = ',', default_value = "1,8,64", value_parser = number(65_536))]
    window: Vec<u64>,
    /// How long a task takes: 0, 500ns, 10us, 1ms
    #[arg(long, value_delimiter = ',', default_value = "0,1us,10us", value_parser = parse_task)]
    task: Vec<Duration>,
    /// Where they run: split (the manager on one core, the first worker on the next, and so on), same
    /// (one core), free (where the kernel puts them) [default: split, and one worker also same]
    #[arg(long, value_delimiter = ',', hide_possible_values = true)]
    placement: Vec<Placement>,
    /// Seconds that tasks are measured, in each combination
    #[arg(long, value_name = "SECONDS", default_value = "0.25", value_parser = parse_time)]
    time: Duration,
    /// How often a worker is killed, in each condition
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = count())]
    kills: u32,
    /// How often all workers are replaced, under each load of short tasks
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = count())]
    reloads: u32,
    /// How often everything is measured; medians are shown
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = count())]
    repeat: u32,
    /// Writes all figures to this file
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
}

/// All that was asked for.
#[derive(Debug, Serialize)]
pub(crate) struct Plan {
    pub(crate) what: Vec<What>,
    pub(crate) workers: Vec<usize>,
    pub(crate) windows: Vec<usize>,
    #[serde(serialize_with = "in_ns", rename = "task_ns")]
    pub(crate) tasks: Vec<Duration>,
    pub(crate) placements: Vec<Placement>,
    /// Whether several workers are measured on one core, too.
    #[serde(skip)]
    crowded: bool,
    #[serde(serialize_with = "seconds", rename = "time_s")]
    pub(crate) time: Duration,
    pub(crate) kills: u32,
    pub(crate) reloads: u32,
    pub(crate) repeat: u32,
}

impl PoolOptions {
    pub(crate) fn plan(&self) -> Result<Plan> {
        let two_cores = placement::two_cores()?.is_some();
        let mut placements = distinct(&self.placement);
        if placements.contains(&Placement::Split) && !two_cores {
            return Err("placement split needs two cores: try --placement same".into());
        }
        if placements.is_empty() {
            placements.extend(two_cores.then_some(Placement::Split));
            placements.push(Placement::Same);
        }
        let mut what = distinct(&self.what);
        if what.is_empty() {
            what.extend_from_slice(What::value_variants());
        }
        let numbers = |all: &[u64]| -> Vec<usize> {
            let all = distinct(all).into_iter();
            all.filter_map(|n| usize::try_from(n).ok()).collect()
        };
        Ok(Plan {
            what,
            workers: numbers(&self.workers),
            windows: numbers(&self.window),
            tasks: distinct(&self.task),
            crowded: !self.placement.is_empty() || !two_cores,
            placements,
            time: self.time,
            kills: self.kills,
            reloads: self.reloads,
            repeat: self.repeat,
        })
    }
}

impl Plan {
    /// The steps in their order: the repetition outermost, and who is compared side by side.
    pub(crate) fn steps(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        for repetition in 1..=self.repeat {
            for what in &self.what {
                match what {
                    What::Tasks => self.push_tasks(&mut steps, repetition),
                    What::Replacement => self.push_replacements(&mut steps, repetition),
                    What::Reload => self.push_reloads(&mut steps, repetition),
                }
            }
        }
        steps
    }

    fn push_tasks(&self, steps: &mut Vec<Step>, repetition: u32) {
        for &placement in &self.placements {
            for &workers in &self.workers {
                if workers > 1 && placement == Placement::Same && !self.crowded {
                    continue;
                }
                // The bare rings know one worker.
                let subjects = [Subject::Pool, Subject::Fork, Subject::Rings];
                let subjects = &subjects[..if workers == 1 { 3 } else { 2 }];
                for &task in &self.tasks {
                    for &window in &self.windows {
                        steps.extend(subjects.iter().map(|&subject| {
                            Step::Tasks(Tasks {
                                subject,
                                placement,
                                workers,
                                window,
                                task,
                                time: self.time,
                                repetition,
                            })
                        }));
                    }
                }
            }
        }
    }

    fn push_replacements(&self, steps: &mut Vec<Step>, repetition: u32) {
        for condition in Condition::ALL {
            // The floor is there for the median.
            let subjects = [
                (Subject::Pool, self.kills),
                (Subject::Fork, self.kills.div_ceil(4)),
            ];
            steps.extend(subjects.map(|(subject, kills)| {
                Step::Replacement(Replacement {
                    subject,
                    condition,
                    kills,
                    repetition,
                })
            }));
        }
    }

    fn push_reloads(&self, steps: &mut Vec<Step>, repetition: u32) {
        steps.extend(Load::ALL.map(|load| {
            let reloads = match load {
                Load::Long => 1,
                Load::Sleep | Load::Compute => self.reloads,
            };
            Step::Reload(Reload {
                load,
                reloads,
                repetition,
            })
        }));
    }
}

fn number(most: u64) -> clap::builder::RangedU64ValueParser {
    clap::value_parser!(u64).range(1..=most)
}

fn count() -> clap::builder::RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(1..=100_000)
}

fn parse_task(text: &str) -> Result<Duration, String> {
    let units = [("ns", 1), ("us", 1_000), ("ms", 1_000_000)];
    let unit = units.iter().find(|(name, _)| text.ends_with(name));
    let (digits, one) = match unit {
        Some((name, one)) => (&text[..text.len() - name.len()], *one),
        None if text == "0" => (text, 1),
        None => ("", 1),
    };
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let ns = digits.parse().ok().filter(|_| plain);
    match ns.and_then(|n: u64| n.checked_mul(one)) {
        Some(ns) if ns <= 10_000_000 => Ok(Duration::from_nanos(ns)),
        Some(_) => Err("a task takes 10 ms at most".to_owned()),
        None => Err("a task takes 0, or a time such as 500ns, 10us or 1ms".to_owned()),
    }
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde wants it so
fn seconds<S: serde::Serializer>(time: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_f64(time.as_secs_f64())
}

fn in_ns<S: serde::Serializer>(tasks: &[Duration], to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(tasks.iter().map(Duration::as_nanos))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tasks_lengths() {
        for (text, ns) in [
            ("0", 0),
            ("500ns", 500),
            ("10us", 10_000),
            ("1ms", 1_000_000),
        ] {
            assert_eq!(parse_task(text), Ok(Duration::from_nanos(ns)));
        }
        for text in [
            "",
            "1",
            "us",
            "-1us",
            "+1us",
            "1.5us",
            "11ms",
            "soon",
            "99999999999999999999ns",
        ] {
            assert!(parse_task(text).is_err(), "{text}");
        }
    }
}
