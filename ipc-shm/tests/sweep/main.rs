//! The instruction sweep: one end is stopped with ptrace(2) after every single instruction of what it
//! does, and killed there. The other end must see each message whole or not at all, everything that
//! was sent before, then `Disconnected`; it must have been woken if it slept.
//!
//! The [`survivors`] turn it round: the end that goes on stands after each of its instructions while
//! its peer acts, vanishes, or both. No other end can do worse between two instructions.
//!
//! What runs by itself stops at some instructions only. `SWEEP=all`, in a release build, stops at all
//! (`just prove-sweep`); `SWEEP` set to anything forbids that the tests are skipped where ptrace(2)
//! is refused. A system call counts as one instruction; where it sleeps, the end is killed asleep too.
//!
//! Seen to fail, without `SWEEP`:
//!
//! | mutant | caught by |
//! |---|---|
//! | a header is published before its payload | every sender of a message |
//! | the next header is not zeroed | every sender of a message |
//! | a batch's first header is published first | both senders of a batch |
//! | no look after the end of file in `Inflow::sleep` | receivers whose peer is killed asleep, and before it rings |
//! | no look after the end of file in `Inflow::now` (`last`) | receivers whose peer is killed before it rings |
//! | no look after an asking, receiver | a receiver whose peer sends |
//! | no look after an asking, sender | a sender whose peer makes room |
//! | a receiver does not ring | a sender whose peer makes room |
//! | a client keeps its copy of the socket for the answer | both listeners that accept |
//!
//! Instructions are executed one after another here, so that a missing fence is not seen.

mod attachments;
mod ends;
mod receivers;
mod senders;
mod sleepers;
mod survivors;
mod sweep;
mod tracee;
mod watchdog;

use std::process::ExitCode;

fn main() -> ExitCode {
    let killed = senders::cases().chain(receivers::cases());
    let killed = killed.chain(attachments::cases());
    let cases = killed.chain(survivors::cases()).chain(sleepers::cases());
    ipc_core::conformance::run(cases.collect())
}
