//! `ipc-bench pool`: what it prints and writes, what it refuses, and what it leaves behind: nothing.

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Output, Stdio};

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use serde_json::Value;
use support::{until, until_everybody_has_ended};

fn pool(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ipc-bench"));
    command.arg("pool").args(arguments).output().unwrap()
}

/// Runs with `--json`, and returns the table and what was written.
fn measure(arguments: &[&str]) -> (String, Value) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pool.json");
    let all = [arguments, &["--json", path.to_str().unwrap()]].concat();
    let output = pool(&all);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {errors}");
    assert_eq!(errors, "", "{arguments:?}");
    let json = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    (String::from_utf8(output.stdout).unwrap(), json)
}

fn rows<'a>(json: &'a Value, field: &str) -> &'a Vec<Value> {
    json[field].as_array().unwrap()
}

fn keys(row: &Value) -> BTreeSet<&str> {
    let fields = row.as_object().unwrap().keys();
    fields.map(String::as_str).collect()
}

fn positive(row: &Value, key: &str) -> f64 {
    let value = row[key].as_f64().unwrap();
    assert!(value > 0.0, "{key}: {row}");
    value
}

fn every_combination_of_tasks_is_measured() {
    let (table, json) = measure(&["tasks", "--time", "0.005"]);
    let two_cores = !json["machine"]["split"].is_null();
    let split = if two_cores { 18 } else { 0 };
    let same = if two_cores { 9 } else { 18 };
    assert_eq!(rows(&json, "results").len(), split + same);
    let combinations: BTreeSet<String> = rows(&json, "results")
        .iter()
        .map(|row| format!("{} {} {}", row["workers"], row["window"], row["task_ns"]))
        .collect();
    assert_eq!(combinations.len(), 18);
    for row in rows(&json, "results").iter().chain(rows(&json, "floors")) {
        let expected = [
            "subject",
            "placement",
            "workers",
            "window",
            "task_ns",
            "payload_bytes",
            "repetition",
            "count",
            "tasks_per_s",
            "mean_ns",
            "p50_ns",
            "p90_ns",
            "p99_ns",
            "max_ns",
            "core_to_core_ns",
        ];
        assert_eq!(keys(row), BTreeSet::from(expected));
        assert!(positive(row, "p50_ns") <= positive(row, "p99_ns"));
        // Nobody can do more in that time.
        let cores = row["workers"].as_f64().unwrap();
        let task_s = row["task_ns"].as_f64().unwrap() / 1e9;
        assert!(
            positive(row, "tasks_per_s") * task_s <= 1.2 * cores,
            "{row}"
        );
        // Beside other programs there may be none.
        assert!(row["placement"] == "split" || row["core_to_core_ns"].is_null());
    }
    let is = |subject: &str| {
        rows(&json, "floors")
            .iter()
            .filter(|row| row["subject"] == subject)
            .count()
    };
    assert_eq!(is("fork"), split + same);
    assert_eq!(is("rings"), if two_cores { 18 } else { 9 });
    assert!(
        rows(&json, "results")
            .iter()
            .all(|row| row["subject"] == "pool")
    );
    assert!(
        table.contains("1 worker, one core") && table.contains("window 64, 10 us"),
        "{table}"
    );
}

fn replacements_are_timed_in_each_condition() {
    let (table, json) = measure(&["replacement", "--kills", "3"]);
    for condition in ["idle", "burners", "large"] {
        let here = |row: &&Value| row["condition"] == condition && row["subject"] == "pool";
        let found: Vec<_> = rows(&json, "replacement").iter().filter(here).collect();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0]["kills"], 3);
        assert!(positive(found[0], "p50_ms") <= positive(found[0], "max_ms"));
    }
    assert!(table.contains("by a manager of 512 MB"), "{table}");
    assert!(rows(&json, "results").is_empty());
}

fn reloads_lose_nothing() {
    let (table, json) = measure(&["reload", "--reloads", "3"]);
    assert_eq!(rows(&json, "reload").len(), 3, "{table}");
    for row in rows(&json, "reload") {
        assert_eq!(row["lost_tasks"], 0);
        assert_eq!(row["workers"], 4);
        positive(row, "p50_ms");
    }
}

fn what_is_asked_for_is_measured() {
    let one = ["tasks", "--workers", "3", "--window", "5", "--task", "2us"];
    let options = [
        "--time",
        "0.01",
        "--repeat",
        "2",
        "--placement",
        "free,same",
    ];
    let (table, json) = measure(&[&one[..], &options].concat());
    assert_eq!(rows(&json, "results").len(), 4);
    for row in rows(&json, "results") {
        let of = |key: &str| row[key].as_u64().unwrap();
        assert_eq!((of("workers"), of("window"), of("task_ns")), (3, 5, 2000));
    }
    assert!(
        table.contains("3 workers, any core") && table.contains("min-max"),
        "{table}"
    );
}

fn bad_settings_are_refused() {
    for (option, value, reason) in [
        ("--window", "0", "1..=65536"),
        ("--workers", "65", "1..=64"),
        ("--task", "soon", "such as 500ns"),
        ("--task", "1s", "such as 500ns"),
        ("--task", "11ms", "10 ms at most"),
        ("--kills", "0", "1..=100000"),
        ("--time", "0", "0.001 to 3600"),
        ("--placement", "near", "split"),
    ] {
        let output = pool(&[option, value]);
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{option} {value}: {text}");
        assert!(text.contains(reason), "{option} {value}: {text}");
    }
    assert_eq!(pool(&["carrier-pigeon"]).status.code(), Some(2));
    let output = pool(&["--json", "/nonexistent/pool.json"]);
    assert_eq!(output.status.code(), Some(1));
}

fn what_fails_is_a_step_and_not_the_run() {
    let program = env!("CARGO_BIN_EXE_ipc-bench");
    // Enough descriptors for the floor, too few for a pool.
    let script = "ulimit -n 22; exec \"$0\" pool tasks --workers 1 --window 1 --task 0 --placement same --time 0.01";
    let output = Command::new("sh").args(["-c", script, program]).output();
    let output = output.unwrap();
    let table = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{table}");
    assert!(table.contains("FAILED"), "{table}");
}

/// A run in the midst of a step of many processes, in a group of its own.
fn start(arguments: &[&str]) -> Child {
    let child = Command::new(env!("CARGO_BIN_EXE_ipc-bench"))
        .arg("pool")
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .unwrap();
    let group = child.id();
    // The command line, the runner, the manager, two templates and a worker; and burners.
    until("the pool runs", || (members(group) >= 6).then_some(()));
    child
}

fn members(group: u32) -> usize {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let stats = processes.filter_map(|entry| fs::read_to_string(entry.path().join("stat")).ok());
    // pid (name) state ppid pgrp
    let is_member = |stat: &String| {
        let fields = stat.rsplit(')').next().unwrap_or_default();
        fields.split_whitespace().nth(2) == Some(&group.to_string())
    };
    stats.filter(is_member).count()
}

fn pid(child: &Child) -> Pid {
    Pid::from_raw(child.id().try_into().unwrap())
}

const LONG: [&[&str]; 3] = [
    &["tasks", "--workers", "2", "--time", "60"],
    &["replacement", "--kills", "100000"],
    &["reload", "--reloads", "100000"],
];

fn ctrl_c_leaves_nothing() {
    for arguments in LONG {
        let mut run = start(arguments);
        // To the whole group, as a terminal does.
        killpg(pid(&run), Signal::SIGINT).unwrap();
        assert_eq!(run.wait().unwrap().code(), Some(130));
        until_everybody_has_ended();
    }
}

fn sigterm_of_the_command_line_leaves_nothing() {
    for arguments in LONG {
        let mut run = start(arguments);
        kill(pid(&run), Signal::SIGTERM).unwrap();
        assert_eq!(run.wait().unwrap().code(), Some(143));
        until_everybody_has_ended();
    }
}

fn sigkill_of_the_command_line_leaves_nothing() {
    for arguments in LONG {
        let mut run = start(arguments);
        kill(pid(&run), Signal::SIGKILL).unwrap();
        assert!(!run.wait().unwrap().success());
        until_everybody_has_ended();
    }
}

fn sigkill_of_the_runner_leaves_no_process() {
    for arguments in LONG {
        let mut run = start(arguments);
        let path = format!("/proc/{0}/task/{0}/children", run.id());
        let children = fs::read_to_string(path).unwrap();
        let runner = children.trim().parse().unwrap();
        kill(Pid::from_raw(runner), Signal::SIGKILL).unwrap();
        assert_eq!(run.wait().unwrap().code(), Some(1));
        until_everybody_has_ended();
    }
}

ipc_core::cases! {
    every_combination_of_tasks_is_measured, replacements_are_timed_in_each_condition,
    reloads_lose_nothing, what_is_asked_for_is_measured, bad_settings_are_refused,
    what_fails_is_a_step_and_not_the_run, ctrl_c_leaves_nothing,
    sigterm_of_the_command_line_leaves_nothing, sigkill_of_the_command_line_leaves_nothing, sigkill_of_the_runner_leaves_no_process,
}
