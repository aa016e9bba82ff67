//! Starting, stopping, reloading, replacing.

mod support;

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use ipc_pool::{Error, Handle, Pool, Status};
use nix::sys::signal::Signal;
use support::{is_alive, parent_of, send, until};

fn echo(workers: usize) -> Handle {
    let pool = Pool::new(workers).on_worker_exit(|_| {});
    pool.on_task(|task| task.payload().to_vec())
        .start()
        .unwrap()
}

fn pids(status: &Status) -> Vec<u32> {
    let ready = status.workers.iter().filter(|worker| worker.is_ready);
    ready.map(|worker| worker.pid).collect()
}

fn workers_are_the_programs_own_children() {
    let pool = echo(3);
    let status = until(&pool, |status| pids(status).len() == 3);
    for pid in pids(&status) {
        assert_eq!(parent_of(pid), Some(std::process::id()));
    }
    assert_eq!(parent_of(status.template), Some(std::process::id()));
    pool.stop().unwrap();
    assert!(!pids(&status).into_iter().any(is_alive));
    assert!(!is_alive(status.template));
}

fn a_dead_worker_is_replaced_under_its_id() {
    let pool = echo(2);
    let before = until(&pool, |status| pids(status).len() == 2);
    send(before.workers[1].pid, Signal::SIGKILL);
    let after = until(&pool, |status| {
        status.restarts == 1 && pids(status).len() == 2
    });
    assert_eq!(after.workers[0], before.workers[0]);
    assert_eq!(after.workers[1].id, 1);
    assert_ne!(after.workers[1].pid, before.workers[1].pid);
}

fn a_signal_goes_to_a_worker_and_to_none_other() {
    let pool = echo(2);
    let before = pool.wait_until(Status::is_complete).unwrap();
    for restarts in 1..5 {
        pool.signal(1, Signal::SIGKILL as i32).unwrap();
        let after = pool.wait_until(|status| status.restarts == restarts && status.is_complete());
        assert_eq!(after.unwrap().workers[0], before.workers[0]);
        pool.submit_to(1, b"").unwrap().wait().unwrap(); // it has done something
    }
    let error = pool.signal(2, Signal::SIGKILL as i32).unwrap_err();
    assert!(matches!(error, Error::UnknownWorker { worker: 2, .. }));
    pool.stop().unwrap();
    let ended = pool.wait_until(|status| status.restarts == 100);
    assert!(matches!(ended, Err(Error::Stopped)));
}

fn what_does_not_stop_gets_sigterm_before_sigkill() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("terminated");
    let pool = Pool::new(1)
        .grace(Duration::from_millis(100))
        .on_worker_exit(|_| {});
    let pool = pool.on_work(move |worker| -> () {
        while !worker.is_stopping() {
            std::thread::sleep(Duration::from_millis(1));
        }
        fs::write(&path, "").unwrap();
        loop {
            std::thread::sleep(Duration::from_secs(1));
        }
    });
    pool.start().unwrap().stop().unwrap();
    assert!(dir.path().join("terminated").exists());
}

fn what_was_given_is_finished_and_the_rest_returned() {
    let pool = Pool::new(1).prefetch(2).on_task(|task| {
        std::thread::sleep(Duration::from_millis(20));
        task.payload().to_vec()
    });
    let pool = pool.start().unwrap();
    let tickets = pool.submit_many(["a", "b", "c", "d"]).unwrap();
    let left = pool.stop().unwrap();
    let mut answers = tickets.into_iter().map(ipc_pool::Ticket::wait);
    assert_eq!(answers.next().unwrap().unwrap(), b"a");
    assert_eq!(answers.next().unwrap().unwrap(), b"b");
    assert!(answers.all(|answer| matches!(answer, Err(Error::Stopped))));
    assert_eq!(left, [b"c", b"d"]);
    assert!(matches!(pool.submit(b"late"), Err(Error::Stopped)));
}

fn a_reload_replaces_all_and_loses_nothing() {
    let pool = Pool::new(4).on_worker_exit(|_| {}).on_task(|task| {
        std::thread::sleep(Duration::from_millis(1));
        task.attempt().to_string()
    });
    let pool = pool.start().unwrap();
    let before = pids(&until(&pool, |status| pids(status).len() == 4));
    let tickets = pool.submit_many((0..400).map(|_| "")).unwrap();
    for _ in 0..3 {
        pool.reload().unwrap();
    }
    let after = until(&pool, |status| status.workers.len() == 4);
    assert!(pids(&after).iter().all(|pid| !before.contains(pid)));
    for ticket in tickets {
        assert_eq!(ticket.wait().unwrap(), b"1"); // none was killed
    }
}

fn reloads_by_several_threads_all_come_to_their_end() {
    let pool = echo(2);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..5 {
                    pool.reload().unwrap();
                }
            });
        }
    });
    pool.submit_and_wait(b"").unwrap();
}

fn a_reload_that_fails_keeps_the_old_workers() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("broken");
    let pool = Pool::new(2)
        .on_worker_exit(|_| {})
        .on_task(|_| ())
        .on_worker_start({
            let path = path.clone();
            move |_| {
                if path.exists() {
                    Err("no database")
                } else {
                    Ok(())
                }
            }
        });
    let pool = pool.start().unwrap();
    let before = pids(&until(&pool, |status| pids(status).len() == 2));
    fs::write(&path, "").unwrap();
    let error = pool.reload().unwrap_err();
    assert!(error.to_string().contains("no database"), "{error}");
    assert_eq!(
        pids(&until(&pool, |status| status.workers.len() == 2)),
        before
    );
    fs::remove_file(&path).unwrap();
    pool.reload().unwrap();
}

fn a_reload_that_a_stop_ends_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("slow");
    let is_slow = path.clone();
    let pool = Pool::new(1).grace(Duration::from_millis(50));
    let pool = pool.on_worker_exit(|_| {}).on_task(|_| ());
    let pool = pool.on_worker_start(move |_| {
        while is_slow.exists() {
            std::thread::sleep(Duration::from_secs(1));
        }
    });
    let pool = pool.start().unwrap();
    fs::write(&path, "").unwrap();
    std::thread::scope(|scope| {
        let reload = scope.spawn(|| pool.reload());
        until(&pool, |status| status.workers.len() == 2);
        pool.stop().unwrap();
        assert!(matches!(reload.join().unwrap(), Err(Error::Stopped)));
    });
}

fn a_pool_is_scaled_both_ways() {
    let pool = echo(1);
    pool.scale(5).unwrap();
    until(&pool, |status| pids(status).len() == 5);
    pool.submit_to(4, b"").unwrap().wait().unwrap();
    pool.scale(2).unwrap();
    let status = until(&pool, |status| status.workers.len() == 2);
    assert_eq!(
        status
            .workers
            .iter()
            .map(|worker| worker.id)
            .collect::<Vec<_>>(),
        [0, 1]
    );
    assert!(pool.submit_to(4, b"").is_err());
    pool.submit_and_wait(b"").unwrap();
}

fn a_worker_may_stop_itself_or_the_pool() {
    let pool = Pool::new(1).on_task(|task| {
        task.worker().stop();
        std::process::id().to_string()
    });
    let pool = pool.start().unwrap();
    let first = pool.submit_and_wait(b"").unwrap();
    assert_ne!(pool.submit_and_wait(b"").unwrap(), first);
    drop(pool);
    let run = Pool::new(2).on_work(|worker| {
        worker.shutdown();
        while !worker.is_stopping() {
            std::thread::sleep(Duration::from_millis(1));
        }
    });
    run.run().unwrap();
}

fn after_so_many_tasks_a_worker_is_replaced() {
    let pool = Pool::new(1)
        .max_tasks(100)
        .on_task(|_| std::process::id().to_string());
    let pool = pool.start().unwrap();
    let tickets = pool.submit_many((0..1000).map(|_| "")).unwrap();
    let mut pids: Vec<_> = tickets
        .into_iter()
        .map(|ticket| ticket.wait().unwrap())
        .collect();
    pids.dedup();
    assert!((10..=12).contains(&pids.len()), "{}", pids.len());
}

fn a_worker_that_closes_its_descriptors_is_replaced() {
    let pool = Pool::new(1)
        .grace(Duration::from_millis(100))
        .on_worker_exit(|_| {});
    let pool = pool.on_task(|task| {
        if task.attempt() == 1 {
            Command::new("true").status().unwrap();
            for fd in 3..1000 {
                let _ = nix::unistd::close(fd);
            }
        }
        "an answer"
    });
    let pool = pool.start().unwrap();
    assert_eq!(pool.submit_and_wait(b"").unwrap(), b"an answer");
}

fn a_pool_stopped_at_once_does_not_wait_for_its_grace_period() {
    for _ in 0..20 {
        let start = Instant::now();
        let pool = Pool::new(4).on_task(|_| ()).start().unwrap();
        pool.stop().unwrap();
        assert!(start.elapsed() < Duration::from_secs(2)); // it is 3 s
    }
}

fn an_open_circuit_keeps_the_queue() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("broken");
    let pool = Pool::new(1)
        .on_worker_exit(|_| {})
        .restart_intensity(3, Duration::from_secs(60));
    let pool = pool
        .on_task(|task| task.payload().to_vec())
        .on_worker_start({
            let path = path.clone();
            move |_| {
                if path.exists() {
                    Err("no database")
                } else {
                    Ok(())
                }
            }
        });
    let pool = pool.start().unwrap();
    fs::write(&path, "").unwrap();
    let status = until(&pool, |status| pids(status).len() == 1);
    send(status.workers[0].pid, Signal::SIGKILL);
    until(&pool, |status| {
        status.is_circuit_open && status.workers.is_empty()
    });
    let ticket = pool.submit(b"kept").unwrap();
    assert_eq!(pool.status().depth, 1);
    fs::remove_file(&path).unwrap();
    pool.reload().unwrap(); // closes it
    assert_eq!(ticket.wait().unwrap(), b"kept");
    assert!(!pool.status().is_circuit_open);
}

ipc_core::cases! {
    workers_are_the_programs_own_children, a_dead_worker_is_replaced_under_its_id,
    a_signal_goes_to_a_worker_and_to_none_other,
    what_does_not_stop_gets_sigterm_before_sigkill,
    what_was_given_is_finished_and_the_rest_returned, a_reload_replaces_all_and_loses_nothing,
    reloads_by_several_threads_all_come_to_their_end, a_reload_that_fails_keeps_the_old_workers,
    a_reload_that_a_stop_ends_says_so, a_pool_is_scaled_both_ways, a_worker_may_stop_itself_or_the_pool,
    after_so_many_tasks_a_worker_is_replaced,
    a_worker_that_closes_its_descriptors_is_replaced,
    a_pool_stopped_at_once_does_not_wait_for_its_grace_period, an_open_circuit_keeps_the_queue,
}
