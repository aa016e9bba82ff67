//! What handles and the supervisor say to each other.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use nix::sys::eventfd::EventFd;

use crate::desk::Desk;
use crate::status::Status;
use crate::{Error, Result};

/// What handles and the supervisor share.
pub(crate) struct Control {
    pub(crate) desk: Arc<Desk>,
    orders: Mutex<Vec<Order>>,
    news: Mutex<News>,
    told: Condvar,
    wake: Arc<EventFd>,
}

/// What the supervisor is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    Stop,
    Reload,
    Scale(usize),
    ReopenLog,
    Signal(usize, i32),
}

/// What the supervisor tells.
#[derive(Debug, Default)]
pub(crate) struct News {
    pub(crate) ready: bool,
    /// How many reloads were asked for, and how many of them have come to their end.
    pub(crate) asked: u64,
    pub(crate) reloads: u64,
    pub(crate) reload_failure: Option<String>,
    pub(crate) ended: bool,
    pub(crate) failure: Option<String>,
    pub(crate) status: Status,
    /// How often the status was told.
    pub(crate) told: u64,
}

impl News {
    /// The error of a pool that has failed before it was ready.
    pub(crate) fn started(&self) -> Result<()> {
        match &self.failure {
            Some(reason) if !self.ready => Err(Error::Start {
                reason: reason.as_str().into(),
            }),
            _ => Ok(()),
        }
    }
}

impl Control {
    pub(crate) fn new(desk: Arc<Desk>, wake: Arc<EventFd>) -> Self {
        Control {
            desk,
            orders: Mutex::default(),
            news: Mutex::default(),
            told: Condvar::new(),
            wake,
        }
    }

    pub(crate) fn order(&self, order: Order) {
        lock(&self.orders).push(order);
        let _ = self.wake.write(1);
    }

    pub(crate) fn take_orders(&self) -> Vec<Order> {
        std::mem::take(&mut *lock(&self.orders))
    }

    /// Takes back what still waits in a pool that has ended, also if that failed.
    pub(crate) fn withdraw(&self) -> Result<Vec<Vec<u8>>> {
        let queue = self.desk.lock().book.withdraw();
        match self.news().failure.clone() {
            None => Ok(queue),
            Some(reason) => Err(Error::Failed {
                reason: reason.into(),
                queue,
            }),
        }
    }

    pub(crate) fn news(&self) -> MutexGuard<'_, News> {
        lock(&self.news)
    }

    /// Changes the news, and tells those who wait for some.
    pub(crate) fn tell(&self, change: impl FnOnce(&mut News)) {
        change(&mut self.news());
        self.told.notify_all();
    }

    pub(crate) fn wait(
        &self,
        mut until: impl FnMut(&News) -> bool,
    ) -> Result<MutexGuard<'_, News>> {
        let mut news = self.news();
        while !until(&news) {
            self.desk.may_wait()?;
            let told = self.told.wait(news);
            news = told.unwrap_or_else(PoisonError::into_inner);
        }
        Ok(news)
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
