//! The suite can fail: each clause is run over a channel with a fault that it must find.

mod faulty;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{self, ExitCode};
use std::thread;
use std::time::Duration;

use ipc_core::conformance::{Case, CountingAllocator, cancel_suite, ready_suite, run, suite};

use faulty::{Fault, careless, hasty};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

/// What each clause must find: the fault, and whether the clause then fails or hangs.
const FAULTS: &[(&str, Fault, Outcome)] = {
    #[allow(clippy::enum_glob_use)] // all of them, in a table
    use {Fault::*, Outcome::*};
    &[
        ("an_empty_message_is_a_message", PadsEmpty, Fails),
        ("messages_come_in_order", SwapsTwo, Fails),
        ("messages_come_in_order", LosesOne, Fails),
        ("every_size_comes_whole", CutsLarge, Fails),
        ("random_sizes_come_whole_and_once", DoublesOne, Fails),
        ("random_sizes_come_whole_and_once", LosesOne, Fails),
        ("batches_equal_single_messages", MiscountsBatches, Fails),
        ("batches_equal_single_messages", DoublesOne, Fails),
        ("an_empty_batch_is_nothing", TakesOneForNone, Fails),
        ("too_large_is_refused_first", AcceptsOversize, Fails),
        (
            "a_batch_ends_before_what_is_too_large",
            FailsTheWholeBatch,
            Fails,
        ),
        (
            "the_message_is_empty_where_there_is_none",
            KeepsTheOldMessage,
            Fails,
        ),
        ("an_end_never_receives_its_own", CrossesItself, Fails),
        ("an_endpoint_is_a_boxed_channel", DoublesOne, Fails),
        ("an_empty_channel_would_block", ReceivesNothing, Fails),
        ("what_was_sent_is_there", SaysWouldBlock, Fails),
        ("a_receive_deadline_holds", TimesOutEarly, Fails),
        ("a_send_deadline_holds", TimesOutEarly, Fails),
        ("a_send_deadline_holds", TakesWhatItRefuses, Fails),
        (
            "no_time_is_enough_for_what_is_there",
            ChecksTheClockFirst,
            Fails,
        ),
        (
            "a_full_channel_keeps_what_it_took",
            TakesWhatItRefuses,
            Fails,
        ),
        ("a_full_channel_counts_its_batch", MiscountsBatches, Fails),
        ("deadlines_hold_through_interruptions", EndsOnASignal, Fails),
        ("interruptions_lose_nothing", LosesOne, Fails),
        ("interruptions_lose_nothing", DoublesOne, Fails),
        ("a_large_message_is_taken_at_once", CutsLarge, Fails),
        ("a_timeout_keeps_a_part", CutsLarge, Fails),
        ("a_receive_sends_the_tail", HoldsTheTail, Hangs),
        ("two_large_messages_cross", HoldsTheTail, Hangs),
        (
            "two_large_messages_cross_through_halves",
            HoldsTheTail,
            Hangs,
        ),
        (
            "what_was_sent_comes_before_disconnected",
            ForgetsDisconnected,
            Fails,
        ),
        (
            "a_large_message_comes_before_disconnected",
            HoldsTheTail,
            Fails,
        ),
        (
            "sending_to_a_gone_peer_is_disconnected",
            IgnoresAGonePeer,
            Fails,
        ),
        ("sigpipe_is_never_raised", BlocksSigpipe, Fails),
        ("a_blocked_receiver_is_told", NamesNoReason, Fails),
        ("a_blocked_sender_is_told", NamesNoReason, Fails),
        (
            "a_gone_endpoint_is_disconnected",
            ForgetsDisconnected,
            Fails,
        ),
        (
            "what_was_sent_comes_though_the_peer_left_some_unread",
            NamesNoReason,
            Fails,
        ),
        ("nothing_is_allocated_per_message", Allocates, Fails),
        ("halves_move_and_print", PrintsNothing, Fails),
        ("a_drop_never_waits", DropWaits, Hangs),
        ("channels_close_on_exec", InheritsOverExec, Fails),
        ("a_dropped_channel_leaves_nothing", LeaksADescriptor, Fails),
        ("endpoints_close_on_exec", InheritsOverExec, Fails),
        ("a_dropped_pair_leaves_nothing", LeaksADescriptor, Fails),
    ]
};
/// Clauses that need another process, where the reference, faulty or not, does not reach.
const BETWEEN_PROCESSES: [&str; 2] = [
    "processes_exchange_messages",
    "a_killed_peer_is_disconnected",
];

#[derive(Clone, Copy)]
enum Outcome {
    Fails,
    Hangs,
}

fn main() -> ExitCode {
    let mut cases = vec![
        Case::new("every_clause_can_fail", every_clause_can_fail),
        Case::new("without_a_fault_none_fails", without_a_fault_none_fails),
    ];
    cases.extend(FAULTS.iter().map(|&(clause, fault, outcome)| {
        let name = format!("{clause}::{fault:?}");
        Case::new(name.leak(), move || must_fail(clause, fault, outcome))
    }));
    let edges = ready_suite(hasty::channel).into_iter();
    let edges = edges.filter(|clause| clause.name().starts_with("no_edge"));
    let hasty = edges.map(|clause| ("Hasty", clause));
    let careless = cancel_suite(careless::channel).into_iter();
    for (fault, clause) in hasty.chain(careless.map(|clause| ("Careless", clause))) {
        let name = format!("{}::{fault}", clause.name());
        cases.push(Case::new(name.leak(), move || {
            fail(&clause, Outcome::Hangs);
        }));
    }
    run(cases)
}

fn every_clause_can_fail() {
    for clause in faulty_suite(Fault::Nothing) {
        let has_fault = FAULTS.iter().any(|(name, ..)| *name == clause.name());
        assert!(has_fault, "{clause:?}");
    }
}

fn without_a_fault_none_fails() {
    for clause in faulty_suite(Fault::Nothing) {
        clause.call();
    }
}

fn must_fail(name: &str, fault: Fault, outcome: Outcome) {
    let suite = faulty_suite(fault);
    let clause = suite
        .iter()
        .find(|case| case.name() == name)
        .expect("a clause of this name");
    fail(clause, outcome);
}

/// Fails unless `clause` does.
fn fail(clause: &Case, outcome: Outcome) {
    if let Outcome::Hangs = outcome {
        thread::spawn(|| {
            thread::sleep(Duration::from_secs(3));
            process::exit(0);
        });
    }
    let outcome = catch_unwind(AssertUnwindSafe(|| clause.call()));
    assert!(outcome.is_err(), "{clause:?} does not find the fault");
}

fn faulty_suite(fault: Fault) -> Vec<Case> {
    let mut suite = suite(move || faulty::channel(fault), move || faulty::pair(fault));
    suite.retain(|clause| !BETWEEN_PROCESSES.contains(&clause.name()));
    suite
}
