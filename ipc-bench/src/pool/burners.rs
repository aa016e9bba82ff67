//! Processes that never sleep.

use std::hint;

use ipc_process::Child;
use nix::unistd::getpid;

use crate::Result;
use crate::placement;
use crate::runner::die_with;

/// One on each core, until it is dropped.
pub(super) fn on_each_core() -> Result<Vec<Child>> {
    let parent = getpid();
    let burner = |core| -> Result<Child> {
        let (child, ()) = ipc_process::fork(((), ()), |()| -> Result<()> {
            die_with(parent)?;
            placement::pin(core)?;
            loop {
                hint::spin_loop();
            }
        })?;
        Ok(child)
    };
    placement::allowed()?.into_iter().map(burner).collect()
}
