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

    let reloaded = wait_for(&log_file, "starts", 2).and_then(|()| {
        kill(daemon, Signal::SIGUSR1)?;
        wait_for(&log_file, "stops", 2) // the old ones, when the new ones have started
    });
    kill(daemon, Signal::SIGTERM)?;
    let stopped = wait_for(&log_file, "stops", 4);

    let log = fs::read_to_string(&log_file)?;
    print!("{log}");
    fs::remove_dir_all(&directory)?;
    reloaded?;
    stopped?;
    assert_eq!(log.matches("starts").count(), 4);
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

/// Waits until the file has a word so many times.
fn wait_for(file: &Path, word: &str, times: usize) -> Result<(), Box<dyn Error>> {
    for _ in 0..1000 {
        if fs::read_to_string(file)?.matches(word).count() == times {
            return Ok(());
        }
        thread::sleep(Duration::from_millis(10));
    }
    Err(format!("{} has no {times} lines with {word:?}", file.display()).into())
}
