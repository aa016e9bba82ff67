//! Workers that leave the pool, and who takes their place.

mod support;

use std::fs;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use ipc_pool::{Handle, Pool, Transport, Worker};
use nix::sys::wait::waitpid;
use support::{are_ready, until};

fn a_detached_worker_finishes_alone() {
    let dir = tempfile::tempdir().unwrap();
    let (path, end) = (dir.path().join("alone"), dir.path().join("end"));
    let pool = Pool::new(1).on_task({
        let (path, may_end) = (path.clone(), end.clone());
        move |task| {
            if task.payload() == b"detach" {
                task.worker().detach();
                assert!(!task.worker().is_stopping());
                while !may_end.exists() {
                    thread::sleep(Duration::from_millis(1));
                }
                fs::write(&path, "").unwrap();
            }
            std::process::id().to_string()
        }
    });
    let pool = pool.start().unwrap();
    let alone = pool.submit(b"detach").unwrap();
    let others = pool.submit_many(["", ""]).unwrap();
    for other in others {
        assert!(!other.wait().unwrap().is_empty()); // by its successor, meanwhile
    }
    assert!(!path.exists());
    fs::write(&end, "").unwrap();
    let alone: i32 = String::from_utf8(alone.wait().unwrap())
        .unwrap()
        .parse()
        .unwrap();
    assert!(path.exists());
    until(&pool, |status| status.workers.len() == 1); // it was reaped
    fs::remove_file(&path).unwrap();
    fs::remove_file(&end).unwrap();
    // One that is alone when the pool stops is left alone.
    drop(pool.submit(b"detach").unwrap());
    until(&pool, |status| status.workers.len() == 2);
    pool.stop().unwrap();
    assert!(!path.exists());
    fs::write(&end, "").unwrap();
    let left = waitpid(None, None).unwrap().pid().unwrap();
    assert_ne!(left.as_raw(), alone);
    assert!(path.exists());
}

fn what_was_behind_the_last_task_goes_to_others() {
    for transport in [Transport::Shm, Transport::Unix] {
        for _ in 0..10 {
            let dir = tempfile::tempdir().unwrap();
            let end = dir.path().join("end");
            let may_end = end.clone();
            let pool = Pool::new(1).transport(transport).on_worker_stop(move |_| {
                while !may_end.exists() {
                    thread::sleep(Duration::from_millis(1));
                }
            });
            let pool = pool.on_worker_exit(|_| {}).on_task(|task| {
                if task.payload() == b"detach" {
                    task.worker().detach();
                }
                std::process::id().to_string()
            });
            let pool = pool.start().unwrap();
            until(&pool, are_ready(1));
            let last = pool.submit(b"detach").unwrap();
            let behind = pool.submit(b"").unwrap();
            assert_ne!(behind.wait().unwrap(), last.wait().unwrap());
            fs::write(&end, "").unwrap();
            until(&pool, |status| status.workers.len() == 1); // it was reaped
        }
    }
}

/// Stops the pool, and waits for the processes that are not its own any more.
fn end_with_those_that_left(pool: &Handle) {
    pool.stop().unwrap();
    while waitpid(None, None).is_ok() {}
}

/// How long it takes until five workers have ended that do nothing but leave.
fn five_lives(pool: Pool, leave: impl Fn(&Worker) + Copy + Send + 'static) -> Duration {
    let (ended, ends) = mpsc::channel();
    let pool = pool.on_worker_exit(move |_| {
        let _ = ended.send(()); // nobody counts any more
    });
    let start = Instant::now();
    let pool = pool.on_worker_start(leave).start().unwrap();
    for _ in 0..5 {
        ends.recv().unwrap();
    }
    let took = start.elapsed();
    assert!(!pool.status().is_circuit_open);
    end_with_those_that_left(&pool);
    took
}

fn who_leaves_without_having_done_anything_is_replaced_ever_later() {
    let least = Duration::from_millis(75 + 150 + 300); // the first is replaced at once
    assert!(five_lives(Pool::new(1).on_task(|_| {}), Worker::detach) > least);
    // Here a life that others kept from the processor for 100 ms has proved itself: the row begins anew.
    let least = Duration::from_millis(75 + 100);
    assert!(five_lives(Pool::new(1).on_work(|_| {}), Worker::detach) > least);
}

fn who_leaves_with_its_task_is_replaced_at_once_however_often() {
    let pool = Pool::new(1).on_worker_exit(|_| {}).on_task(|task| {
        task.worker().detach();
        std::process::id().to_string()
    });
    let pool = pool.start().unwrap();
    let tickets = pool.submit_many([""; 30]).unwrap();
    let mut pids: Vec<_> = tickets.into_iter().map(|one| one.wait().unwrap()).collect();
    pids.sort();
    pids.dedup();
    assert_eq!(pids.len(), 30);
    end_with_those_that_left(&pool);
}

ipc_core::cases! {
    a_detached_worker_finishes_alone,     what_was_behind_the_last_task_goes_to_others,
    who_leaves_without_having_done_anything_is_replaced_ever_later,
    who_leaves_with_its_task_is_replaced_at_once_however_often,
}
