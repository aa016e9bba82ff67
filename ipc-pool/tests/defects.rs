//! What other pools do wrong: each of these was reproduced in Swoole 6.2.2 or naruto.

mod support;

use std::fs;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use ipc_pool::{Error, Pool};
use nix::sys::signal::Signal;
use nix::sys::wait::waitpid;
use support::{are_ready, send, until};

/// Swoole: one budget of 3 s for the whole reload. Worker 2 was killed in mid-task, worker 3 without ever
/// a SIGTERM, and their tasks were gone.
fn each_worker_has_a_stop_budget_of_its_own() {
    let pool = Pool::new(4)
        .grace(Duration::from_millis(400))
        .on_worker_exit(|_| {});
    let pool = pool.on_task(|task| {
        let end = Instant::now() + Duration::from_millis(200);
        while Instant::now() < end {
            thread::sleep(end - Instant::now().min(end));
        }
        task.attempt().to_string()
    });
    let pool = pool.start().unwrap();
    until(&pool, are_ready(4));
    let tickets = pool.submit_many(["", "", "", ""]).unwrap();
    thread::sleep(Duration::from_millis(20)); // they run
    pool.reload().unwrap(); // 200 ms each
    for ticket in tickets {
        assert_eq!(ticket.wait().unwrap(), b"1"); // none was killed
    }
}

/// Swoole: a shutdown waits for worker 0 only.
fn a_stop_waits_for_every_worker() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_path_buf();
    let pool = Pool::new(4).on_task(|_| ()).on_worker_stop(move |worker| {
        thread::sleep(Duration::from_millis(20 * worker.id() as u64));
        fs::write(path.join(worker.id().to_string()), "").unwrap();
    });
    let pool = pool.start().unwrap();
    until(&pool, are_ready(4));
    pool.stop().unwrap();
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 4);
}

/// Swoole: a worker blocked in a call never runs its handler of SIGTERM, and is killed without its
/// `WorkerStop`.
fn a_blocked_worker_stops_at_once_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_path_buf();
    let pool = Pool::new(2).on_task(|_| ()).on_worker_stop(move |worker| {
        fs::write(path.join(worker.id().to_string()), "").unwrap();
    });
    let pool = pool.start().unwrap();
    until(&pool, are_ready(2));
    thread::sleep(Duration::from_millis(10)); // they sleep, waiting for a task
    let start = Instant::now();
    pool.stop().unwrap();
    assert!(start.elapsed() < Duration::from_secs(2)); // the grace period is 3 s
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
}

/// The same, of a worker that sleeps in a call of its own.
fn a_call_that_waits_is_interrupted_by_the_stop() {
    let pool = Pool::new(1).on_work(|worker| {
        while !worker.is_stopping() {
            nix::unistd::pause(); // ended by a handler alone
        }
    });
    let pool = pool.start().unwrap();
    thread::sleep(Duration::from_millis(10));
    let start = Instant::now();
    pool.stop().unwrap();
    assert!(start.elapsed() < Duration::from_secs(2));
}

/// Swoole: a kill of a worker under load loses exactly one task, silently.
fn a_kill_under_load_loses_no_task() {
    let pool = Pool::new(1)
        .max_kills(100)
        .on_worker_exit(|_| {})
        .on_task(|task| {
            thread::sleep(Duration::from_millis(1));
            task.payload().to_vec()
        });
    let pool = pool.start().unwrap();
    let tickets = pool.submit_many((0..200u32).map(u32::to_le_bytes)).unwrap();
    for restarts in 0..10 {
        let status = until(&pool, |status| {
            status.restarts == restarts && are_ready(1)(status)
        });
        thread::sleep(Duration::from_millis(5));
        send(status.workers[0].pid, Signal::SIGKILL);
    }
    for (n, ticket) in (0..200u32).zip(tickets) {
        assert_eq!(ticket.wait().unwrap(), n.to_le_bytes());
    }
}

/// Swoole: an exception in Message, and the task is gone while the worker carries on.
fn an_error_in_a_handler_reaches_the_submitter() {
    let pool = Pool::new(1).on_task(|task| -> Result<(), String> {
        match task.payload() {
            b"panic" => panic!("a panic"),
            _ => Err("an error".into()),
        }
    });
    let pool = pool.start().unwrap();
    for (payload, text) in [("error", "an error"), ("panic", "a panic")] {
        let error = pool.submit_and_wait(payload.as_bytes()).unwrap_err();
        assert!(
            matches!(&error, Error::Task { message, .. } if message.contains(text)),
            "{error}"
        );
    }
}

/// naruto: after one reload dead workers are not replaced again.
fn the_dead_are_replaced_after_a_reload_too() {
    let pool = Pool::new(2)
        .on_worker_exit(|_| {})
        .on_task(|_| ())
        .start()
        .unwrap();
    for restarts in 1..4 {
        pool.reload().unwrap();
        let status = until(&pool, |status| {
            status.workers.len() == 2 && are_ready(2)(status)
        });
        send(status.workers[1].pid, Signal::SIGKILL);
        until(&pool, |status| {
            status.restarts == restarts && are_ready(2)(status)
        });
    }
}

/// naruto and Swoole: a killed manager leaves its workers as orphans. More in `template.rs`.
fn a_killed_manager_leaves_no_orphans() {
    let dir = tempfile::tempdir().unwrap();
    let (mut manager, ()) = ipc_process::fork(((), ()), |()| {
        let path = dir.path().to_path_buf();
        let pool = Pool::new(3).on_work(move |worker| -> () {
            fs::write(path.join(worker.id().to_string()), "").unwrap();
            loop {
                thread::sleep(Duration::from_secs(1));
            }
        });
        ExitCode::from(u8::from(pool.run().is_err()))
    })
    .unwrap();
    while fs::read_dir(dir.path()).unwrap().count() < 3 {
        thread::sleep(Duration::from_millis(1));
    }
    manager.kill().unwrap();
    manager.wait().unwrap();
    while waitpid(None, None) != Err(nix::Error::ECHILD) {} // a case has a minute
}

ipc_core::cases! {
    each_worker_has_a_stop_budget_of_its_own, a_stop_waits_for_every_worker,
    a_blocked_worker_stops_at_once_and_says_so, a_call_that_waits_is_interrupted_by_the_stop,
    a_kill_under_load_loses_no_task, an_error_in_a_handler_reaches_the_submitter,
    the_dead_are_replaced_after_a_reload_too, a_killed_manager_leaves_no_orphans,
}
