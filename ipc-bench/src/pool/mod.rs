//! `ipc-bench pool`: what a pool of workers costs, beside what the naive program costs.

mod burners;
mod clock;
mod cores;
mod drive;
mod floors;
mod options;
mod reload;
mod replacement;
mod results;
mod step;
mod table;
mod tasks;

use std::process::ExitCode;

use crate::Result;
use crate::json::JsonFile;
use crate::ui::{self, Screen, Ui};

pub(crate) use options::PoolOptions;
use results::Run;
pub(crate) use step::{Finding, Step};

/// Takes every step that was asked for, and shows what was found.
pub(crate) fn compare(ui: &mut Ui, options: &PoolOptions) -> Result<ExitCode> {
    let plan = options.plan()?;
    let json = JsonFile::open(options.json.as_deref())?;
    let mut run = Run::new(&plan)?;
    let steps = plan.steps();
    if let Some(signal) = ui.ask_all(&steps, |step, found| run.take(step, found))? {
        return Ok(crate::interrupted(signal));
    }
    json.write(&run)?;
    ui::print(&table::render(&run, &plan, Screen::look().colours))?;
    if run.failed.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    let (failed, all) = (run.failed.len(), steps.len());
    eprintln!("error: {failed} of {all} steps failed, see the notes above");
    Ok(ExitCode::FAILURE)
}
