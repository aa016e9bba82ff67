//! The command line's side of a run: asks the runner for cell after cell and shows how far it is.

use std::env;
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use ipc_core::{Error, Ready, Receiver, Select, Sender, Wait};
use ipc_pipe::PipeDuplex;
use ipc_process::Child;

use crate::Result;
use crate::machine::Machine;
use crate::plan::{Cell, Plan};
use crate::results::{Missing, Row, Run, Settings};
use crate::runner::Outcome;
use crate::signals::Signals;
use crate::sys;
use crate::units::bytes;

/// How long the runner may take to clean up.
const PATIENCE: Duration = Duration::from_secs(5);

/// The way to the runner.
pub(crate) struct Ui {
    pub(crate) runner: Child,
    pub(crate) channel: PipeDuplex,
    pub(crate) signals: Signals,
}

/// How a run ended.
pub(crate) enum Ended {
    Done(Box<Run>),
    /// By this signal.
    Interrupted(u8),
}

impl Ui {
    /// Measures every cell of the plan.
    pub(crate) fn run(&mut self, plan: &Plan) -> Result<Ended> {
        let cells = plan.cells();
        let mut run = Run {
            machine: Machine::look()?,
            settings: Settings::new(plan),
            results: Vec::new(),
            refused: Vec::new(),
            failed: Vec::new(),
        };
        let bar = progress(cells.len());
        for cell in &cells {
            // Drawn between cells only: what is drawn meanwhile would be measured.
            bar.set_message(describe(cell));
            bar.tick();
            match self.measure(cell)? {
                Answer::Signal(signal) => {
                    bar.finish_and_clear();
                    return Ok(Ended::Interrupted(signal));
                }
                Answer::Outcome(Outcome::Measured(measured)) => {
                    run.results.push(Row::new(cell, &measured));
                }
                Answer::Outcome(Outcome::Refused(reason)) => {
                    run.refused.push(Missing::new(cell, reason));
                }
                Answer::Outcome(Outcome::Failed(reason)) => {
                    run.failed.push(Missing::new(cell, reason));
                }
            }
            bar.inc(1);
        }
        bar.finish_and_clear();
        Ok(Ended::Done(Box::new(run)))
    }

    fn measure(&mut self, cell: &Cell) -> Result<Answer> {
        let gone = "the runner is gone, killed perhaps: `ipcs -q` shows whether a queue was left";
        match self.channel.send(&serde_json::to_vec(cell)?) {
            Err(Error::Disconnected) => return Err(gone.into()),
            sent => sent?,
        }
        let mut select = Select::new();
        loop {
            let mut members: [&mut dyn Ready; 2] = [&mut self.signals, &mut self.channel];
            if select.wait(&mut members, Wait::Forever)? == 0 {
                if let Some(signal) = self.signals.take() {
                    return Ok(Answer::Signal(signal));
                }
                continue;
            }
            match self.channel.try_recv() {
                Err(Error::WouldBlock) => {}
                Ok(outcome) => return Ok(Answer::Outcome(serde_json::from_slice(outcome)?)),
                // It had the same signal, and was quicker.
                Err(Error::Disconnected) => match self.signals.take() {
                    Some(signal) => return Ok(Answer::Signal(signal)),
                    None => return Err(gone.into()),
                },
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Lets the runner go, and waits until it has cleaned up.
    pub(crate) fn end(self) -> Result<()> {
        drop(self.channel);
        let mut runner = self.runner;
        match runner.wait_timeout(PATIENCE)? {
            Some(status) if status.success() => Ok(()),
            Some(status) => Err(format!("the runner ended with {status}").into()),
            None => Err(format!("the runner did not end within {PATIENCE:?}: killed").into()),
        }
    }
}

enum Answer {
    Outcome(Outcome),
    Signal(u8),
}

fn describe(cell: &Cell) -> String {
    let Cell { mechanism, .. } = cell;
    format!("{mechanism} {} {}", bytes(cell.size), cell.pattern.name())
}

/// A bar on stderr if that is a terminal, nothing else.
fn progress(cells: usize) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style =
        ProgressStyle::with_template("{bar:30} {pos}/{len}  {elapsed} of about {duration}  {msg}");
    let bar = ProgressBar::new(cells as u64);
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}

/// What stdout is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Screen {
    pub(crate) columns: usize,
    pub(crate) colours: bool,
}

impl Screen {
    /// A file is as wide as it need be, and has no colours; nor has who sets <https://no-color.org>.
    pub(crate) fn look() -> Self {
        let stdout = io::stdout();
        let refused = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Screen {
            columns: sys::columns(stdout.as_fd()).unwrap_or(usize::MAX),
            colours: stdout.is_terminal() && !refused,
        }
    }
}

/// Prints to stdout; a reader that has gone away (`head`) is no error.
pub(crate) fn print(text: &str) -> Result<()> {
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => Ok(written?),
    }
}
