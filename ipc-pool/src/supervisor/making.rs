//! Making workers: from the template, now, later, or again.

use std::time::{Duration, Instant};

use ipc_core::Wait;

use super::Supervisor;
use super::instance::Instance;
use crate::events::log;
use crate::link;
use crate::restarts::{End, Next};
use crate::template::Maker;
use crate::{Error, Result};

/// How long the template may take to make a worker.
const MAKING: Duration = Duration::from_secs(5);

impl Supervisor {
    pub(super) fn make_maker(&mut self) -> Result<()> {
        if let Some(spawn) = self.spawn.take() {
            self.maker = Some(spawn()?);
        }
        let Some(maker) = &mut self.maker else {
            return Err(Error::Stopped);
        };
        self.waiting.watch_template(maker)?;
        let heir = maker.template(Wait::from(MAKING))?;
        self.waiting.watch_template(&heir)?;
        self.heir = Some(heir);
        Ok(())
    }

    /// Makes an instance of a worker.
    pub(super) fn begin(&mut self, worker: usize) {
        self.due[worker] = None;
        let begun = self.try_begin(worker);
        if let Err(error) = begun {
            log(&format!("worker {worker} cannot be made: {error}"));
            if !self.started && self.instances.is_empty() {
                self.fail(error.to_string());
            } else if !self.stopping {
                let (proved, well) = (false, false);
                self.mourn(worker, End { proved, well });
            }
        }
    }

    pub(super) fn try_begin(&mut self, worker: usize) -> Result<()> {
        let max_tasks = self.max_tasks - self.random() % (self.max_tasks / 8).max(1);
        let (transport, max_len) = (self.terms.transport, self.terms.max_len);
        let mut spare = self.spare.take();
        let (link, child) = self.make(|maker, wait| {
            // Each try has its own: one that was lost may have handed it over.
            let spare = spare
                .take()
                .map_or_else(|| link::link(transport, max_len), Ok);
            let (link, ends) = spare?; // these go here: the end of the worker is the end of its channel
            Ok((link, maker.worker(worker, max_tasks, &ends, wait)?))
        })?;
        self.waiting.watch(&child)?;
        let seat = self.desk.seat(worker, link)?;
        self.instances.push(Instance::new(worker, seat, child));
        self.spare = link::link(transport, max_len).ok();
        Ok(())
    }

    /// Has something made by the template, or by its heir if it is dead.
    fn make<T>(&mut self, mut order: impl FnMut(&mut Maker, Wait) -> Result<T>) -> Result<T> {
        let Some(maker) = &mut self.maker else {
            return Err(Error::Stopped);
        };
        match order(maker, Wait::from(MAKING)) {
            Err(error) if maker.is_lost(&error) && self.heir.is_some() => {
                self.template_is_gone();
                self.make(order)
            }
            made => made,
        }
    }

    /// A template, or its heir, is dead: the other one goes on, and has a new heir.
    pub(super) fn template_is_gone(&mut self) {
        for maker in [&mut self.maker, &mut self.heir] {
            if maker.as_mut().is_some_and(Maker::is_dead) {
                *maker = None;
            }
        }
        self.maker = self.maker.take().or_else(|| self.heir.take());
        if self.maker.is_none() {
            return self.fail("the template process and its heir are dead".into());
        }
        if self.heir.is_none() && !self.stopping {
            let heir = self.make(Maker::template);
            let watched = heir.and_then(|heir| {
                self.waiting.watch_template(&heir)?;
                Ok(heir)
            });
            match watched {
                Ok(heir) => self.heir = Some(heir),
                Err(error) => log(&format!("no second template could be made: {error}")),
            }
        }
    }

    /// Decides when a dead worker is replaced.
    pub(super) fn mourn(&mut self, worker: usize, end: End) {
        let (now, random) = (Instant::now(), self.random());
        self.restarted += 1;
        match self.restarts.ended(worker, end, now, random) {
            Next::Now => self.begin(worker),
            Next::At(then) => {
                if self.restarts.is_open(now) {
                    log(&format!(
                        "too many workers die: none is replaced for {:?}, the queue is kept",
                        then - now
                    ));
                }
                self.due[worker] = Some(then);
            }
        }
    }

    pub(super) fn start_what_is_due(&mut self) {
        if self.stopping {
            return;
        }
        let now = Instant::now();
        for worker in 0..self.wanted {
            if self.due[worker].is_some_and(|then| then <= now) {
                self.begin(worker);
            }
        }
    }
}
