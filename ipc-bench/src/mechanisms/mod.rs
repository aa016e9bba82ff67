//! All that can be measured.

mod all;
mod make;

use std::fmt;

use crate::Result;
use crate::cells::Ends;
use crate::placement::Placement;
use crate::plan::{Cell, Pattern, Polling};

pub use all::ALL;

/// A mechanism of the toolkit, or a floor.
pub struct Mechanism {
    /// Its name on the command line and in results.
    pub name: &'static str,
    /// What it is, in a line.
    pub about: &'static str,
    /// What it can do; nothing, if this build is without it.
    pub patterns: &'static [Pattern],
    /// What it is compared with; a floor with nothing.
    pub floor: Floor,
    /// How its ends wait, when asked for a way: `None` is in the kernel, at once, without a choice.
    pub spin: fn(Polling) -> Option<Polling>,
    /// What a row asks for beyond the defaults.
    pub asks: fn(&Cell) -> Option<String>,
    /// Makes the two ends of a cell.
    pub connect: fn(&Cell) -> Result<Box<dyn Ends>>,
}

/// What a build needs for those that are not [here](Mechanism::is_here).
pub const NEEDS: &str = "needs cargo's --features peers";

/// What a mechanism is compared with.
#[derive(Clone, Copy, Debug)]
pub enum Floor {
    /// It is one itself.
    Itself,
    /// The same calls without the mechanism.
    Raw(&'static str),
    /// A ring that spins, for polling ends on two cores; else one that sleeps.
    Ring(&'static str, &'static str),
}

/// The one of this name.
pub fn find(name: &str) -> Option<&'static Mechanism> {
    ALL.iter().find(|mechanism| mechanism.name == name)
}

impl Mechanism {
    /// Whether it is a floor.
    pub fn is_floor(&self) -> bool {
        matches!(self.floor, Floor::Itself)
    }

    /// Whether this build has it: for some it [needs](NEEDS) a cargo feature.
    pub fn is_here(&self) -> bool {
        !self.patterns.is_empty()
    }

    /// The name of the floor that a row is compared with.
    pub fn floor_of(&self, placement: Placement, spin: Option<Polling>) -> Option<&'static str> {
        match self.floor {
            Floor::Itself => None,
            Floor::Raw(name) => Some(name),
            Floor::Ring(spinning, sleeping) => {
                let sleeps = placement == Placement::Same || spin == Some(Polling::Never);
                Some(if sleeps { sleeping } else { spinning })
            }
        }
    }
}

impl fmt::Debug for Mechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}
