//! The log of what was done to tasks, and its checker. Workers and manager append to it; each record is
//! one write(2) to a file opened with `O_APPEND`, so their order is that in which things happened.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{BufReader, Read, Write};
use std::path::Path;

use crate::pool::MAX_KILLS;

/// Bytes of a record: a divisor of the page's, so that no kill can cut one.
const LEN: usize = 32;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// The handler was called.
    Begin,
    /// Its effect is there: this record is the effect.
    End,
    /// The submitter got the answer.
    Answered,
}

const EVENTS: [Event; 3] = [Event::Begin, Event::End, Event::Answered];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) event: Event,
    pub(crate) id: u64,
    pub(crate) attempt: u32,
    /// One life of a worker.
    pub(crate) life: u64,
}

pub(crate) struct Log(File);

impl Log {
    pub(crate) fn append_to(path: &Path) -> std::io::Result<Self> {
        Ok(Log(OpenOptions::new()
            .append(true)
            .create(true)
            .open(path)?))
    }

    pub(crate) fn write(&mut self, record: Record) {
        let mut bytes = [0; LEN];
        bytes[..8].copy_from_slice(&record.id.to_ne_bytes());
        bytes[8..16].copy_from_slice(&record.life.to_ne_bytes());
        bytes[16..20].copy_from_slice(&record.attempt.to_ne_bytes());
        bytes[20] = record.event as u8;
        assert_eq!(self.0.write(&bytes).unwrap(), LEN);
    }
}

pub(crate) fn read(path: &Path) -> impl Iterator<Item = Record> {
    let mut file = BufReader::with_capacity(1 << 20, File::open(path).unwrap());
    std::iter::from_fn(move || {
        let mut bytes = [0; LEN];
        file.read_exact(&mut bytes).ok()?;
        let u64_at = |at: usize| u64::from_ne_bytes(bytes[at..at + 8].try_into().unwrap());
        Some(Record {
            event: EVENTS[usize::from(bytes[20])],
            id: u64_at(0),
            attempt: u32::from_ne_bytes(bytes[16..20].try_into().unwrap()),
            life: u64_at(8),
        })
    })
}

/// What became of a task, as its submitter and the pool say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Answered,
    /// Kept, with so many deaths.
    Quarantined(usize),
    /// It came back when the pool was stopped.
    Returned,
    /// Nobody knows.
    Lost,
}

/// What the log tells.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Tale {
    /// Effects beyond a task's first.
    pub(crate) duplicates: u64,
    /// Lives that ended in a task.
    pub(crate) landed: u64,
    pub(crate) answered: u64,
    pub(crate) quarantined: u64,
    pub(crate) returned: u64,
    /// What must not be.
    pub(crate) faults: Vec<String>,
}

#[derive(Clone, Copy, Default)]
struct Seen {
    attempt: u32,
    effects: u32,
    answered: bool,
}

/// Checks the log against what became of each task that was submitted, by id.
pub(crate) fn check(
    log: impl Iterator<Item = Record>,
    fates: &BTreeMap<u64, Fate>,
    max_kills: usize,
) -> Tale {
    let mut tale = Tale::default();
    let mut seen: BTreeMap<u64, Seen> = fates.keys().map(|&id| (id, Seen::default())).collect();
    // By life: the task that it is running.
    let mut running: BTreeMap<u64, Option<(u64, u32)>> = BTreeMap::new();
    for record in log {
        let Record {
            id, attempt, life, ..
        } = record;
        let Some(task) = seen.get_mut(&id) else {
            tale.faults.push(format!("{record:?}: never submitted"));
            continue;
        };
        match record.event {
            Event::Begin => {
                if task.answered {
                    tale.faults.push(format!("{record:?}: after its answer"));
                }
                // A worker may die between the announcement and the handler: attempts may be missing. But
                // one that is there twice had been answered, or its death was not counted.
                if attempt <= task.attempt {
                    tale.faults
                        .push(format!("{record:?}: after attempt {}", task.attempt));
                }
                task.attempt = attempt;
                if running
                    .insert(life, Some((id, attempt)))
                    .flatten()
                    .is_some()
                {
                    tale.faults.push(format!("{record:?}: within another task"));
                }
            }
            Event::End => {
                if running.insert(life, None).flatten() != Some((id, attempt)) {
                    tale.faults.push(format!("{record:?}: it had not begun"));
                }
                task.effects += 1;
                tale.duplicates += u64::from(task.effects > 1);
            }
            Event::Answered => {
                if task.effects == 0 {
                    tale.faults.push(format!("{record:?}: before its effect"));
                }
                if std::mem::replace(&mut task.answered, true) {
                    tale.faults.push(format!("{record:?}: twice"));
                }
            }
        }
    }
    tale.landed = running.values().flatten().count() as u64;
    for (id, &fate) in fates {
        let task = &seen[id];
        match fate {
            Fate::Answered => tale.answered += 1,
            Fate::Quarantined(_) => tale.quarantined += 1,
            Fate::Returned => tale.returned += 1,
            Fate::Lost => tale.faults.push(format!("task {id} is lost")),
        }
        if task.answered != (fate == Fate::Answered) {
            tale.faults.push(format!(
                "task {id}: {fate:?}, but answered: {}",
                task.answered
            ));
        }
        if matches!(fate, Fate::Quarantined(deaths) if deaths != max_kills) {
            tale.faults
                .push(format!("task {id}: {fate:?} without its history"));
        }
    }
    tale
}

pub(crate) fn the_checker_sees_each_fault() {
    use Event::{Answered, Begin, End};
    let faults = |log: &[(Event, u32)], fate| {
        let log = log.iter().map(|&(event, attempt)| Record {
            event,
            id: 7,
            attempt,
            life: u64::from(attempt),
        });
        check(log, &BTreeMap::from([(7, fate)]), MAX_KILLS)
            .faults
            .len()
    };
    let right = [(Begin, 1), (Begin, 2), (End, 2), (Answered, 0)];
    assert_eq!(faults(&right, Fate::Answered), 0);
    let twice = [(Begin, 1), (End, 1), (Begin, 3), (End, 3), (Answered, 0)];
    assert_eq!(faults(&twice, Fate::Answered), 0);
    assert_eq!(faults(&[(Begin, 1), (End, 1)], Fate::Returned), 0);
    assert_eq!(faults(&[], Fate::Lost), 1);
    assert_eq!(
        faults(&[(Begin, 1), (Answered, 0), (End, 1)], Fate::Answered),
        1
    );
    assert_eq!(
        faults(
            &[(Begin, 1), (End, 1), (Begin, 1), (End, 1), (Answered, 0)],
            Fate::Answered
        ),
        1
    );
    assert_eq!(
        faults(
            &[(Begin, 1), (End, 1), (Answered, 0), (Begin, 2)],
            Fate::Answered
        ),
        1
    );
    assert_eq!(
        faults(&[(Begin, 1), (End, 1), (Answered, 0)], Fate::Returned),
        1
    );
    assert_eq!(faults(&[(Begin, 1)], Fate::Quarantined(1)), 1);
    assert_eq!(faults(&[(End, 1)], Fate::Returned), 1);
}
