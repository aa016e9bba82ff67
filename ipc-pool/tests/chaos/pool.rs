//! The pool that is put to it: what its tasks do, and the deaths of its workers, counted.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant, SystemTime};

use ipc_pool::{Handle, Pool, Transport, Worker};

use crate::log::{Event, Log, Record};

const WORKERS: usize = 3;
pub(crate) const PREFETCH: usize = 64;
pub(crate) const MAX_KILLS: usize = 3;

/// What a task does, by the first byte of its payload.
pub(crate) const SHORT: u8 = 0;
/// Kills its worker.
pub(crate) const POISON: u8 = 1;
/// Takes a millisecond.
pub(crate) const LONG: u8 = 2;

pub(crate) fn pool(transport: Transport, path: &Path, deaths: Arc<Deaths>) -> Handle {
    let path = path.to_path_buf();
    let open = move |_: &Worker| {
        let log = Log::append_to(&path)?;
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let life = u64::try_from(now.unwrap().as_nanos()).unwrap();
        Ok::<_, std::io::Error>((log, life)) // no two are born in one nanosecond
    };
    let pool = Pool::new(WORKERS).transport(transport).prefetch(PREFETCH);
    let pool = pool.max_kills(MAX_KILLS).on_worker_exit(move |exit| {
        use std::os::unix::process::ExitStatusExt;
        let killed = exit.status.signal() == Some(libc::SIGKILL);
        deaths.kills.fetch_add(u64::from(killed), Relaxed);
        let landed = killed && exit.task.is_some();
        deaths.landed.fetch_add(u64::from(landed), Relaxed);
        deaths
            .aborts
            .fetch_add(u64::from(!killed && exit.task.is_some()), Relaxed);
    });
    let pool = pool.on_task_with(open, |(log, life), task| {
        let mut write = |event| {
            log.write(Record {
                event,
                id: task.id(),
                attempt: task.attempt(),
                life: *life,
            });
        };
        write(Event::Begin);
        if task.payload()[0] == POISON {
            std::process::abort();
        }
        let micros = if task.payload()[0] == LONG {
            1000
        } else {
            task.id() % 32
        };
        let end = Instant::now() + Duration::from_micros(micros);
        while Instant::now() < end {}
        write(Event::End);
        task.payload().to_vec()
    });
    pool.start().unwrap()
}

#[derive(Default)]
pub(crate) struct Deaths {
    pub(crate) kills: AtomicU64,
    /// Of those: so many while a task ran, as the pool says.
    pub(crate) landed: AtomicU64,
    /// By poison.
    pub(crate) aborts: AtomicU64,
}
