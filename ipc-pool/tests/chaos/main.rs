//! Tasks under kills, reloads and stops at random moments: what was submitted is done, quarantined or still
//! queued, and what was answered is not done again.
//!
//! `TASKS`, `KILLS` that are to land in a task, and `RELOADS` say how much: see `just prove-chaos`.
//!
//! Seen to fail: an answer before the handler; answers of a dying worker that are not taken in; a death
//! that is not counted; leases of the dead that are not given back; with `KILLS=600`, a channel
//! that a dead template may have handed over and that is given to another worker. That the epoch is not checked cannot show
//! here, where each instance has a channel of its own: `book::tests` sees it.

mod log;
mod pool;
mod submitter;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use ipc_pool::{Handle, Transport};
use log::{Tale, the_checker_sees_each_fault};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use pool::{Deaths, LONG, MAX_KILLS, POISON, PREFETCH, SHORT, pool};
use submitter::Submitter;

/// So many times as often as it is stopped a worker is killed.
const KILLS_PER_STOP: u64 = 5;
/// So many times as often as its template a worker is troubled.
const WORKERS_PER_TEMPLATE: u64 = 8;
/// One task of so many is poison.
const SELDOM: u64 = 10_000;
/// Tasks that are submitted at the end, to be there when the pool is stopped.
const LEFT: usize = 500;

fn chaos_over_rings() {
    chaos(Transport::Shm);
}

fn chaos_over_sockets() {
    chaos(Transport::Unix);
}

fn chaos(transport: Transport) {
    let tasks = asked("TASKS", 20_000);
    let (kills, reloads) = (asked("KILLS", 20), asked("RELOADS", 3));
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    let deaths = Arc::new(Deaths::default());
    let pool = pool(transport, &path, deaths.clone());
    let mut book = Submitter::new(&path);
    let submitted = AtomicU64::new(0);
    let start = Instant::now();
    let stops = thread::scope(|scope| {
        let trouble = scope.spawn(|| {
            let mut random = Random(kills);
            let mut stops = 0;
            while deaths.landed.load(Relaxed) < kills && submitted.load(Relaxed) < tasks * 10 {
                let landed = deaths.landed.load(Relaxed);
                if submitted.load(Relaxed) * kills >= landed * tasks {
                    stops += u64::from(torment(&pool, &mut random));
                }
                thread::sleep(Duration::from_micros(random.below(400)));
            }
            stops
        });
        let reloading = scope.spawn(|| {
            for reload in 0..reloads {
                while submitted.load(Relaxed) * reloads < reload * tasks {
                    thread::sleep(Duration::from_millis(1));
                }
                // A new worker that is killed before it is ready ends its reload.
                while let Err(error) = pool.reload() {
                    assert!(error.to_string().contains("signal"), "{error}");
                }
            }
        });
        // The load goes on for as long as there is trouble.
        let mut random = Random(1);
        while book.count < tasks || !trouble.is_finished() || !reloading.is_finished() {
            let kind = if random.below(SELDOM) == 0 {
                POISON
            } else {
                SHORT
            };
            book.submit(&pool, kind);
            submitted.store(book.count, Relaxed);
        }
        trouble.join().unwrap()
    });
    let took = start.elapsed();
    for _ in 0..LEFT {
        book.submit(&pool, LONG);
    }
    let tale = book.end(&pool, &path);
    println!(
        "{transport:?}: {} tasks in {took:.1?}, {} kills of which {} in a task ({} of them \
         between its first and its last step), {reloads} reloads, {stops} stops: {} answered, {} quarantined, {} queued at the end, \
         {} duplicates",
        book.count,
        deaths.kills.load(Relaxed),
        deaths.landed.load(Relaxed),
        tale.landed - deaths.aborts.load(Relaxed),
        tale.answered,
        tale.quarantined,
        tale.returned,
        tale.duplicates
    );
    assert!(tale.faults.is_empty(), "{:#?}", first(&tale));
    assert!(deaths.landed.load(Relaxed) >= kills);
    assert!(tale.duplicates <= deaths.kills.load(Relaxed) * PREFETCH as u64);
    assert!(tale.returned > 0, "nothing was left in the queue");
}

fn asked(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |number| number.parse().unwrap())
}

fn a_poison_mix_is_quarantined_whole() {
    let mix = asked("TASKS", 20_000) / 10;
    for transport in [Transport::Shm, Transport::Unix] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let pool = pool(transport, &path, Arc::default());
        let mut book = Submitter::new(&path);
        for n in 0..mix {
            book.submit(&pool, if n % 100 == 50 { POISON } else { SHORT });
        }
        pool.wait_all().unwrap();
        let tale = book.end(&pool, &path);
        assert!(tale.faults.is_empty(), "{:#?}", first(&tale));
        assert_eq!(tale.quarantined, mix / 100);
        assert_eq!(tale.landed, tale.quarantined * MAX_KILLS as u64);
    }
}

/// Kills a worker, or the template, or stops a worker for a moment; true for that.
fn torment(pool: &Handle, random: &mut Random) -> bool {
    let status = pool.status();
    let send = |pid: u32, signal| {
        let pid = Pid::from_raw(i32::try_from(pid).unwrap());
        let _ = kill(pid, signal); // it may be gone by now
    };
    if random.below(WORKERS_PER_TEMPLATE + 1) == 0 {
        send(status.template, Signal::SIGKILL);
    }
    // One that has done nothing yet would be replaced later and later.
    let proved = status.workers.iter().filter(|one| one.tasks > 0);
    let Some(worker) = proved.min_by_key(|_| random.below(100)) else {
        return false;
    };
    if random.below(KILLS_PER_STOP + 1) > 0 {
        send(worker.pid, Signal::SIGKILL);
        return false;
    }
    send(worker.pid, Signal::SIGSTOP);
    thread::sleep(Duration::from_micros(random.below(10_000)));
    if random.below(4) == 0 {
        send(worker.pid, Signal::SIGKILL);
    }
    send(worker.pid, Signal::SIGCONT);
    true
}

/// The first faults are enough.
fn first(tale: &Tale) -> &[String] {
    &tale.faults[..tale.faults.len().min(10)]
}

/// xorshift
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

ipc_core::cases! {
    chaos_over_rings, chaos_over_sockets, a_poison_mix_is_quarantined_whole, the_checker_sees_each_fault,
}
