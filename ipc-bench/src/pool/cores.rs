//! How far apart the cores are, seen from a process that measures alone.

use ipc_core::{Receiver, Sender};
use ipc_pipe::{PipeReceiver, PipeSender};
use ipc_process::Child;
use nix::unistd::getpid;

use crate::Result;
use crate::cells::Role;
use crate::meeting::Meeting;
use crate::placement::{self, Placement};
use crate::runner::die_with;

/// A process on the other core, which sleeps but for the probes.
pub(super) struct Cores {
    meeting: Meeting,
    bell: PipeSender,
    _other: Child,
}

impl Cores {
    /// `None` where the processes have no core each.
    pub(super) fn new(placement: Placement) -> Result<Option<Self>> {
        if placement != Placement::Split {
            return Ok(None);
        }
        let meeting = Meeting::new()?;
        let parent = getpid();
        let (bell, ringing) = ipc_pipe::channel()?;
        let answer = |mut ringing: PipeReceiver| -> Result<()> {
            die_with(parent)?;
            placement::enter(placement, Role::Peer)?;
            while ringing.recv().is_ok() {
                meeting.probe(Role::Peer);
            }
            Ok(())
        };
        let (other, bell) = ipc_process::fork((bell, ringing), answer)?;
        Ok(Some(Cores {
            meeting,
            bell,
            _other: other,
        }))
    }

    /// A cache line there and back, in ns.
    pub(super) fn probe(&mut self) -> Result<Option<f64>> {
        self.bell.send(b"probe")?;
        Ok(self.meeting.probe(Role::Driver))
    }
}
