//! Where workers come from: templates, threads, deaths of all kinds.

mod support;

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use ipc_pool::{Error, Pool, Template};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;
use support::{are_ready, is_alive, send, until};

fn upper() -> Pool {
    let pool = Pool::new(2).title("upper").on_worker_exit(|_| {});
    pool.on_task(|task| task.payload().to_ascii_uppercase())
}

fn template(end: Template) {
    end.serve(upper());
}

fn name_of(pid: u32) -> String {
    fs::read_to_string(format!("/proc/{pid}/comm")).unwrap()
}

fn a_short_lived_thread_may_make_a_pool_that_stays() {
    let busy = thread::spawn(|| thread::sleep(Duration::from_millis(300)));
    let made = thread::spawn(|| upper().template(template).start().unwrap());
    let pool = made.join().unwrap();
    let before = until(&pool, are_ready(2));
    thread::sleep(Duration::from_millis(100));
    assert_eq!(pool.submit_and_wait(b"still here").unwrap(), b"STILL HERE");
    let after = pool.status();
    assert_eq!(
        (after.workers[0].pid, after.restarts),
        (before.workers[0].pid, 0)
    );
    busy.join().unwrap();
}

fn a_forked_pool_stays_with_its_threads() {
    let pool = upper().start().unwrap();
    let submitter = pool.clone();
    thread::spawn(move || submitter.submit_and_wait(b"a").unwrap())
        .join()
        .unwrap();
    assert_eq!(pool.submit_and_wait(b"b").unwrap(), b"B");
    assert_eq!(pool.status().restarts, 0);
}

fn processes_are_named() {
    let pool = upper().start().unwrap();
    let status = until(&pool, are_ready(2));
    assert_eq!(name_of(status.template), "upper: template\n");
    assert_eq!(name_of(status.workers[1].pid), "upper: worker 1\n");
}

fn a_dead_template_has_an_heir() {
    for make in [|| upper().start(), || upper().template(template).start()] {
        let pool = make().unwrap();
        for _ in 0..5 {
            let status = until(&pool, are_ready(2));
            send(status.template, Signal::SIGKILL);
            if status.restarts % 2 == 0 {
                until(&pool, |now| now.template != status.template);
            }
            send(status.workers[0].pid, Signal::SIGKILL);
            until(&pool, |now| now.restarts > status.restarts);
        }
        let status = until(&pool, are_ready(2));
        assert_eq!(status.restarts, 5);
        assert_eq!(pool.submit_and_wait(b"hello").unwrap(), b"HELLO");
        pool.stop().unwrap();
        assert!(!is_alive(status.template));
    }
}

/// The children of this process, whichever thread made them.
fn children() -> Vec<i32> {
    let tasks = fs::read_dir("/proc/self/task").unwrap();
    let lists =
        tasks.map(|task| fs::read_to_string(task.unwrap().path().join("children")).unwrap());
    let lists: Vec<String> = lists.collect();
    let pids = lists.iter().flat_map(|list| list.split_whitespace());
    pids.map(|pid| pid.parse().unwrap()).collect()
}

fn without_any_template_the_pool_ends_and_gives_its_queue_back() {
    let dir = tempfile::tempdir().unwrap();
    let go = dir.path().join("go");
    let to_go = go.clone();
    let pool = Pool::new(1).prefetch(1).on_task(move |_| {
        while !to_go.exists() {
            thread::sleep(Duration::from_millis(1));
        }
    });
    let pool = pool.start().unwrap();
    let worker = until(&pool, are_ready(1)).workers[0].pid;
    let worker = i32::try_from(worker).unwrap();
    let runs = pool.submit(b"runs").unwrap();
    let _wait = pool.submit_many(["a", "b"]).unwrap();
    while pool.status().template != 0 {
        for pid in children().into_iter().filter(|&pid| pid != worker) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL); // or it is gone already
        }
    }
    fs::write(&go, "").unwrap();
    runs.wait().unwrap();
    match pool.stop() {
        Err(Error::Failed { queue, .. }) => assert_eq!(queue, [b"a", b"b"]),
        other => panic!("{other:?}"),
    }
}

fn descriptors(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count()
}

fn nobody_has_what_is_anothers() {
    let before = descriptors(std::process::id()) - 1; // but for the one that counts
    for make in [|| upper().start(), || upper().template(template).start()] {
        let pool = make().unwrap();
        for _ in 0..3 {
            pool.reload().unwrap();
            let status = until(&pool, are_ready(2));
            send(status.template, Signal::SIGKILL);
            until(&pool, |now| now.template != status.template);
        }
        let status = until(&pool, are_ready(2));
        thread::sleep(Duration::from_millis(20)); // the heir has taken over
        assert_eq!(
            descriptors(status.template),
            before + 2,
            "an heir's orders, both halves"
        );
        for worker in &status.workers {
            // Two rings of two memories and two doorbells each; what SIGTERM is told by, twice.
            assert_eq!(descriptors(worker.pid), before + 8 + 2);
        }
        pool.stop().unwrap();
        drop(pool);
        assert_eq!(descriptors(std::process::id()) - 1, before);
    }
}

fn signals_for_all_leave_workers_alone() {
    let pool = upper().start().unwrap();
    let status = until(&pool, are_ready(2));
    for signal in [Signal::SIGINT, Signal::SIGHUP, Signal::SIGUSR1] {
        send(status.template, signal);
        send(status.workers[0].pid, signal);
    }
    send(status.template, Signal::SIGTERM);
    assert_eq!(
        pool.submit_to(0, b"hello").unwrap().wait().unwrap(),
        b"HELLO"
    );
    assert_eq!(pool.status().restarts, 0);
}

/// Nobody lives longer than its manager by this, where the environment asks for so many trials.
const PROMISED: Duration = Duration::from_millis(100);

/// How a worker spends its time when its manager dies.
#[derive(Clone, Copy)]
enum Way {
    Idle,
    Computing,
    Blocked,
    Stopped,
}

fn nobody_outlives_a_killed_manager() {
    let given = std::env::var("TRIALS").ok();
    let trials = given.as_ref().map_or(5, |trials| trials.parse().unwrap());
    let mut longest = Duration::ZERO;
    for way in [Way::Idle, Way::Computing, Way::Blocked, Way::Stopped] {
        for _ in 0..trials {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().to_path_buf();
            let (mut manager, ()) = ipc_process::fork(((), ()), |()| {
                Pool::new(2)
                    .on_work(move |_| live(way, &path))
                    .run()
                    .unwrap();
            })
            .unwrap();
            let pids = || {
                let names = fs::read_dir(dir.path()).unwrap();
                let names = names.map(|name| name.unwrap().file_name());
                names
                    .map(|name| name.to_str().unwrap().parse().unwrap())
                    .collect::<Vec<u32>>()
            };
            while pids().len() < 2 {
                thread::sleep(Duration::from_micros(200));
            }
            let pids = pids();
            if matches!(way, Way::Stopped) {
                for &pid in &pids {
                    send(pid, Signal::SIGSTOP);
                }
            }
            manager.kill().unwrap();
            let killed = Instant::now();
            manager.wait().unwrap();
            // All that it had made are this process's children now, and it reaps them.
            while waitpid(None, Some(WaitPidFlag::WNOHANG)) != Err(nix::Error::ECHILD) {
                assert!(killed.elapsed() < Duration::from_secs(5), "an orphan");
                thread::sleep(Duration::from_micros(200));
            }
            longest = longest.max(killed.elapsed());
        }
    }
    assert!(given.is_none() || longest < PROMISED, "{longest:?}");
    println!(
        "nobody was left {longest:?} after the manager's death, {} times",
        4 * trials
    );
}

fn live(way: Way, path: &std::path::Path) {
    if matches!(way, Way::Blocked) {
        nix::sys::signal::SigSet::all().thread_block().unwrap();
    }
    fs::write(path.join(std::process::id().to_string()), "").unwrap();
    loop {
        if !matches!(way, Way::Computing) {
            thread::sleep(Duration::from_secs(1));
        }
    }
}

ipc_core::cases! {
    first {
        ipc_process::entries! { template }
    }
    a_short_lived_thread_may_make_a_pool_that_stays,
    a_forked_pool_stays_with_its_threads,
    processes_are_named,
    a_dead_template_has_an_heir,
    without_any_template_the_pool_ends_and_gives_its_queue_back,
    nobody_has_what_is_anothers,
    signals_for_all_leave_workers_alone,
    nobody_outlives_a_killed_manager,
}
