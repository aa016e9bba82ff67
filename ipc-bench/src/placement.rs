//! Which cores the processes of a cell run on.

use std::fs;

use clap::ValueEnum;
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use crate::Result;
use crate::cells::Role;

/// Which cores the two processes of a cell run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Placement {
    /// Two cores, one each.
    Split,
    /// One core for both.
    Same,
    /// Wherever the kernel puts them.
    Free,
}

impl Placement {
    /// The one to measure by on this machine: split, if there are two cores.
    ///
    /// # Errors
    ///
    /// If the kernel does not tell.
    pub fn here() -> Result<Self> {
        Ok(match two_cores()? {
            Some(_) => Placement::Split,
            None => Placement::Same,
        })
    }

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Placement::Split => "split",
            Placement::Same => "same",
            Placement::Free => "free",
        }
    }
}

/// The cores that this process may use.  `sched_getaffinity(2)`
pub(crate) fn allowed() -> Result<Vec<usize>> {
    let set = sched_getaffinity(Pid::from_raw(0))?;
    Ok((0..CpuSet::count())
        .filter(|&core| set.is_set(core).unwrap_or(false))
        .collect())
}

/// The first core and the next that is not the same one's second thread; `None` if there is one
/// core only.
pub(crate) fn two_cores() -> Result<Option<[usize; 2]>> {
    let cores = allowed()?;
    let Some((&first, others)) = cores.split_first() else {
        return Ok(None);
    };
    let path = format!("/sys/devices/system/cpu/cpu{first}/topology/thread_siblings_list");
    let siblings = fs::read_to_string(path).map_or_else(|_| vec![first], |text| parse_list(&text));
    let second = others.iter().find(|core| !siblings.contains(core));
    Ok(second.or(others.first()).map(|&second| [first, second]))
}

/// Puts this process where its part of a cell is to run.  `sched_setaffinity(2)`
///
/// # Errors
///
/// If there are not enough cores, or the kernel refuses.
pub fn enter(placement: Placement, role: Role) -> Result<()> {
    let core = match (placement, role) {
        (Placement::Free, _) => return Ok(()),
        (Placement::Split, _) => {
            let cores = two_cores()?.ok_or("placement split needs two cores")?;
            cores[usize::from(role == Role::Peer)]
        }
        (Placement::Same, _) => *allowed()?.first().ok_or("no core is allowed")?,
    };
    pin(core)
}

/// Puts this process, and those that it forks from now on, on one core.  `sched_setaffinity(2)`
pub(crate) fn pin(core: usize) -> Result<()> {
    let mut set = CpuSet::new();
    set.set(core)?;
    Ok(sched_setaffinity(Pid::from_raw(0), &set)?)
}

/// A kernel's list of numbers: `0,4-6`.
fn parse_list(text: &str) -> Vec<usize> {
    let range = |part: &str| {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        Some(from.parse().ok()?..=to.parse().ok()?)
    };
    let parts = text.trim().split(',');
    parts.filter_map(range).flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernel_lists() {
        assert_eq!(parse_list("0\n"), [0]);
        assert_eq!(parse_list("0,4-6,9\n"), [0, 4, 5, 6, 9]);
        assert!(parse_list("").is_empty());
    }
}
