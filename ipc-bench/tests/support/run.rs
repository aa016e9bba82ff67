//! `ipc-bench run`: its names, its refusals, its results.

use std::fs;
use std::process::{Command, Output};

use serde_json::Value;

pub(crate) const ALL: [&str; 21] = [
    "pipe",
    "fifo",
    "msgqueue",
    "shm",
    "shm-untrusted",
    "unix",
    "seqpacket",
    "tcp",
    "async-pipe",
    "async-unix",
    "raw-pipe",
    "raw-fifo",
    "raw-sysv",
    "raw-ring",
    "raw-futex-ring",
    "raw-ring-copy",
    "raw-unix",
    "raw-seqpacket",
    "raw-tcp",
    "raw-cacheline",
    "raw-memcpy",
];
/// What only a build with the feature `peers` has.
pub(crate) const PEERS: [&str; 2] = ["tokio-pipe", "tokio-unix"];

pub(crate) fn ipc_bench(arguments: &[&str]) -> Output {
    let program = env!("CARGO_BIN_EXE_ipc-bench");
    Command::new(program).args(arguments).output().unwrap()
}

pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// The error text of a command line that is refused with this exit status.
pub(crate) fn refused(arguments: &[&str], status: i32) -> String {
    let output = ipc_bench(arguments);
    let text = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(status), "{arguments:?}: {text}");
    assert_eq!(stdout(&output), "");
    text
}

/// Runs with `--json`, and returns the table and what was written.
pub(crate) fn measure(arguments: &[&str]) -> (String, Value) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("results.json");
    let mut all = vec!["run", "--time", "0.01", "--json", path.to_str().unwrap()];
    all.extend(arguments);
    let output = ipc_bench(&all);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {errors}");
    let json = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    (stdout(&output), json)
}

pub(crate) fn rows(json: &Value) -> &Vec<Value> {
    json["results"].as_array().unwrap()
}
