//! The command line: what it prints, what it writes, what it refuses.

mod support;

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::Value;
use support::run::{ALL, PEERS, ipc_bench, measure, refused, rows, stdout};

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
}
