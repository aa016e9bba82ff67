//! Tasks under kills, reloads and stops at random moments: what was submitted is done, quarantined or still
//! queued, and what was answered is not done again.
//!
//! `TASKS`, `KILLS` that are to land in a task, and `RELOADS` say how much: see `just prove-chaos`.
//!
//! Seen to fail: an answer before the handler; answers of a dying worker that are not taken in; a death
//! that is not counted; leases of the dead that are not given back.

mod log;

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use ipc_pool::{Error, Handle, Pool, Ticket, Transport, Worker};
use log::{Event, Fate, Log, Record, Tale, check};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// So many times as often as it is stopped a worker is killed.
const KILLS_PER_STOP: u64 = 5;
/// One task of so many is poison.
const SELDOM: u64 = 10_000;
const WORKERS: usize = 3;
/// Tasks that are submitted and not answered.
const WINDOW: usize = 1000;
/// Tasks that are submitted at the end, to be there when the pool is stopped.
const LEFT: usize = 500;
const PREFETCH: usize = 64;
const MAX_KILLS: usize = 3;

/// What a task does, by the first byte of its payload.
const SHORT: u8 = 0;
/// Kills its worker.
const POISON: u8 = 1;
/// Takes a millisecond.
const LONG: u8 = 2;

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

fn pool(transport: Transport, path: &Path, deaths: Arc<Deaths>) -> Handle {
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
struct Deaths {
    kills: AtomicU64,
    /// Of those: so many while a task ran, as the pool says.
    landed: AtomicU64,
    /// By poison.
    aborts: AtomicU64,
}

/// Kills a worker, or stops one for a moment; true for that.
fn torment(pool: &Handle, random: &mut Random) -> bool {
    let status = pool.status();
    // One that has done nothing yet would be replaced later and later.
    let proved = status.workers.iter().filter(|one| one.tasks > 0);
    let Some(worker) = proved.min_by_key(|_| random.below(100)) else {
        return false;
    };
    let pid = Pid::from_raw(i32::try_from(worker.pid).unwrap());
    let send = |signal| {
        let _ = kill(pid, signal); // it may be gone by now
    };
    if random.below(KILLS_PER_STOP + 1) > 0 {
        send(Signal::SIGKILL);
        return false;
    }
    send(Signal::SIGSTOP);
    thread::sleep(Duration::from_micros(random.below(10_000)));
    if random.below(4) == 0 {
        send(Signal::SIGKILL);
    }
    send(Signal::SIGCONT);
    true
}

/// Who submits, and keeps account.
struct Submitter {
    log: Log,
    open: VecDeque<Ticket>,
    fates: BTreeMap<u64, Fate>,
    /// How many there were. The payload of each ends with the number of those before it.
    count: u64,
}

impl Submitter {
    fn new(path: &Path) -> Self {
        Submitter {
            log: Log::append_to(path).unwrap(),
            open: VecDeque::new(),
            fates: BTreeMap::new(),
            count: 0,
        }
    }

    /// Submits a task of this kind, of any length; waits for others when there are many.
    fn submit(&mut self, pool: &Handle, kind: u8) {
        let mut payload = vec![kind; 1 + usize::try_from(self.count % 100).unwrap()];
        payload.extend(self.count.to_le_bytes());
        let ticket = pool.submit(&payload).unwrap();
        self.count += 1;
        self.fates.insert(ticket.id(), Fate::Lost);
        self.open.push_back(ticket);
        while self.open.len() >= WINDOW {
            self.claim();
        }
    }

    /// Waits for the oldest task.
    fn claim(&mut self) {
        let Some(ticket) = self.open.pop_front() else {
            return;
        };
        let id = ticket.id();
        match ticket.wait() {
            Ok(_) => {
                self.log.write(Record {
                    event: Event::Answered,
                    id,
                    attempt: 0,
                    life: 0,
                });
                self.fates.insert(id, Fate::Answered);
            }
            Err(Error::Quarantined { .. } | Error::Stopped) => {} // the pool has to have them
            Err(error) => panic!("{error}"),
        }
    }

    /// Stops the pool, with what is still submitted, and checks the log.
    fn end(&mut self, pool: &Handle, path: &Path) -> Tale {
        let first = *self.fates.keys().next().unwrap();
        let returned = pool.stop().unwrap();
        while !self.open.is_empty() {
            self.claim();
        }
        let returned = returned
            .into_iter()
            .map(|payload| (payload, Fate::Returned));
        let kept = pool.quarantined().into_iter().map(|kept| {
            let fate = Fate::Quarantined(kept.history.len());
            (kept.payload, fate)
        });
        for (payload, fate) in returned.chain(kept) {
            let number = payload.last_chunk().expect("a payload as it was submitted");
            let id = first + u64::from_le_bytes(*number);
            assert_eq!(self.fates.insert(id, fate), Some(Fate::Lost), "task {id}");
        }
        let status = pool.status();
        let tale = check(log::read(path), &self.fates, MAX_KILLS);
        assert_eq!(
            (status.done, status.quarantined, status.leased),
            (tale.answered, tale.quarantined, 0)
        );
        tale
    }
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

fn the_checker_sees_each_fault() {
    use Event::{Answered, Begin, End};
    let faults = |log: &[(Event, u32)], fate| {
        let log = log.iter().map(|&(event, attempt)| Record {
            event,
            id: 7,
            attempt,
            life: u64::from(attempt),
        });
        check(log, &BTreeMap::from([(7, fate)]), MAX_KILLS)
            .faults
            .len()
    };
    let right = [(Begin, 1), (Begin, 2), (End, 2), (Answered, 0)];
    assert_eq!(faults(&right, Fate::Answered), 0);
    let twice = [(Begin, 1), (End, 1), (Begin, 3), (End, 3), (Answered, 0)];
    assert_eq!(faults(&twice, Fate::Answered), 0);
    assert_eq!(faults(&[(Begin, 1), (End, 1)], Fate::Returned), 0);
    assert_eq!(faults(&[], Fate::Lost), 1);
    assert_eq!(
        faults(&[(Begin, 1), (Answered, 0), (End, 1)], Fate::Answered),
        1
    );
    assert_eq!(
        faults(
            &[(Begin, 1), (End, 1), (Begin, 1), (End, 1), (Answered, 0)],
            Fate::Answered
        ),
        1
    );
    assert_eq!(
        faults(
            &[(Begin, 1), (End, 1), (Answered, 0), (Begin, 2)],
            Fate::Answered
        ),
        1
    );
    assert_eq!(
        faults(&[(Begin, 1), (End, 1), (Answered, 0)], Fate::Returned),
        1
    );
    assert_eq!(faults(&[(Begin, 1)], Fate::Quarantined(1)), 1);
    assert_eq!(faults(&[(End, 1)], Fate::Returned), 1);
}

ipc_core::cases! {
    chaos_over_rings, chaos_over_sockets, a_poison_mix_is_quarantined_whole, the_checker_sees_each_fault,
}
