//! Tasks under kills, stops and reloads at random, checked by what their handlers have written into a
//! log. `TASKS`, `KILLS` and `RELOADS` say how much: see `just prove-chaos`.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use ipc_pool::{Error, Handle, Pool, Ticket};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const PREFETCH: usize = 16;

fn asked(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().unwrap())
}

/// What a handler has done, as a line of the log: it is written by one call, to a file that is
/// appended to, and is there however its writer dies.
const BEGIN: u8 = b'b';
const END: u8 = b'e';

fn note(log: &mut File, id: u64, attempt: u32, what: u8) {
    let mut record = [0; 16];
    record[..8].copy_from_slice(&id.to_le_bytes());
    record[8..12].copy_from_slice(&attempt.to_le_bytes());
    record[12] = what;
    assert_eq!(log.write(&record).unwrap(), record.len());
}

/// What the log says of a task: its begins, by attempt, and its ends.
#[derive(Default)]
struct Done {
    begins: HashMap<u32, u32>,
    ends: u32,
}

fn read(path: &Path) -> HashMap<u64, Done> {
    let bytes = std::fs::read(path).unwrap();
    assert_eq!(bytes.len() % 16, 0);
    let mut tasks: HashMap<u64, Done> = HashMap::new();
    for record in bytes.chunks(16) {
        let task = tasks
            .entry(u64::from_le_bytes(record[..8].try_into().unwrap()))
            .or_default();
        let attempt = u32::from_le_bytes(record[8..12].try_into().unwrap());
        match record[12] {
            BEGIN => *task.begins.entry(attempt).or_default() += 1,
            _ => task.ends += 1,
        }
    }
    tasks
}

fn random(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

/// Kills, stops and reloads, until enough kills have landed while a task ran and all tasks are done.
fn rage(pool: &Handle, landed: &AtomicU64, over: &AtomicBool, kills: u64, reloads: u64) -> u64 {
    let (mut state, mut killed, mut reloaded) = (0x9e37_79b9_7f4a_7c15, 0, 0);
    let mut stopped = None;
    while !over.load(Ordering::Relaxed) {
        thread::sleep(Duration::from_micros(random(&mut state) % 2000));
        if let Some(pid) = stopped.take() {
            let _ = kill(pid, Signal::SIGCONT);
        }
        let workers = pool.status().workers;
        let ready: Vec<_> = workers.iter().filter(|worker| worker.is_ready).collect();
        if ready.is_empty() || landed.load(Ordering::Relaxed) >= kills && reloaded >= reloads {
            continue;
        }
        let at = usize::try_from(random(&mut state)).unwrap() % ready.len();
        // Of a child that is reaped the number could be another's: only this process forks here.
        let pid = Pid::from_raw(i32::try_from(ready[at].pid).unwrap());
        match random(&mut state) % 8 {
            0 if kill(pid, Signal::SIGSTOP).is_ok() => stopped = Some(pid),
            1 if reloaded < reloads => reloaded += u64::from(pool.reload().is_ok()),
            _ if landed.load(Ordering::Relaxed) < kills => {
                killed += u64::from(kill(pid, Signal::SIGKILL).is_ok());
            }
            _ => {}
        }
    }
    if let Some(pid) = stopped {
        let _ = kill(pid, Signal::SIGCONT);
    }
    assert!(reloaded >= reloads, "{reloaded} reloads");
    killed
}

fn nothing_is_lost() {
    let (tasks, kills) = (asked("TASKS", 10_000), asked("KILLS", 50));
    let reloads = asked("RELOADS", 5);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    let landed = Arc::new(AtomicU64::new(0));
    let open = {
        let path = path.clone();
        move |_: &ipc_pool::Worker| OpenOptions::new().append(true).create(true).open(&path)
    };
    let count = landed.clone();
    let pool = Pool::new(3)
        .prefetch(PREFETCH)
        .max_kills(usize::MAX)
        .on_worker_exit(move |exit| {
            count.fetch_add(exit.task.is_some().into(), Ordering::Relaxed);
        })
        .on_task_with(open, |log, task| {
            note(log, task.id(), task.attempt(), BEGIN);
            let end = Instant::now() + Duration::from_micros(task.id() % 64);
            while Instant::now() < end {}
            note(log, task.id(), task.attempt(), END);
            task.payload().to_vec()
        });
    let pool = pool.start().unwrap();
    let over = AtomicBool::new(false);
    let mut ids = Vec::new();
    let killed = thread::scope(|scope| {
        let raging = scope.spawn(|| rage(&pool, &landed, &over, kills, reloads));
        let mut tickets: Vec<(u64, Ticket)> = Vec::new();
        let mut n = 0;
        // As many as were asked for, and more until enough kills have landed.
        while n < tasks || landed.load(Ordering::Relaxed) < kills {
            for _ in 0..500 {
                tickets.push((n, pool.submit(&n.to_le_bytes()).unwrap()));
                n += 1;
            }
            for (n, ticket) in tickets.drain(..) {
                ids.push(ticket.id());
                assert_eq!(ticket.wait().unwrap(), n.to_le_bytes());
            }
        }
        // The last reloads.
        thread::sleep(Duration::from_millis(200));
        over.store(true, Ordering::Relaxed);
        raging.join().unwrap()
    });
    let status = pool.status();
    pool.stop().unwrap();
    let log = read(&path);
    assert!(log.len() <= ids.len(), "what was not submitted was run");
    let mut twice = 0;
    for id in &ids {
        let task = log.get(id).expect("answered and never run");
        assert!(task.ends >= 1, "answered before its effect");
        for (attempt, begins) in &task.begins {
            assert_eq!(
                *begins, 1,
                "attempt {attempt} was run twice: an answer was not heeded"
            );
        }
        twice += u64::from(task.ends - 1);
    }
    let landed = landed.load(Ordering::Relaxed);
    assert!(landed >= kills);
    assert!(
        twice <= landed,
        "{twice} were done twice after {landed} deaths"
    );
    assert_eq!((status.done, status.stale), (ids.len() as u64, 0));
    println!(
        "{} tasks, {killed} kills of which {landed} landed, {reloads} reloads: none lost, {twice} twice, {} redelivered",
        ids.len(),
        status.redelivered
    );
}

fn poison_is_quarantined_and_all_else_done() {
    let tasks = asked("TASKS", 10_000) / 10;
    let pool = Pool::new(3)
        .on_worker_exit(|_| {})
        .prefetch(PREFETCH)
        .on_task(|task| {
            assert_ne!(task.payload().len(), 1, "a panic is no poison");
            if task.payload().is_empty() {
                std::process::abort();
            }
            task.payload().to_vec()
        });
    let pool = pool.start().unwrap();
    let is_poison = |n: u64| n % 100 == 50;
    let submit = |n: u64| {
        let bytes = n.to_le_bytes();
        pool.submit(if is_poison(n) { &[] } else { &bytes })
            .unwrap()
    };
    let tickets: Vec<Ticket> = (0..tasks).map(submit).collect();
    let mut poisoned = Vec::new();
    for (n, ticket) in (0u64..).zip(tickets) {
        let id = ticket.id();
        match ticket.wait() {
            Ok(answer) => assert_eq!(answer, n.to_le_bytes()),
            Err(Error::Quarantined { .. }) => poisoned.push((n, id)),
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(poisoned.len() as u64, tasks / 100);
    assert!(poisoned.iter().all(|(n, _)| is_poison(*n)));
    let mut kept: Vec<u64> = pool.quarantined().iter().map(|one| one.id).collect();
    kept.sort_unstable();
    assert_eq!(kept, poisoned.iter().map(|(_, id)| *id).collect::<Vec<_>>());
    assert!(pool.quarantined().iter().all(|one| one.history.len() == 3));
}

ipc_core::cases! { nothing_is_lost, poison_is_quarantined_and_all_else_done }
