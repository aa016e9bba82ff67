//! The command line's side of a run: asks the runner for one job after the other and shows how far it is.

use std::env;
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use ipc_core::{Error, Ready, Receiver, Select, Sender, Wait};
use ipc_pipe::PipeDuplex;
use ipc_process::Child;
use serde::de::DeserializeOwned;

use crate::Result;
use crate::plan::Cell;
use crate::runner::{Job, Outcome};
use crate::signals::Signals;
use crate::sys;
use crate::units::bytes;

/// How long the runner may take to clean up.
const PATIENCE: Duration = Duration::from_secs(5);

/// The way to the runner.
pub(crate) struct Ui {
    pub(crate) runner: Child,
    pub(crate) channel: PipeDuplex,
}

/// Something to ask the runner for.
pub(crate) trait Ask {
    type Reply: DeserializeOwned;

    fn job(&self) -> Job;

    /// For the progress bar.
    fn describe(&self) -> String;
}

impl Ui {
    /// Asks for one after the other, and has each reply taken down. The number of a signal is that
    /// which ended it early; before and after, signals do what they do to any program.
    pub(crate) fn ask_all<A: Ask>(
        &mut self,
        asks: &[A],
        mut take: impl FnMut(&A, A::Reply),
    ) -> Result<Option<u8>> {
        let mut signals = Signals::hold()?;
        let bar = progress(asks.len());
        for ask in asks {
            // Drawn between jobs only: what is drawn meanwhile would be measured.
            bar.set_message(ask.describe());
            bar.tick();
            match self.ask(&ask.job(), &mut signals)? {
                Answer::Signal(signal) => {
                    bar.finish_and_clear();
                    return Ok(Some(signal));
                }
                Answer::Reply(reply) => take(ask, reply),
            }
            bar.inc(1);
        }
        bar.finish_and_clear();
        Ok(None)
    }

    fn ask<T: DeserializeOwned>(&mut self, job: &Job, signals: &mut Signals) -> Result<Answer<T>> {
        let gone = "the runner is gone, killed perhaps: `ipcs -q` shows whether a queue was left";
        match self.channel.send(&serde_json::to_vec(job)?) {
            Err(Error::Disconnected) => return Err(gone.into()),
            sent => sent?,
        }
        let mut select = Select::new();
        loop {
            let mut members: [&mut dyn Ready; 2] = [signals, &mut self.channel];
            if select.wait(&mut members, Wait::Forever)? == 0 {
                if let Some(signal) = signals.take() {
                    return Ok(Answer::Signal(signal));
                }
                continue;
            }
            match self.channel.try_recv() {
                Err(Error::WouldBlock) => {}
                Ok(reply) => return Ok(Answer::Reply(serde_json::from_slice(reply)?)),
                // It had the same signal, and was quicker.
                Err(Error::Disconnected) => match signals.take() {
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

enum Answer<T> {
    Reply(T),
    Signal(u8),
}

impl Ask for Cell {
    type Reply = Outcome;

    fn job(&self) -> Job {
        Job::Cell(self.clone())
    }

    fn describe(&self) -> String {
        let Cell { mechanism, .. } = self;
        format!("{mechanism} {} {}", bytes(self.size), self.pattern.name())
    }
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
