//! Workers that take no tasks, but work by themselves.

use std::fs;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use ipc_core::{Receiver, Select, Sender, Wait};
use ipc_pool::{Error, Handle, Pool, Worker};

fn until_stopped(worker: &Worker) {
    while !worker.is_stopping() {
        thread::sleep(Duration::from_millis(1));
    }
}

fn a_worker_with_a_loop_of_its_own_stops_by_the_flag() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("stopped");
    let pool = Pool::new(1).on_work(move |worker| {
        while !worker.is_stopping() {
            thread::sleep(Duration::from_millis(1));
        }
        fs::write(&path, "").unwrap();
    });
    pool.start().unwrap().stop().unwrap();
    assert!(dir.path().join("stopped").exists());
}

fn a_pool_with_nothing_to_do_is_an_error_at_once() {
    let said = |pool: Pool| match pool.start().unwrap_err() {
        Error::Invalid { reason } => reason,
        error => panic!("{error}"),
    };
    assert!(said(Pool::new(0).on_task(|_| ())).contains("one worker"));
    assert!(said(Pool::new(1)).contains("nothing to do"));
    assert!(said(Pool::new(1).on_worker_start(|_| ())).contains("nothing to do"));
    assert!(said(Pool::new(1).on_task(|_| ()).on_work(|_| ())).contains("not both"));
}

fn who_takes_no_tasks_is_given_none() {
    let pool = Pool::new(1).on_work(until_stopped).start().unwrap();
    assert!(matches!(pool.submit(b""), Err(Error::Invalid { .. })));
    assert!(matches!(pool.submit_to(0, b""), Err(Error::Invalid { .. })));
}

fn work_that_cannot_be_prepared_ends_the_run_with_the_reason() {
    let pools: [fn(Pool) -> Pool; 3] = [
        |pool| pool.on_worker_start(|_| Err::<(), _>("no database")),
        |pool| pool.on_worker_start(|_| -> () { panic!("no database") }),
        |pool| pool.on_work_with(|_| Err::<(), _>("no database"), |(), _| ()),
    ];
    for refuse in pools {
        let pool = Pool::new(3).on_worker_exit(|_| {}).on_work(until_stopped);
        let error = refuse(pool).run().unwrap_err();
        assert!(
            matches!(&error, Error::Start { reason } if reason.contains("no database")),
            "{error}"
        );
    }
}

fn work_that_ends_with_an_error_says_why() {
    let (tell, told) = mpsc::channel();
    let pool = Pool::new(1).on_worker_exit(move |exit| {
        let _ = tell.send(exit.reason.clone());
    });
    let pool = pool.on_work(|_| Err::<(), _>("the source is gone"));
    let pool = pool.start().unwrap();
    assert_eq!(told.recv().unwrap().unwrap(), "the source is gone");
    pool.stop().unwrap();
}

fn jobs_that_end_well_never_open_the_circuit() {
    // So many that failed would.
    let pool = Pool::new(1).on_work(|_| thread::sleep(Duration::from_millis(110)));
    let pool = pool.restart_intensity(3, Duration::from_secs(60));
    let pool = pool.start().unwrap();
    pool.wait_until(|status| {
        assert!(!status.is_circuit_open);
        status.restarts >= 10
    })
    .unwrap();
    pool.stop().unwrap();
    // Nor do those that take tasks, and do none.
    let pool = Pool::new(1).on_task(|_| ()).on_worker_start(Worker::stop);
    let pool = pool.restart_intensity(3, Duration::from_secs(60));
    let pool = pool.start().unwrap();
    pool.wait_until(|status| status.restarts >= 5).unwrap();
    assert!(!pool.status().is_circuit_open);
}

fn workers_that_die_at_once_are_not_a_busy_loop() {
    // Elsewhere such a worker was restarted 316 times a second.
    let pool = Pool::new(1).on_worker_exit(|_| {}).on_work(|_| ());
    let start = Instant::now();
    let pool = pool.start().unwrap();
    pool.wait_until(|status| status.restarts >= 4).unwrap();
    let took = start.elapsed(); // two are replaced at once, then later and later
    assert!(
        took >= Duration::from_millis((100 + 200) * 3 / 4),
        "{took:?}"
    );
}

/// Stops the pool, whose worker waits with nothing to do.
fn stops_at_once(pool: &Handle) {
    thread::sleep(Duration::from_millis(20));
    let start = Instant::now();
    pool.stop().unwrap();
    assert!(start.elapsed() < Duration::from_secs(2)); // the grace period is 3 s
}

fn who_waits_for_a_message_and_his_stop_stops_at_once() {
    let (mut tx, mut rx) = ipc_socket::channel().unwrap();
    let (mut done, mut receipts) = ipc_socket::channel().unwrap();
    let pool = Pool::new(1).on_work(move |mut worker| {
        let mut select = Select::new();
        while !worker.is_stopping() {
            select.wait(&mut [&mut worker, &mut rx], Wait::Forever)?;
            match rx.try_recv() {
                Ok(message) => done.send(message)?,
                Err(ipc_core::Error::WouldBlock) => {}
                Err(error) => return Err(error),
            }
        }
        done.send(b"stopped")
    });
    let pool = pool.start().unwrap();
    for message in ["a", "b"] {
        tx.send(message.as_bytes()).unwrap();
        assert_eq!(receipts.recv().unwrap(), message.as_bytes());
    }
    stops_at_once(&pool);
    assert_eq!(receipts.recv().unwrap(), b"stopped");
}

fn who_sleeps_wakes_to_be_stopped() {
    let (tell, told) = mpsc::channel();
    let (mut tx, mut slept) = ipc_socket::channel().unwrap();
    let pool = Pool::new(1).on_worker_exit(move |exit| tell.send(exit.status).unwrap());
    let pool = pool.on_work(move |worker| {
        assert!(worker.sleep(Duration::from_millis(5)));
        tx.send(b"").unwrap();
        assert!(!worker.sleep(Duration::from_secs(100)));
        assert!(worker.is_stopping());
    });
    let pool = pool.start().unwrap();
    slept.recv().unwrap();
    stops_at_once(&pool);
    assert!(told.recv().unwrap().success());
}

fn who_stops_himself_has_nothing_to_wait_for() {
    let pool = Pool::new(1).on_work(|mut worker| {
        worker.stop();
        assert!(!worker.sleep(Duration::from_secs(100)));
        Select::new()
            .wait(&mut [&mut worker], Wait::Forever)
            .map(drop)
    });
    let pool = pool.start().unwrap();
    pool.wait_until(|status| status.restarts >= 2).unwrap();
}

ipc_core::cases! {
    a_worker_with_a_loop_of_its_own_stops_by_the_flag, a_pool_with_nothing_to_do_is_an_error_at_once, who_takes_no_tasks_is_given_none, work_that_cannot_be_prepared_ends_the_run_with_the_reason, work_that_ends_with_an_error_says_why, jobs_that_end_well_never_open_the_circuit, workers_that_die_at_once_are_not_a_busy_loop,
    who_waits_for_a_message_and_his_stop_stops_at_once, who_sleeps_wakes_to_be_stopped,
    who_stops_himself_has_nothing_to_wait_for,
}
