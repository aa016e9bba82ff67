//! What goes wrong while a worker is made: whoever comes of it is the pool's, and there is one.

mod support;

use std::fs::{self, File};

use ipc_pool::{Handle, Pool, Status, Transport};
use nix::sys::ptrace::{self, Options};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use support::{are_ready, parent_of, send, until};

/// The processes that this one has made, and has not waited for.
fn children() -> usize {
    let names = fs::read_dir("/proc").unwrap();
    let names = names.map(|name| name.unwrap().file_name());
    let pids = names.filter_map(|name| name.to_str().unwrap().parse().ok());
    let me = Some(std::process::id());
    pids.filter(|&pid| parent_of(pid) == me).count()
}

/// Nobody but the template, its heir and the worker, who alone runs each task, once.
fn is_sound(pool: &Handle) {
    assert_eq!(children(), 3);
    let status = pool.wait_until(Status::is_complete).unwrap();
    let pid = status.workers[0].pid.to_string();
    for ticket in pool.submit_many([""; 100]).unwrap() {
        assert_eq!(ticket.wait().unwrap(), pid.as_bytes());
    }
    assert_eq!(pool.status().stale, 0);
}

fn start(transport: Transport) -> Handle {
    let pool = Pool::new(1).transport(transport).on_worker_exit(|_| {});
    let pool = pool.on_task(|_| std::process::id().to_string());
    pool.start().unwrap()
}

/// Waits until the template has made a process and has not said so, which is as far as that is too;
/// `None` where ptrace(2) is refused.
fn stop_at_the_next_birth(pool: &Handle, template: Pid) -> Option<Pid> {
    let options = Options::PTRACE_O_TRACECLONE | Options::PTRACE_O_TRACEFORK;
    ptrace::seize(template, options).ok()?;
    pool.signal(0, Signal::SIGKILL as i32).unwrap();
    let stopped = waitpid(template, Some(WaitPidFlag::__WALL)).unwrap();
    assert!(
        matches!(stopped, WaitStatus::PtraceEvent(..)),
        "{stopped:?}"
    );
    let newborn = ptrace::getevent(template).unwrap();
    let newborn = Pid::from_raw(i32::try_from(newborn).unwrap());
    waitpid(newborn, Some(WaitPidFlag::__WALL)).unwrap();
    Some(newborn)
}

fn a_template_dies_between_a_birth_and_its_answer() {
    for transport in [Transport::Shm, Transport::Unix] {
        let pool = start(transport);
        for round in 0..4 {
            let before = until(&pool, are_ready(1));
            let template = Pid::from_raw(i32::try_from(before.template).unwrap());
            let Some(newborn) = stop_at_the_next_birth(&pool, template) else {
                return println!("skipped: ptrace(2) is refused");
            };
            send(before.template, Signal::SIGKILL);
            if round % 2 == 0 {
                ptrace::detach(newborn, None).unwrap();
            } else {
                // It dies as well, before anybody else has heard of it.
                send(u32::try_from(newborn.as_raw()).unwrap(), Signal::SIGKILL);
                waitpid(newborn, Some(WaitPidFlag::__WALL)).unwrap();
            }
            until(&pool, |now| {
                now.template != before.template && now.is_complete()
            });
            is_sound(&pool);
        }
        pool.stop().unwrap();
        assert_eq!(children(), 0);
    }
}

fn a_worker_that_cannot_be_watched_is_ended() {
    let pool = start(Transport::Shm);
    until(&pool, are_ready(1));
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, 64, hard).unwrap();
    let taken: Vec<File> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
    pool.signal(0, Signal::SIGKILL as i32).unwrap();
    // The channel was made ahead, and there is no descriptor for the process.
    until(&pool, |status| status.restarts == 2);
    drop(taken);
    until(&pool, are_ready(1));
    is_sound(&pool);
}

ipc_core::cases! {
    a_template_dies_between_a_birth_and_its_answer, a_worker_that_cannot_be_watched_is_ended,
}
