//! The conformance suite: the [contract](crate#the-contract), clause by clause, as tests that every
//! mechanism runs; and the isolated runner of tests that need a process of their own.
//!
//! A clause is a function over a constructor. It knows nothing but the traits, so that whoever
//! passes is a sibling. [`conformance!`](crate::conformance!) makes a test binary of the suite, and
//! [`mod@reference`] is the plainest channel that passes it.

pub mod cancel;
mod cycles;
mod deadlines;
mod descriptors;
mod isolated;
pub mod kill;
mod landed;
mod messages;
mod overrun;
mod peers;
mod readiness;
pub mod reference;
mod resources;
mod stopped;
mod storm;
mod support;
mod sys;
mod tails;

use std::fmt::Debug;

pub use descriptors::{descriptors, expect_close_on_exec};
pub use isolated::{Case, run, skip};
pub use sys::{CountingAllocator, allocations, take_largest_allocation};

use crate::{Channel, Ready, Receiver, Sender};

/// What every half and every endpoint is, by clause 6: it moves to another thread, and it prints.
pub trait Half: Debug + Send + 'static {}

impl<T: Debug + Send + 'static> Half for T {}

/// Expands to the `main` of a test binary that runs every clause over these constructors, each
/// isolated as [`cases!`](crate::cases!) does.
///
/// `ready` is a constructor of halves that are [`Ready`], where they are; the clauses of readiness
/// are run over it. `except` names the clauses that the mechanism cannot keep. They are listed as ignored, and
/// `--ignored` shows that they still fail.
///
/// ```no_run
/// ipc_core::conformance! {
///     channel: || ipc_core::conformance::reference::channel(),
///     pair: || ipc_core::conformance::reference::pair(),
///     except: [
///         processes_exchange_messages,  // it lives in one process
///         a_killed_peer_is_disconnected,
///     ],
/// }
/// ```
#[macro_export]
macro_rules! conformance {
    (
        channel: $channel:expr,
        pair: $pair:expr
        $(, ready: $ready:expr)?
        $(, except: [$($clause:tt),* $(,)?])?
        $(,)?
    ) => {
        #[global_allocator]
        static ALLOCATOR: $crate::conformance::CountingAllocator =
            $crate::conformance::CountingAllocator;

        fn main() -> ::std::process::ExitCode {
            let exceptions: &[&str] = &[$($(::std::stringify!($clause)),*)?];
            #[allow(unused_mut)]
            let mut suite = $crate::conformance::suite($channel, $pair);
            $(suite.extend($crate::conformance::ready_suite($ready));)?
            $crate::conformance::run($crate::conformance::except(suite, exceptions))
        }
    };
}

/// Every clause over these two constructors: of a channel's two halves, and of a pair of endpoints.
pub fn suite<S, R, C>(
    channel: impl Fn() -> (S, R) + Copy + 'static,
    pair: impl Fn() -> (C, C) + Copy + 'static,
) -> Vec<Case>
where
    S: Sender + Half,
    R: Receiver + Half,
    C: Channel + Half,
{
    macro_rules! cases {
        ($($module:ident: $constructor:ident => $($clause:ident),+;)+) => {
            vec![$($(
                Case::new(stringify!($clause), move || $module::$clause($constructor)),
            )+)+]
        };
    }
    cases! {
        messages: channel =>
            an_empty_message_is_a_message,
            messages_come_in_order,
            every_size_comes_whole,
            random_sizes_come_whole_and_once,
            batches_equal_single_messages,
            an_empty_batch_is_nothing,
            too_large_is_refused_first,
            a_batch_ends_before_what_is_too_large,
            the_message_is_empty_where_there_is_none;
        messages: pair =>
            an_end_never_receives_its_own,
            an_endpoint_is_a_boxed_channel,
            processes_exchange_messages;
        deadlines: channel =>
            an_empty_channel_would_block,
            what_was_sent_is_there,
            a_receive_deadline_holds,
            a_send_deadline_holds,
            no_time_is_enough_for_what_is_there,
            a_full_channel_keeps_what_it_took,
            a_full_channel_counts_its_batch,
            deadlines_hold_through_interruptions,
            interruptions_lose_nothing;
        tails: channel =>
            a_large_message_is_taken_at_once,
            a_timeout_keeps_a_part;
        tails: pair =>
            a_receive_sends_the_tail,
            two_large_messages_cross,
            two_large_messages_cross_through_halves;
        peers: channel =>
            what_was_sent_comes_before_disconnected,
            a_large_message_comes_before_disconnected,
            sending_to_a_gone_peer_is_disconnected,
            sigpipe_is_never_raised,
            a_blocked_receiver_is_told,
            a_blocked_sender_is_told;
        peers: pair =>
            a_gone_endpoint_is_disconnected,
            what_was_sent_comes_though_the_peer_left_some_unread,
            a_killed_peer_is_disconnected;
        resources: channel =>
            nothing_is_allocated_per_message,
            halves_move_and_print,
            a_drop_never_waits,
            channels_close_on_exec,
            a_dropped_channel_leaves_nothing;
        resources: pair =>
            endpoints_close_on_exec,
            a_dropped_pair_leaves_nothing;
    }
}

/// The clauses of readiness, over a constructor of halves that are [`Ready`].
pub fn ready_suite<S, R>(channel: impl Fn() -> (S, R) + Copy + 'static) -> Vec<Case>
where
    S: Sender + Ready + Half,
    R: Receiver + Ready + Half,
{
    let mut suite = vec![
        Case::new("no_edge_is_missed_by_a_receiver", move || {
            readiness::no_edge_is_missed_by_a_receiver(channel);
        }),
        Case::new("no_edge_is_missed_by_a_sender", move || {
            readiness::no_edge_is_missed_by_a_sender(channel);
        }),
    ];
    suite.extend(cancel_suite(channel));
    suite
}

/// Of these, the clauses of [`Async`](crate::Async) operations that are dropped: what has no end of file keeps them, too.
pub fn cancel_suite<S, R>(channel: impl Fn() -> (S, R) + Copy + 'static) -> Vec<Case>
where
    S: Sender + Ready + Half,
    R: Receiver + Ready + Half,
{
    vec![
        Case::new("a_dropped_receive_loses_nothing", move || {
            cancel::a_dropped_receive_loses_nothing(channel);
        }),
        Case::new("a_dropped_send_is_whole_or_nothing", move || {
            cancel::a_dropped_send_is_whole_or_nothing(channel);
        }),
        Case::new("a_receive_goes_on_with_a_dropped_send", move || {
            cancel::a_receive_goes_on_with_a_dropped_send(channel);
        }),
    ]
}

/// The suite with these clauses, identifiers or strings, listed as ignored.
///
/// # Panics
///
/// If there is no such clause: an exception is not for ever.
pub fn except(suite: Vec<Case>, clauses: &[&str]) -> Vec<Case> {
    let is_excepted = |case: &Case| {
        let mut names = clauses.iter().map(|clause| clause.trim_matches('"'));
        names.any(|name| name == case.name())
    };
    let count = suite.len();
    let (excepted, mut kept): (Vec<_>, Vec<_>) = suite.into_iter().partition(is_excepted);
    assert_eq!(
        excepted.len(),
        clauses.len(),
        "an exception that is no clause, or is named twice, in {clauses:?}"
    );
    kept.extend(excepted.into_iter().map(Case::except));
    debug_assert_eq!(kept.len(), count);
    kept
}
