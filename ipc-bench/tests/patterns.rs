//! What each pattern measures, of whom, and beside what.

mod support;

use serde_json::Value;
use support::run::{ALL, measure, refused, rows};

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
            assert!(row["late"].is_null() && row["given_up"].is_null());
        } else {
            let late = row["late"].as_u64().unwrap();
            assert!(row["given_up"].as_u64().unwrap() <= late && late <= count);
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
    paced_messages_keep_their_rate_and_are_compared_with_sleeping_at_once,
    idle_ends_and_stalls_have_their_figures,
    batches_are_compared_with_the_same_bytes_or_one_by_one,
    batches_of_bytes_arrive_as_they_were_sent,
    asynchronous_ends_have_their_patterns_and_no_other,
    in_place_is_for_those_that_lend,
}
