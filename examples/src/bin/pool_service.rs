//! A pool as a service, in the background, with a pid file and a log: `daemonize`, `log_file`, and
//! `kill -USR1 $(cat server.pid)`, which renews the workers. SIGTERM ends it.

use std::error::Error;
use std::path::Path;
use std::time::Duration;
use std::{env, fs, process, thread};

use ipc_pool::Pool;
use ipc_process::DaemonOptions;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

fn main() -> Result<(), Box<dyn Error>> {
    let directory = env::temp_dir().join(format!("examples-{}", process::id()));
    fs::create_dir(&directory)?;
    let (pid_file, log_file) = (directory.join("service.pid"), directory.join("service.log"));

    // What one would type into a shell: the program comes back when its daemon is there.
    let (launcher, ()) = ipc_process::fork(((), ()), |()| service(&pid_file, &log_file))?;
    launcher.join()?;
    let daemon = Pid::from_raw(fs::read_to_string(&pid_file)?.trim().parse()?);

    let log = || fs::read_to_string(&log_file).unwrap_or_default();
    wait_until("the start", || log().matches("starts").count() == 2);
    kill(daemon, Signal::SIGUSR1)?;
    wait_until("the reload", || log().matches("stops").count() == 2);
    kill(daemon, Signal::SIGTERM)?;
    wait_until("the end", || !pid_file.exists());

    let log = log();
    print!("{log}");
    assert_eq!(log.matches("starts").count(), 4);
    assert_eq!(log.matches("stops").count(), 4);
    fs::remove_dir_all(&directory)?;
    Ok(())
}

fn service(pid_file: &Path, log_file: &Path) -> Result<(), Box<dyn Error>> {
    let _daemon = DaemonOptions::new()
        .pid_file(pid_file)
        .log_file(log_file)
        .daemonize()?;
    Pool::new(2)
        .on_worker_start(|worker| println!("worker {} starts: {}", worker.id(), process::id()))
        .on_worker_stop(|worker| println!("worker {} stops: {}", worker.id(), process::id()))
        .on_task(|task| task.payload().to_vec())
        .run()?;
    Ok(())
}

fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    for _ in 0..1000 {
        if is_so() {
            return;
        }
        thread::sleep(Duration::from_millis(10));
    }
    println!("{what} takes too long");
}
