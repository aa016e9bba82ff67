#![doc = include_str!("../README.md")]
// Figures are printed with three digits: a double has more than enough.
#![allow(clippy::cast_precision_loss)]

mod asynchronous;
pub mod cells;
mod cli;
mod columns;
mod floors;
mod grid;
mod json;
mod machine;
pub mod mechanisms;
mod meeting;
mod notes;
pub mod payload;
pub mod placement;
pub mod plan;
mod pool;
mod results;
mod runner;
pub mod signals;
mod sys;
mod table;
mod ui;
mod units;

use std::error::Error;
use std::fmt::Write as _;
use std::process::ExitCode;

use clap::Parser;

use cli::{Cli, Command, Options};
use json::JsonFile;
use mechanisms::{Mechanism, NEEDS};
use results::Run;
use signals::Signals;
use ui::{Screen, Ui};

/// The result of whatever can fail here: an error is something to print.
pub type Result<T, E = Box<dyn Error + Send + Sync>> = std::result::Result<T, E>;

/// The program.
pub fn main() -> ExitCode {
    // Before anything else: what is forked later would have threads and libraries in it.
    let started = start();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let _ = started.map(Ui::end);
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let done = started.and_then(|mut ui| {
        let done = match &cli.command {
            None => compare(&mut ui, &cli.options, &[]),
            Some(Command::Run {
                mechanisms,
                options,
            }) => compare(&mut ui, options, mechanisms),
            Some(Command::Pool(options)) => pool::compare(&mut ui, options),
            Some(Command::List) => list(),
        };
        // However it went: the runner cleans up before this process ends.
        let ended = ui.end();
        done.and_then(|code| ended.map(|()| code))
    });
    done.unwrap_or_else(|error| {
        eprintln!("error: {error}");
        ExitCode::FAILURE
    })
}

/// Forks the runner.
fn start() -> Result<Ui> {
    let _held = Signals::hold()?; // the runner is to have them held from its first line
    let (runner, channel) = ipc_process::fork(ipc_pipe::pair()?, runner::serve)?;
    Ok(Ui { runner, channel })
}

fn compare(ui: &mut Ui, options: &Options, named: &[String]) -> Result<ExitCode> {
    let plan = options.plan(named)?;
    let json = JsonFile::open(options.json.as_deref())?;
    let mut run = Run::new(&plan)?;
    let cells = plan.cells();
    if let Some(signal) = ui.ask_all(&cells, |cell, outcome| run.take(cell, outcome))? {
        return Ok(interrupted(signal));
    }
    json.write(&run)?;
    let table = table::render(&run.results, &plan, Screen::look());
    ui::print(&(notes::heading(&run, &plan) + &table + &notes::notes(&run)))?;
    if run.failed.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    let (failed, cells) = (run.failed.len(), cells.len());
    eprintln!("error: {failed} of {cells} cells failed, see the notes above");
    Ok(ExitCode::FAILURE)
}

fn interrupted(signal: u8) -> ExitCode {
    eprintln!("interrupted");
    ExitCode::from(128 + signal)
}

fn list() -> Result<ExitCode> {
    let mut text = String::new();
    let mut section = |title: &str, floors: bool| {
        text += title;
        for mechanism in mechanisms::ALL.iter().filter(|m| m.is_floor() == floors) {
            let Mechanism { name, about, .. } = mechanism;
            let _ = write!(text, "  {name:16}{about}");
            if !mechanism.is_here() {
                let _ = write!(text, "; {NEEDS}");
            }
            text.push('\n');
        }
    };
    section("mechanisms\n", false);
    section("floors\n", true);
    ui::print(&text)?;
    Ok(ExitCode::SUCCESS)
}
