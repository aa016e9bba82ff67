//! Bad input, and deaths at bad moments: a clear error or a line of the log; nothing is lost, nothing hangs,
//! and nothing spins afterwards.

mod support;

use std::fs;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use ipc_pool::{Error, Handle, Pool, Transport};
use nix::sys::signal::Signal;
use nix::unistd::{SysconfVar, sysconf};
use support::{are_ready, send, until};

const BOTH: [Transport; 2] = [Transport::Shm, Transport::Unix];

/// What a process has used of the processors.  `proc_pid_stat(5)`
fn used(pid: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let fields = stat.rsplit_once(") ").map_or("", |(_, fields)| fields);
    let times = fields.split(' ').skip(11).take(2);
    let ticks: u64 = times.map(|field| field.parse::<u64>().unwrap()).sum();
    let second = sysconf(SysconfVar::CLK_TCK).unwrap().unwrap();
    Duration::from_millis(ticks * 1000 / u64::try_from(second).unwrap())
}

/// Fails if a process of the pool uses a processor while there is nothing to do.
fn is_quiet(pool: &Handle) {
    let status = pool.status();
    let mut pids: Vec<u32> = status.workers.iter().map(|worker| worker.pid).collect();
    pids.extend([status.template, std::process::id()]);
    let before: Vec<Duration> = pids.iter().map(|&pid| used(pid)).collect();
    thread::sleep(Duration::from_millis(400));
    for (pid, before) in pids.into_iter().zip(before) {
        let used = used(pid).saturating_sub(before);
        assert!(used < Duration::from_millis(200), "{pid} spins: {used:?}");
    }
}

fn wrong_calls_leave_the_pool_as_it_was() {
    for transport in BOTH {
        let pool = Pool::new(2).transport(transport).max_len(100);
        let pool = pool.on_task(|task| vec![0; task.payload().len() * 2]);
        let pool = pool.start().unwrap();
        for _ in 0..100 {
            let error = pool.submit(&[0; 101]).unwrap_err();
            assert!(matches!(error, Error::TooLarge { len: 101, max: 100 }));
            let error = pool.submit_to(2, b"").unwrap_err();
            let text = "there is no worker 2: the pool has 2, with ids from 0 on";
            assert_eq!(error.to_string(), text);
            let error = pool.submit_and_wait(&[0; 100]).unwrap_err();
            assert!(matches!(error, Error::Task { message, .. } if message.contains("max_len")));
        }
        assert_eq!(pool.submit_and_wait(&[0; 50]).unwrap().len(), 100);
        let status = pool.status();
        assert_eq!((status.done, status.failed, status.restarts), (1, 100, 0));
        is_quiet(&pool);
    }
}

fn tasks_larger_than_a_sockets_buffer_arrive() {
    const LEN: usize = 4 << 20;
    for transport in BOTH {
        let pool = Pool::new(2).transport(transport).max_len(LEN);
        let pool = pool.on_task(|task| task.payload().to_vec());
        let pool = pool.start().unwrap();
        let payload = |n: u8| vec![n; LEN];
        assert!(pool.submit_and_wait(&payload(7)).unwrap() == payload(7));
        let tickets = pool.submit_many((0..12).map(payload)).unwrap();
        for (n, ticket) in (0..).zip(tickets) {
            assert!(ticket.wait().unwrap() == payload(n));
        }
        // Nobody waits: the supervisor takes the answers in.
        let tickets = pool.submit_many((0..4).map(payload)).unwrap();
        until(&pool, |status| status.done == 17);
        drop(tickets);
        is_quiet(&pool);
    }
}

fn panics_exits_and_closed_descriptors_cost_one_attempt_at_most() {
    for transport in BOTH {
        let pool = Pool::new(2).transport(transport).on_worker_exit(|_| {});
        let pool = pool.grace(Duration::from_millis(100)).on_task(|task| {
            match (task.payload(), task.attempt()) {
                (b"panic", _) => panic!("a panic"),
                (b"exit", 1) => std::process::exit(0),
                (b"abort", 1) => std::process::abort(),
                (b"close", 1) => {
                    for fd in 3..200 {
                        let _ = nix::unistd::close(fd);
                    }
                }
                _ => {}
            }
            task.payload().to_vec()
        });
        let pool = pool.start().unwrap();
        until(&pool, are_ready(2));
        let kinds = ["panic", "exit", "fine", "abort", "close", "fine"];
        let tasks = || kinds.iter().cycle().take(120);
        let tickets = pool.submit_many(tasks()).unwrap();
        for (task, ticket) in tasks().zip(tickets) {
            match ticket.wait() {
                Ok(answer) => assert_eq!(answer, task.as_bytes()),
                Err(Error::Task { message, .. }) => {
                    assert_eq!((*task, &*message), ("panic", "panicked: a panic"));
                }
                Err(error) => panic!("{task}: {error}"),
            }
        }
        let status = until(&pool, are_ready(2));
        assert_eq!((status.done, status.failed), (100, 20));
        is_quiet(&pool);
    }
}

fn workers_that_cannot_start_are_no_busy_loop() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("broken");
    let is_broken = path.clone();
    let pool = Pool::new(2)
        .on_worker_start(move |_| {
            if is_broken.exists() {
                Err("no database")
            } else {
                Ok(())
            }
        })
        .on_task(|_| ());
    let (tell, reasons) = mpsc::channel();
    let pool = pool.on_worker_exit(move |exit| {
        if let Some(reason) = &exit.reason {
            tell.send(reason.clone()).unwrap();
        }
    });
    let pool = pool.start().unwrap();
    let status = until(&pool, are_ready(2));
    fs::write(&path, "").unwrap();
    for worker in status.workers {
        send(worker.pid, Signal::SIGKILL);
    }
    let before = used(std::process::id());
    let ticket = pool.submit(b"").unwrap();
    thread::sleep(Duration::from_millis(600));
    assert!(used(std::process::id()) < before + Duration::from_millis(300));
    assert!(pool.status().restarts < 20);
    assert_eq!(reasons.recv().unwrap(), "no database");
    fs::remove_file(&path).unwrap();
    ticket.wait().unwrap(); // it was kept
}

fn a_new_worker_that_is_ready_and_dead_ends_its_reload() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("broken");
    let is_broken = path.clone();
    let pool = Pool::new(2).on_worker_exit(|_| {}).on_work(move |worker| {
        while !worker.is_stopping() && !is_broken.exists() {
            thread::sleep(Duration::from_millis(1));
        }
        if is_broken.exists() {
            std::process::exit(1);
        }
    });
    let pool = pool.start().unwrap();
    until(&pool, are_ready(2));
    fs::write(&path, "").unwrap();
    for _ in 0..10 {
        let _ = pool.reload(); // whatever it says: it ends
    }
    fs::remove_file(&path).unwrap();
    let _ = pool.reload(); // the circuit is closed again
    until(&pool, are_ready(2));
    is_quiet(&pool);
}

fn an_old_worker_that_dies_beside_a_new_one_that_fails_is_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("broken");
    let is_broken = path.clone();
    let pool = Pool::new(1).on_worker_exit(|_| {}).on_task(|_| ());
    let pool = pool.on_worker_start(move |_| {
        if is_broken.exists() {
            thread::sleep(Duration::from_millis(100));
            return Err("no database");
        }
        Ok(())
    });
    let pool = pool.start().unwrap();
    let old = until(&pool, are_ready(1)).workers[0].pid;
    fs::write(&path, "").unwrap();
    thread::scope(|scope| {
        let reload = scope.spawn(|| pool.reload().unwrap_err());
        until(&pool, |status| status.workers.len() == 2);
        send(old, Signal::SIGKILL);
        assert!(reload.join().unwrap().to_string().contains("no database"));
    });
    fs::remove_file(&path).unwrap();
    pool.submit_and_wait(b"").unwrap();
}

fn tasks_for_a_worker_that_is_scaled_away_are_done_by_others() {
    let pool = Pool::new(2).capacity(8).on_worker_exit(|_| {});
    let pool = pool.grace(Duration::from_millis(50)).on_task(|task| {
        if task.worker().id() == 1 {
            thread::sleep(Duration::from_secs(600));
        }
        task.payload().to_vec()
    });
    let pool = pool.start().unwrap();
    until(&pool, are_ready(2));
    let tickets: Vec<_> = (0..8)
        .map(|_| pool.submit_to(1, b"for 1").unwrap())
        .collect();
    thread::scope(|scope| {
        // This one waits for room, and for a worker that is no more then.
        let late = scope.spawn(|| pool.submit_to(1, b"late").map(drop));
        thread::sleep(Duration::from_millis(20));
        pool.scale(1).unwrap();
        for ticket in tickets {
            assert_eq!(ticket.wait().unwrap(), b"for 1");
        }
        let late = late.join().unwrap();
        assert!(
            matches!(late, Ok(()) | Err(Error::UnknownWorker { worker: 1, .. })),
            "{late:?}"
        );
    });
    assert_eq!(pool.submit_and_wait(b"still here").unwrap(), b"still here");
}

fn a_reload_under_load_of_long_tasks_loses_none() {
    const LENGTH: Duration = Duration::from_millis(1200);
    for transport in BOTH {
        let pool = Pool::new(4).transport(transport).prefetch(2);
        let pool = pool.grace(Duration::from_secs(30)).on_task(|task| {
            let start = Instant::now();
            while let Some(left) = LENGTH.checked_sub(start.elapsed()) {
                thread::sleep(left);
            }
            task.attempt().to_string()
        });
        let pool = pool.start().unwrap();
        let before = until(&pool, are_ready(4));
        let tickets = pool.submit_many([""; 12]).unwrap();
        thread::sleep(LENGTH / 4);
        pool.reload().unwrap();
        for ticket in tickets {
            assert_eq!(ticket.wait().unwrap(), b"1"); // and none was killed
        }
        let after = until(&pool, are_ready(4));
        let is_old = |pid| before.workers.iter().any(|old| old.pid == pid);
        assert!(!after.workers.iter().any(|new| is_old(new.pid)));
    }
}

fn a_task_longer_than_grace_is_not_to_blame_for_reloads() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("attempt");
    let says = path.clone();
    let pool = Pool::new(1).max_kills(3).grace(Duration::from_millis(20));
    let pool = pool.on_worker_exit(|_| {}).on_task(move |task| {
        fs::write(&says, task.attempt().to_string()).unwrap();
        while task.attempt() < 5 {
            thread::sleep(Duration::from_secs(600));
        }
        "done"
    });
    let pool = pool.start().unwrap();
    let ticket = pool.submit(b"").unwrap();
    for attempt in 1..5 {
        while fs::read_to_string(&path).unwrap_or_default() != attempt.to_string() {
            thread::sleep(Duration::from_millis(1));
        }
        pool.reload().unwrap();
    }
    assert_eq!(ticket.wait().unwrap(), b"done");
}

ipc_core::cases! {
    wrong_calls_leave_the_pool_as_it_was, tasks_larger_than_a_sockets_buffer_arrive,
    panics_exits_and_closed_descriptors_cost_one_attempt_at_most, workers_that_cannot_start_are_no_busy_loop,
    a_new_worker_that_is_ready_and_dead_ends_its_reload,
    an_old_worker_that_dies_beside_a_new_one_that_fails_is_replaced,
    tasks_for_a_worker_that_is_scaled_away_are_done_by_others, a_reload_under_load_of_long_tasks_loses_none,
    a_task_longer_than_grace_is_not_to_blame_for_reloads,
}
