//! What the program that owns a pool has of it: callbacks, signals, a log, reasons.

mod support;

use std::fs;
use std::path::PathBuf;
use std::sync::mpsc;
use std::time::Duration;

use ipc_pool::{Error, Pool, Status};
use nix::sys::signal::Signal;
use support::{is_alive, send};

fn run_stops_by_sigterm_and_reloads_by_sigusr1() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().to_path_buf();
        let (mut child, ()) = ipc_process::fork(((), ()), |()| {
            let pool = Pool::new(2).on_work(move |worker| {
                fs::write(path.join(std::process::id().to_string()), "").unwrap();
                while !worker.is_stopping() {
                    std::thread::sleep(Duration::from_millis(1));
                }
            });
            pool.run().unwrap();
        })
        .unwrap();
        let starts = |count| {
            while fs::read_dir(dir.path()).unwrap().count() < count {
                std::thread::sleep(Duration::from_millis(1));
            }
        };
        starts(2);
        send(child.pid(), Signal::SIGUSR1);
        starts(4);
        send(child.pid(), signal);
        assert!(child.wait().unwrap().success());
        for entry in fs::read_dir(dir.path()).unwrap() {
            let pid = entry
                .unwrap()
                .file_name()
                .to_str()
                .unwrap()
                .parse()
                .unwrap();
            assert!(!is_alive(pid));
        }
    }
}

fn a_callback_may_stop_the_pool_but_not_wait_for_it() {
    let dir = tempfile::tempdir().unwrap();
    let go = dir.path().join("go");
    let to_go = go.clone();
    let (keep, kept) = mpsc::channel();
    let pool = Pool::new(1).prefetch(1).on_task(move |_| {
        while !to_go.exists() {
            std::thread::sleep(Duration::from_millis(1));
        }
    });
    let pool = pool.on_start(move |pool| {
        let runs = pool.submit(b"runs").unwrap();
        let _waits = pool.submit(b"waits").unwrap();
        assert!(pool.wait_until(|_| true).is_ok()); // there is nothing to wait for
        let refused = [
            pool.reload().err(),
            pool.wait_until(|_| false).err(),
            pool.wait_all().err(),
            runs.wait().err(),
        ];
        for error in refused {
            assert!(matches!(error, Some(Error::Invalid { .. })), "{error:?}");
        }
        fs::write(&go, "").unwrap();
        assert!(pool.stop().unwrap().is_empty());
        keep.send(pool.clone()).unwrap();
    });
    pool.run().unwrap();
    let pool = kept.recv().unwrap();
    assert_eq!(pool.stop().unwrap(), [b"waits"]);
}

fn a_panic_in_on_start_is_a_start_that_fails() {
    let pool = Pool::new(1)
        .on_task(|_| ())
        .on_start(|_| panic!("no audience"));
    let error = pool.start().unwrap_err();
    let expected = "on_start panicked: no audience";
    assert!(
        matches!(&error, Error::Start { reason } if &**reason == expected),
        "{error}"
    );
}

fn a_panic_in_another_callback_stops_the_pool_in_order_and_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (go, shutdown) = (dir.path().join("go"), dir.path().join("shutdown"));
    let wait_for = |path: PathBuf| {
        while !path.exists() {
            std::thread::sleep(Duration::from_millis(1));
        }
    };
    let (to_die, to_end) = (go.clone(), shutdown.clone());
    let pool = Pool::new(2)
        .prefetch(1)
        .on_worker_exit(|_| panic!("a bug in a log line"))
        .on_shutdown(move || fs::write(&shutdown, "").unwrap())
        .on_task(move |task| {
            if task.payload() == b"die" {
                wait_for(to_die.clone());
                std::process::abort();
            }
            wait_for(to_end.clone()); // it is in mid-task when the callback panics
        });
    let pool = pool.start().unwrap();
    pool.wait_until(Status::is_complete).unwrap();
    let slow = pool.submit(b"slow").unwrap();
    let _die = pool.submit(b"die").unwrap();
    let waits = pool.submit_many(["1", "2", "3"]).unwrap();
    fs::write(&go, "").unwrap();
    assert_eq!(slow.wait().unwrap(), b"");
    match pool.stop() {
        Err(Error::Failed { reason, queue }) => {
            assert_eq!(&*reason, "on_worker_exit panicked: a bug in a log line");
            assert_eq!(queue, [&b"die"[..], b"1", b"2", b"3"]);
        }
        other => panic!("{other:?}"),
    }
    for ticket in waits {
        assert!(matches!(ticket.wait(), Err(Error::Stopped)));
    }
}

fn the_log_file_is_reopened_in_every_process() {
    let dir = tempfile::tempdir().unwrap();
    let (path, moved) = (dir.path().join("log"), dir.path().join("log.1"));
    let (child, ()) = ipc_process::fork(((), ()), |()| {
        let pool = Pool::new(1).log_file(&path).on_task(|task| {
            println!("{}", String::from_utf8_lossy(task.payload()));
        });
        let pool = pool.start().unwrap();
        pool.submit_and_wait(b"before").unwrap();
        fs::rename(&path, &moved).unwrap();
        pool.submit_and_wait(b"still there").unwrap();
        pool.reopen_log();
        while !path.exists() {
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(Duration::from_millis(50));
        pool.submit_and_wait(b"after").unwrap();
        pool.reload().unwrap();
        pool.submit_and_wait(b"by a new worker").unwrap();
        println!("by the owner");
    })
    .unwrap();
    child.join().unwrap();
    assert_eq!(fs::read_to_string(&moved).unwrap(), "before\nstill there\n");
    assert_eq!(
        fs::read_to_string(&path).unwrap(),
        "after\nby a new worker\nby the owner\n"
    );
}

fn the_owner_is_told_what_happens() {
    let (tell, told) = mpsc::channel();
    let (start, exit, quarantine, shutdown) = (tell.clone(), tell.clone(), tell.clone(), tell);
    let pool = Pool::new(1)
        .max_kills(2)
        .on_start(move |pool| {
            start
                .send(format!("start of {}", pool.status().workers.len()))
                .unwrap();
        })
        .on_worker_exit(move |one| {
            let died = one.status.code().is_none();
            exit.send(format!(
                "worker {} died: {died}, of a task: {}",
                one.worker,
                one.task.is_some()
            ))
            .unwrap();
        })
        .on_quarantine(move |task| {
            quarantine
                .send(format!("quarantine of {:?}", task.payload.as_slice()))
                .unwrap();
        })
        .on_shutdown(move || shutdown.send("shutdown".into()).unwrap())
        .on_task(|task| {
            if task.attempt() == 1 || task.payload() == [7] {
                std::process::abort();
            }
        });
    let pool = pool.start().unwrap();
    pool.submit_and_wait(b"").unwrap();
    pool.submit_and_wait(&[7]).unwrap_err();
    pool.wait_until(Status::is_complete).unwrap();
    pool.stop().unwrap();
    let told: Vec<String> = told.try_iter().collect();
    let expected = [
        "start of 1",
        "worker 0 died: true, of a task: true",
        "worker 0 died: true, of a task: true",
        "worker 0 died: true, of a task: true",
        "quarantine of [7]",
        "shutdown",
        "worker 0 died: false, of a task: false",
    ];
    assert_eq!(told, expected);
}

fn a_start_that_fails_is_an_error_with_its_reason() {
    let pool = Pool::new(3).on_worker_exit(|_| {}).on_task(|_| ());
    let error = pool
        .on_worker_start(|_| Err::<(), _>("no database"))
        .start()
        .unwrap_err();
    assert!(
        matches!(&error, Error::Start { reason } if reason.contains("no database")),
        "{error}"
    );
    let pool = Pool::new(3).on_worker_exit(|_| {}).on_task(|_| ());
    let error = pool
        .on_worker_start(|_| -> () { std::process::exit(7) })
        .run()
        .unwrap_err();
    assert!(error.to_string().contains("exit status: 7"), "{error}");
}

fn with_threads_it_refuses() {
    let thread = std::thread::spawn(|| std::thread::sleep(Duration::from_secs(1)));
    let error = Pool::new(1).on_task(|_| ()).start().unwrap_err();
    assert!(
        matches!(error, Error::Process(ipc_process::Error::Threaded { .. })),
        "{error}"
    );
    thread.join().unwrap();
}

ipc_core::cases! {
    run_stops_by_sigterm_and_reloads_by_sigusr1,
    a_callback_may_stop_the_pool_but_not_wait_for_it,
    a_panic_in_on_start_is_a_start_that_fails,
    a_panic_in_another_callback_stops_the_pool_in_order_and_loses_nothing,
    the_log_file_is_reopened_in_every_process,
    the_owner_is_told_what_happens,
    a_start_that_fails_is_an_error_with_its_reason,
    with_threads_it_refuses,
}
