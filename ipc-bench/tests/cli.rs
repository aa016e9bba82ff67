//! The command line: what it prints, what it writes, what it refuses.

use std::collections::BTreeSet;
use std::fs;
use std::process::{Command, Output};

use serde_json::Value;

const ALL: [&str; 21] = [
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
const PEERS: [&str; 2] = ["tokio-pipe", "tokio-unix"];

fn ipc_bench(arguments: &[&str]) -> Output {
    let program = env!("CARGO_BIN_EXE_ipc-bench");
    Command::new(program).args(arguments).output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// The error text of a command line that is refused with this exit status.
fn refused(arguments: &[&str], status: i32) -> String {
    let output = ipc_bench(arguments);
    let text = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(status), "{arguments:?}: {text}");
    assert_eq!(stdout(&output), "");
    text
}

/// Runs with `--json`, and returns the table and what was written.
fn measure(arguments: &[&str]) -> (String, Value) {
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

fn rows(json: &Value) -> &Vec<Value> {
    json["results"].as_array().unwrap()
}

fn list_names_everything() {
    let output = ipc_bench(&["list"]);
    assert!(output.status.success());
    let text = stdout(&output);
    let line = |name| {
        let mut lines = text.lines();
        lines.find(|line| line.split_whitespace().next() == Some(name))
    };
    for name in ALL {
        assert!(!line(name).unwrap().contains("--features"), "{text}");
    }
    for name in PEERS {
        let here = cfg!(feature = "peers");
        assert_eq!(line(name).unwrap().contains("--features peers"), !here);
    }
}

fn unknown_mechanism_is_refused_with_the_list() {
    let text = refused(&["run", "pipe", "carrier-pigeon"], 2);
    assert!(text.contains("carrier-pigeon"), "{text}");
    for name in ALL {
        assert!(text.contains(name), "{name} is not in: {text}");
    }
}

fn a_mechanism_that_this_build_is_without_is_refused_with_what_it_needs() {
    for name in PEERS.into_iter().filter(|_| !cfg!(feature = "peers")) {
        let text = refused(&["run", "pipe", name], 1);
        assert!(text.contains(name) && text.contains("--features peers"));
    }
}

fn bad_sizes_are_refused_with_the_reason() {
    for (size, reason) in [
        ("0", "8 bytes are the least"),
        ("7", "8 bytes are the least"),
        ("12q", "such as 8, 64, 1k"),
        ("", "such as 8, 64, 1k"),
        ("17m", "16 MiB (16m) at most"),
        ("99999999999999999999", "16 MiB (16m) at most"),
        ("64,0", "8 bytes are the least"),
    ] {
        let text = refused(&["run", "pipe", "--size", size], 2);
        assert!(text.contains(reason), "{size}: {text}");
    }
}

fn bad_settings_are_refused() {
    for arguments in [
        ["--pattern", "ping-pong"],
        ["--placement", "everywhere"],
        ["--spin", "sometimes"],
        ["--time", "0"],
        ["--time", "nan"],
        ["--repeat", "0"],
        ["--rate", "0"],
        ["--verify", "none"],
    ] {
        let text = refused(&["run", arguments[0], arguments[1]], 2);
        assert!(text.contains(arguments[1]), "{text}");
    }
    let text = refused(&["run", "--time", "-1"], 2);
    assert!(text.contains("0.001 to 3600 seconds"), "{text}");
    let text = refused(&["run", "--repeat", "-1"], 2);
    assert!(text.contains("1..=10000"), "{text}");
    let text = refused(&["run", "raw-memcpy", "--pattern", "round-trip"], 1);
    assert!(text.contains("nothing to measure"), "{text}");
}

fn a_file_that_cannot_be_written_is_refused_before_the_run() {
    let text = refused(&["run", "--json", "/nonexistent/results.json"], 1);
    assert!(text.contains("/nonexistent/results.json"), "{text}");
}

fn json_goes_into_a_pipe_too() {
    let arguments = [
        "pipe",
        "--size",
        "64",
        "--time",
        "0.01",
        "--json",
        "/dev/stderr",
    ];
    let output = ipc_bench(&[&["run"][..], &arguments].concat());
    let json: Value = serde_json::from_slice(&output.stderr).unwrap();
    assert_eq!(rows(&json).len(), 2);
}

fn what_fails_is_a_cell_and_not_the_run() {
    let program = env!("CARGO_BIN_EXE_ipc-bench");
    let script = "ulimit -n 26; exec \"$0\" run pipe shm --size 64 --time 0.01";
    let output = Command::new("sh").args(["-c", script, program]).output();
    let output = output.unwrap();
    let table = stdout(&output);
    assert_eq!(output.status.code(), Some(1));
    assert!(table.contains("shm FAILED at 64 B"), "{table}");
    assert!(table.contains("\npipe "), "{table}");
}

fn json_is_as_documented() {
    let (_, json) = measure(&[
        "pipe", "raw-pipe", "raw-ring", "--size", "64", "--repeat", "2",
    ]);
    assert!(json["machine"]["cpu"].is_string());
    assert_eq!(json["settings"]["repeat"], 2);
    assert_eq!(rows(&json).len(), 3 * 2 * 2);
    for row in rows(&json) {
        let keys: BTreeSet<&str> = row
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        let mut expected = BTreeSet::from([
            "mechanism",
            "pattern",
            "size",
            "placement",
            "spin",
            "repetition",
            "count",
            "msgs_per_s",
            "bytes_per_s",
            "cpu_ns_per_msg",
            "cpu_ms",
            "core_to_core_ns",
            "asks",
            "verified",
        ]);
        if row["pattern"] == "round-trip" {
            expected.extend(["mean_ns", "p50_ns", "p90_ns", "p99_ns", "p999_ns", "max_ns"]);
            let of = |key: &str| row[key].as_f64().unwrap();
            assert!(of("p50_ns") > 0.0 && of("p50_ns") <= of("p99_ns"));
            assert!(of("p999_ns") <= of("max_ns") && of("mean_ns") <= of("max_ns"));
        }
        assert_eq!(keys, expected);
        assert!(row["count"].as_u64().unwrap() > 0);
        assert_eq!(row["size"], 64);
        assert_eq!(row["verified"], true);
        let rate = row["msgs_per_s"].as_f64().unwrap();
        assert!((row["bytes_per_s"].as_f64().unwrap() / rate - 64.0).abs() < 1e-6);
        assert_eq!(
            row["spin"],
            match row["mechanism"].as_str().unwrap() {
                "pipe" => Value::from("adaptive"),
                "raw-pipe" => Value::Null,
                _ => Value::from("always"),
            }
        );
    }
}

fn every_mechanism_and_floor_is_measured_and_verified() {
    // Without a name after `run`: all of them.
    let (table, json) = measure(&["--size", "64", "--verify", "full"]);
    let measured: BTreeSet<_> = rows(&json)
        .iter()
        .map(|row| row["mechanism"].as_str().unwrap())
        .collect();
    let peers = PEERS.into_iter().filter(|_| cfg!(feature = "peers"));
    assert_eq!(measured, ALL.into_iter().chain(peers).collect());
    assert_eq!(json["failed"], Value::Array(Vec::new()));
    for name in ALL {
        assert!(table.contains(&format!("{name} ")), "{table}");
    }
}

fn floors_honour_spin_and_run_once_for_those_that_they_do_not_know() {
    let (table, json) = measure(&[
        "raw-unix",
        "--spin",
        "adaptive,always,never",
        "--size",
        "64",
    ]);
    let spins: Vec<_> = rows(&json).iter().map(|row| row["spin"].clone()).collect();
    let (null, always) = (Value::Null, Value::from("always"));
    assert_eq!(spins, [null.clone(), always.clone(), null, always]);
    assert!(table.contains("raw-unix, always"), "{table}");
}

fn placements_are_recorded() {
    let (_, json) = measure(&["unix", "--placement", "same,free", "--size", "64"]);
    for placement in ["same", "free"] {
        let here: Vec<_> = rows(&json)
            .iter()
            .filter(|row| row["placement"] == placement)
            .collect();
        assert_eq!(here.len(), 2);
        assert!(here.iter().all(|row| row["core_to_core_ns"].is_null()));
    }
}

fn what_cannot_be_carried_is_said() {
    let (table, json) = measure(&["raw-sysv", "msgqueue", "--size", "64,1m"]);
    assert!(table.contains("msgqueue cannot carry 1 MiB"), "{table}");
    assert!(table.contains("raw-sysv cannot carry 1 MiB"), "{table}");
    assert_eq!(rows(&json).len(), 4);
    assert_eq!(json["refused"].as_array().unwrap().len(), 4);
}

fn what_is_asked_for_is_said() {
    let size = "524272,512k,1m,4m";
    let (table, json) = measure(&["shm", "--size", size, "--pattern", "stream"]);
    assert!(
        table.contains("shm at 512 KiB, 1 MiB, 4 MiB: asks for"),
        "{table}"
    );
    assert_eq!(rows(&json).len(), 4, "{table}");
    assert!(rows(&json)[0]["asks"].is_null());
    assert!(rows(&json)[3]["asks"].is_string());
}

fn a_pipe_asks_for_room_for_large_messages_and_its_floor_does_not() {
    let (table, json) = measure(&["pipe", "raw-pipe", "--size", "65535,64k,1m"]);
    let note = "pipe at 64 KiB, 1 MiB: asks for pipes of 1 MiB";
    assert!(table.lines().any(|line| line == note), "{table}");
    for row in rows(&json) {
        let asks = row["mechanism"] == "pipe" && row["size"].as_u64() >= Some(65_536);
        assert_eq!(row["asks"].is_string(), asks, "{row}");
    }
}

fn paced_messages_keep_their_rate_and_are_compared_with_sleeping_at_once() {
    let arguments = ["shm", "--pattern", "paced", "--rate", "2000"];
    let (table, json) = measure(&[&arguments[..], &["--spin", "adaptive,never"]].concat());
    assert!(table.contains("of never"), "{table}");
    for row in rows(&json) {
        // 10 ms of them, however late they come.
        assert_eq!(row["count"], 20);
        assert!(row["p50_ns"].as_u64().unwrap() > 0);
    }
}

fn idle_ends_and_stalls_have_their_figures() {
    let patterns = ["--pattern", "idle,stall", "--size", "64"];
    let (table, json) = measure(&[&ALL[..10], &["raw-futex-ring"], &patterns[..]].concat());
    let idle = |row: &&Value| row["pattern"] == "idle";
    assert_eq!(rows(&json).iter().filter(idle).count(), 11);
    assert!(table.contains("idle: CPU") && table.contains("over 1 ms"));
    for row in rows(&json) {
        let count = row["count"].as_u64().unwrap();
        if row["pattern"] == "idle" {
            assert_eq!(count, 1);
            assert!(row["late"].is_null());
        } else {
            assert!(row["late"].as_u64().unwrap() <= count);
            assert!(row["p50_ns"].as_u64().unwrap() > 0);
        }
    }
}

fn batches_are_compared_with_the_same_bytes_or_one_by_one() {
    let mechanisms = ["pipe", "raw-pipe", "shm", "seqpacket"];
    let rings = ["raw-ring", "raw-futex-ring"]; // where there is one processor it is the latter
    let patterns = ["--pattern", "batch,stream", "--size", "64,64k"];
    let (table, json) = measure(&[&mechanisms[..], &rings, &patterns].concat());
    assert_eq!(json["failed"], Value::Array(Vec::new()));
    let batch = |row: &&Value| row["pattern"] == "batch";
    let measured = rows(&json).iter().filter(batch);
    let measured: Vec<_> = measured.map(|row| &row["mechanism"]).collect();
    let both = ["pipe", "raw-pipe", "shm", "seqpacket"];
    assert_eq!(measured, [both, both].concat());
    // A ratio stands behind the batches, and one behind the stream: that of a pipe is to the floor's
    // batches of bytes, that of a ring to the floor's stream.
    for name in ["pipe ", "shm "] {
        let line = table.lines().find(|line| line.starts_with(name));
        let numbers = line.unwrap().split_whitespace();
        let numbers = numbers.filter(|word| word.starts_with(|c: char| c.is_ascii_digit()));
        assert_eq!(numbers.count(), 6, "{table}");
    }
}

fn batches_of_bytes_arrive_as_they_were_sent() {
    let floors = ["raw-pipe", "raw-fifo", "raw-unix", "raw-tcp"];
    // Those of 100 B end anywhere in what a read brings.
    let arguments = [
        "--pattern",
        "batch",
        "--size",
        "8,100,64k,100000",
        "--verify",
        "full",
    ];
    let (_, json) = measure(&[&floors[..], &arguments].concat());
    assert_eq!(json["failed"], Value::Array(Vec::new()));
    assert_eq!(rows(&json).len(), 16);
}

fn asynchronous_ends_have_their_patterns_and_no_other() {
    let ends = ["async-pipe", "async-unix"];
    let arguments = [
        "--pattern",
        "round-trip,stream,batch,idle",
        "--size",
        "8,1m",
    ];
    let full = ["--verify", "full"];
    let (_, json) = measure(&[&ends[..], &arguments, &full].concat());
    assert_eq!(json["failed"], Value::Array(Vec::new()));
    assert_eq!(rows(&json).len(), 16);
    assert!(rows(&json).iter().all(|row| row["spin"].is_null()));
    let text = refused(&["run", "async-unix", "--pattern", "stall,paced"], 1);
    assert!(text.contains("nothing to measure"), "{text}");
}

fn in_place_is_for_those_that_lend() {
    let arguments = ["--pattern", "in-place", "--size", "8,64,64k"];
    let (table, json) = measure(&arguments);
    assert_eq!(json["failed"], Value::Array(Vec::new()));
    let measured: Vec<_> = rows(&json).iter().map(|row| &row["mechanism"]).collect();
    let lend = ["shm", "raw-ring", "raw-futex-ring"];
    assert_eq!(measured, [lend, lend, lend].concat());
    assert!(rows(&json).iter().all(|row| row["mean_ns"].is_f64()));
    assert!(table.contains("shm at 64 KiB: asks for rings of two messages"));
    let (_, json) = measure(&["shm", "--pattern", "in-place", "--verify", "full"]);
    assert_eq!(rows(&json).len(), 3);
    let text = refused(&["run", "pipe", "--pattern", "in-place"], 1);
    assert!(text.contains("nothing to measure"), "{text}");
}

ipc_core::cases! {
    list_names_everything,
    unknown_mechanism_is_refused_with_the_list,
    a_mechanism_that_this_build_is_without_is_refused_with_what_it_needs,
    bad_sizes_are_refused_with_the_reason,
    bad_settings_are_refused,
    a_file_that_cannot_be_written_is_refused_before_the_run,
    json_goes_into_a_pipe_too,
    what_fails_is_a_cell_and_not_the_run,
    json_is_as_documented,
    every_mechanism_and_floor_is_measured_and_verified,
    floors_honour_spin_and_run_once_for_those_that_they_do_not_know,
    placements_are_recorded,
    what_cannot_be_carried_is_said,
    what_is_asked_for_is_said,
    a_pipe_asks_for_room_for_large_messages_and_its_floor_does_not,
    paced_messages_keep_their_rate_and_are_compared_with_sleeping_at_once,
    idle_ends_and_stalls_have_their_figures,
    batches_are_compared_with_the_same_bytes_or_one_by_one,
    batches_of_bytes_arrive_as_they_were_sent,
    asynchronous_ends_have_their_patterns_and_no_other,
    in_place_is_for_those_that_lend,
}
