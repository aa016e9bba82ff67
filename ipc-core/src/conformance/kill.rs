//! The kill suite: what an end does when its peer is killed or stopped, and when both are interrupted.
//!
//! The environment says how much of each: `KILLS` (20 unless given), `STOPS`, `STORM` in messages,
//! `CYCLES`. Given, it also turns the promised time into an assertion; otherwise only a hang fails.

use std::any::Any;
use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::Case;
use crate::{Channel, Error, Inherit, Result, Wait};

/// How many trials, where the environment says nothing.
const KILLS: u32 = 20;
/// The time within which a death is noticed.
const PROMISED: Duration = Duration::from_millis(100);
/// How long the survivor of a silent death waits: what was sent is there.
const AFTERMATH: Duration = Duration::from_millis(1);
/// The time after which something hangs.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);
/// A deadline that is to pass.
pub(super) const SHORT: Duration = Duration::from_millis(5);

/// Expands to the `main` of a mechanism's `tests/kill.rs`: the kill suite over a constructor of
/// pairs. The crate has `ipc-process` among its dev-dependencies.
///
/// A mechanism that tells nobody of a death is `silent`: its survivors wait with a deadline.
///
/// ```ignore
/// ipc_core::kills! { pair: || ipc_pipe::pair().unwrap() }
/// ```
#[macro_export]
macro_rules! kills {
    (pair: $pair:expr $(, silent: $silent:literal)? $(,)?) => {
        fn main() -> ::std::process::ExitCode {
            fn fork<C: $crate::Inherit>(
                ours: Vec<C>,
                theirs: C,
                run: Box<dyn FnOnce(C)>,
            ) -> (u32, Box<dyn ::std::any::Any>, Vec<C>) {
                let (child, ours) = ::ipc_process::fork((ours, theirs), run).expect("fork");
                (child.pid(), Box::new(child), ours)
            }
            let silent = [$($silent)?].contains(&true);
            $crate::conformance::run($crate::conformance::kill::cases($pair, fork, silent))
        }
    };
}

/// Forks a child that runs a function over the end that it is given, while others are kept: as
/// `ipc_process::fork`, which this crate cannot name. The child ends with the second part.
pub type Fork<C> = fn(Vec<C>, C, Box<dyn FnOnce(C)>) -> (u32, Box<dyn Any>, Vec<C>);

/// The suite, over a constructor of pairs; see [`kills!`](crate::kills).
pub fn cases<C: Channel + Inherit + 'static>(
    pair: fn() -> (C, C),
    fork: Fork<C>,
    silent: bool,
) -> Vec<Case> {
    let suite = Suite { pair, fork, silent };
    let case = |name, run: fn(Suite<C>)| Case::new(name, move || run(suite));
    let mut cases = vec![
        case(
            "a_peer_killed_in_mid_message_sent_it_whole_or_not",
            Suite::kill_in_mid_message,
        ),
        case(
            "a_sender_killed_at_random_sent_whole_messages",
            Suite::kill_senders,
        ),
        case("a_receiver_killed_at_random_is_gone", Suite::kill_receivers),
        case(
            "a_stopped_peer_is_a_timeout_and_loses_nothing",
            Suite::stop_and_continue,
        ),
        case("a_storm_of_signals_loses_nothing", Suite::storm),
        case("killed_children_leave_nothing", Suite::cycles),
    ];
    if !silent {
        cases.extend([
            case(
                "a_peer_killed_while_we_receive_is_gone",
                Suite::kill_receiving,
            ),
            case("a_peer_killed_while_we_send_is_gone", Suite::kill_sending),
            case(
                "each_of_three_children_meets_its_own_end",
                Suite::three_children,
            ),
        ]);
    }
    cases
}

pub(super) struct Suite<C> {
    pub(super) pair: fn() -> (C, C),
    fork: Fork<C>,
    /// A death is a deadline that passes.
    pub(super) silent: bool,
}

impl<C> Clone for Suite<C> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<C> Copy for Suite<C> {}

impl<C: Channel + Inherit + 'static> Suite<C> {
    fn kill_receiving(self) {
        self.kill_while_blocked(|_| {}, |end| end.recv().map(drop));
    }

    fn kill_sending(self) {
        // TCP finds more room for a while after it was full.
        self.kill_while_blocked(fill, |end| {
            loop {
                end.send(&[1; 100])?;
            }
        });
    }

    /// A survivor sleeps in `call`, its peer is killed, and the survivor says how `call` ended.
    fn kill_while_blocked(self, prepare: fn(&mut C), call: fn(&mut C) -> Result<()>) {
        let limit = given("KILLS").map_or(PATIENCE, |_| PROMISED);
        let mut slowest = Duration::ZERO;
        for _ in 0..trials() {
            let (said, hears) = talk();
            let (a, b) = (self.pair)();
            let says = said.try_clone().unwrap();
            let (survivor, mut b) = self.fork(vec![b], a, move |mut end| {
                prepare(&mut end);
                say(&says, "calling");
                say(&says, &outcome(&call(&mut end)));
            });
            assert_eq!(hear(&hears), "calling");
            let (victim, _) = self.fork(vec![], b.remove(0), move |_end| {
                say(&said, "living");
                sleep();
            });
            assert_eq!(hear(&hears), "living");
            // Only a kill that finds the survivor asleep in its call is a trial.
            survivor.until('S');
            let start = Instant::now();
            victim.signal(Signal::SIGKILL);
            assert_eq!(hear(&hears), "Disconnected");
            let took = start.elapsed();
            assert!(took < limit, "noticed after {took:?}");
            slowest = slowest.max(took);
        }
        println!(
            "{} kills while blocked, noticed within {slowest:?}",
            trials()
        );
    }

    /// Children that were forked later hold no copy of the ends to those forked before.
    fn three_children(self) {
        let (says, hears) = talk();
        let children: Vec<_> = (0..3)
            .map(|number| {
                let (a, b) = (self.pair)();
                let says = says.try_clone().unwrap();
                self.fork(vec![a], b, move |mut end| {
                    echo(&mut end);
                    say(&says, &number.to_string());
                })
            })
            .collect();
        let (children, mut ends): (Vec<_>, Vec<_>) = children.into_iter().unzip();
        for dropped in 0..3 {
            ends[dropped].clear();
            assert_eq!(hear(&hears), dropped.to_string());
            for end in ends.iter_mut().flatten() {
                end.send(b"still there").unwrap();
                assert_eq!(end.recv().unwrap(), b"still there");
            }
        }
        drop(children);
    }

    /// How a survivor waits for the end of what a dead peer sent: for ever on `even` occasions.
    pub(super) fn patience(self, even: bool) -> Wait {
        match (self.silent, even) {
            (true, _) => AFTERMATH.into(),
            (false, true) => Wait::Forever,
            (false, false) => PATIENCE.into(),
        }
    }

    /// Fails unless this is how a survivor is told that nothing more comes, or that it can send no more.
    #[track_caller]
    pub(super) fn expect_end(self, end: &Error) {
        match end {
            Error::Disconnected if !self.silent => {}
            Error::TimedOut if self.silent => {}
            end => panic!("{end}"),
        }
    }

    pub(super) fn fork(
        self,
        ours: Vec<C>,
        theirs: C,
        run: impl FnOnce(C) + 'static,
    ) -> (Peer, Vec<C>) {
        let (pid, child, ours) = (self.fork)(ours, theirs, Box::new(run));
        let pid = Pid::from_raw(i32::try_from(pid).expect("a process id"));
        (Peer { pid, _child: child }, ours)
    }
}

/// A child that is signalled; it ends with this.
pub(super) struct Peer {
    pid: Pid,
    _child: Box<dyn Any>,
}

impl Peer {
    pub(super) fn signal(&self, signal: Signal) {
        kill(self.pid, signal).expect("kill");
    }

    /// Waits until the child is asleep (`S`) or stopped (`T`).  `proc_pid_stat(5)`
    pub(super) fn until(&self, state: char) {
        let start = Instant::now();
        loop {
            let line = fs::read_to_string(format!("/proc/{}/stat", self.pid)).unwrap();
            let (_, fields) = line.rsplit_once(") ").unwrap();
            if fields.starts_with(state) {
                return;
            }
            assert!(
                start.elapsed() < PATIENCE,
                "never got to state {state}: {line}"
            );
            thread::sleep(Duration::from_micros(200));
        }
    }
}

pub(super) fn trials() -> u32 {
    given("KILLS").unwrap_or(KILLS)
}

/// The number that the environment gives.
pub(super) fn given(variable: &str) -> Option<u32> {
    let text = env::var(variable).ok()?;
    Some(text.parse().expect("a number"))
}

/// Sends until nothing more fits.
fn fill<C: Channel>(end: &mut C) {
    while end.try_send(&[0; 1000]).is_ok() {}
}

/// Sends back what it receives, until the peer is gone.
pub(super) fn echo<C: Channel>(end: &mut C) {
    let (tx, rx) = end.halves();
    let error = loop {
        match rx.recv() {
            Ok(message) => tx.send(message).unwrap(),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, Error::Disconnected), "{error}");
}

fn outcome(result: &Result<()>) -> String {
    match result {
        Err(Error::Disconnected) => "Disconnected".to_owned(),
        other => format!("{other:?}"),
    }
}

fn sleep() -> ! {
    loop {
        thread::park();
    }
}

/// Two ends of a line that does not depend on what is tested.
pub(super) fn talk() -> (UnixDatagram, UnixDatagram) {
    let (says, hears) = UnixDatagram::pair().unwrap();
    hears.set_read_timeout(Some(PATIENCE)).unwrap();
    (says, hears)
}

pub(super) fn say(line: &UnixDatagram, text: &str) {
    line.send(text.as_bytes()).unwrap();
}

pub(super) fn hear(line: &UnixDatagram) -> String {
    let mut text = [0; 1000];
    let len = line.recv(&mut text).expect("the child hangs");
    String::from_utf8_lossy(&text[..len]).into_owned()
}
