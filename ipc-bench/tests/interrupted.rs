//! However a run ends, it leaves no process and no queue behind.

mod support;

use std::collections::HashSet;
use std::fs;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};

use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::stat::Mode;
use nix::unistd::{Pid, mkfifo};
use support::{until, until_everybody_has_ended};

/// A run in the midst of a cell that uses queues.
struct Running {
    child: Child,
    queues: HashSet<String>,
}

impl Running {
    fn start(mechanism: &str) -> Self {
        let child = spawn(mechanism);
        let group = child.id();
        let queues = until("the run uses its queues", || {
            let used = queues_used_by(group);
            (used.len() == 2).then_some(used)
        });
        Running { child, queues }
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().try_into().unwrap())
    }

    /// Waits until it and all that it forked have ended, and its queues are removed.
    fn end(mut self) -> ExitStatus {
        let status = self.child.wait().unwrap();
        until_everybody_has_ended();
        let left: Vec<_> = queues()
            .into_iter()
            .filter(|q| self.queues.contains(&q.id))
            .collect();
        assert!(left.is_empty(), "{} queues were left", left.len());
        status
    }
}

fn spawn(mechanism: &str) -> Child {
    Command::new(env!("CARGO_BIN_EXE_ipc-bench"))
        .args(["run", mechanism, "--size", "64", "--time", "30"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .unwrap()
}

fn children(pid: u32) -> Vec<u32> {
    let path = format!("/proc/{pid}/task/{pid}/children");
    let text = fs::read_to_string(path).unwrap_or_default();
    text.split_whitespace().flat_map(str::parse).collect()
}

struct Queue {
    id: String,
    /// Who sent and received last.
    users: [u32; 2],
}

fn queues() -> Vec<Queue> {
    let text = fs::read_to_string("/proc/sysvipc/msg").unwrap();
    let parse = |line: &str| {
        let fields: Vec<_> = line.split_whitespace().collect();
        let user = |at: usize| fields[at].parse().unwrap();
        Queue {
            id: fields[1].to_owned(),
            users: [user(5), user(6)],
        }
    };
    text.lines().skip(1).map(parse).collect()
}

/// The queues that members of a process group have used.
fn queues_used_by(group: u32) -> HashSet<String> {
    let member = |pid: &u32| {
        // pid (name) state ppid pgrp
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let fields = stat.rsplit(')').next().unwrap_or_default();
        fields.split_whitespace().nth(2) == Some(&group.to_string())
    };
    let used = queues()
        .into_iter()
        .filter(|queue| queue.users.iter().any(member));
    used.map(|queue| queue.id).collect()
}

fn ctrl_c_leaves_nothing() {
    for mechanism in ["msgqueue", "raw-sysv"] {
        for (signal, code) in [(Signal::SIGINT, 130), (Signal::SIGQUIT, 131)] {
            let run = Running::start(mechanism);
            // To the whole group, as a terminal does.
            killpg(run.pid(), signal).unwrap();
            assert_eq!(run.end().code(), Some(code));
        }
    }
}

fn sigterm_of_the_command_line_leaves_nothing() {
    let run = Running::start("msgqueue");
    kill(run.pid(), Signal::SIGTERM).unwrap();
    assert_eq!(run.end().code(), Some(143));
}

fn sigterm_ends_a_run_whose_results_nobody_reads_yet() {
    let dir = tempfile::tempdir().unwrap();
    let fifo = dir.path().join("results.json");
    mkfifo(&fifo, Mode::S_IRWXU).unwrap();
    let mut ui = Command::new(env!("CARGO_BIN_EXE_ipc-bench"))
        .args(["run", "pipe", "--json", fifo.to_str().unwrap()])
        .process_group(0)
        .spawn()
        .unwrap();
    let pid = ui.id();
    until("it has forked its runner", || children(pid).pop());
    // Not SIGINT, which a shell lets its background jobs ignore.
    killpg(Pid::from_raw(pid.try_into().unwrap()), Signal::SIGTERM).unwrap();
    let status = until("it has ended", || ui.try_wait().unwrap());
    assert_eq!(status.signal(), Some(Signal::SIGTERM as i32));
    until_everybody_has_ended();
}

fn sigkill_of_the_runner_leaves_no_process() {
    let mut ui = spawn("pipe");
    let pid = ui.id();
    let runner = until("the cell runs", || {
        let child = children(pid).first().copied()?;
        (children(child).len() == 2).then_some(child)
    });
    kill(Pid::from_raw(runner.try_into().unwrap()), Signal::SIGKILL).unwrap();
    assert_eq!(ui.wait().unwrap().code(), Some(1));
    until_everybody_has_ended();
}

fn sigkill_of_the_command_line_leaves_nothing() {
    for mechanism in ["msgqueue", "raw-sysv"] {
        let run = Running::start(mechanism);
        kill(run.pid(), Signal::SIGKILL).unwrap();
        assert!(!run.end().success());
    }
}

ipc_core::cases! {
    ctrl_c_leaves_nothing,
    sigterm_of_the_command_line_leaves_nothing,
    sigterm_ends_a_run_whose_results_nobody_reads_yet,
    sigkill_of_the_runner_leaves_no_process,
    sigkill_of_the_command_line_leaves_nothing,
}
