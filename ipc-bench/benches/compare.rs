//! `cargo bench`: the mechanisms and their floors under criterion, which compares with the last run.
//!
//! Criterion may start threads, so everything is forked first: an echo for each subject, which waits
//! until it is its turn, and criterion's own process. The first process only owns what the kernel
//! lent, and gives it back at the end, or after a signal.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput};
use ipc_bench::Result;
use ipc_bench::cells::{Ends, Role};
use ipc_bench::mechanisms::{ALL, Mechanism};
use ipc_bench::placement::{self, Placement};
use ipc_bench::plan::{Cell, Pattern, Polling, Verify};
use ipc_bench::signals::Signals;
use ipc_core::{Error, Receiver, Select, Sender, Wait};
use ipc_pipe::{PipeReceiver, PipeSender};
use ipc_process::Child;
use nix::sys::prctl;
use nix::sys::signal::Signal;

const SIZES: [usize; 3] = [64, 1 << 10, 64 << 10];
/// The first byte of a message that is to be answered.
const ANSWER: u8 = 1;

/// A mechanism at one size, and the process that answers.
struct Subject {
    mechanism: &'static Mechanism,
    size: usize,
    ends: Box<dyn Ends>,
    echo: Child,
}

fn main() -> Result<ExitCode> {
    let mut signals = Signals::hold()?;
    let (mut subjects, mut gates) = (Vec::new(), Vec::new());
    let both = |m: &&Mechanism| {
        let patterns = [Pattern::RoundTrip, Pattern::Stream];
        patterns.iter().all(|pattern| m.patterns.contains(pattern))
    };
    for size in SIZES {
        for mechanism in ALL.iter().filter(both) {
            if let Some((subject, gate)) = start(mechanism, size)? {
                subjects.push(subject);
                gates.push(gate);
            }
        }
    }
    let (mut bench, ()) = ipc_process::fork(((), gates), |gates| -> Result<()> {
        prctl::set_pdeathsig(Signal::SIGKILL)?;
        placement::enter(Placement::here()?, Role::Driver)?;
        compare(&mut subjects, gates)
    })?;
    while Select::new().wait(&mut [&mut bench, &mut signals], Wait::Forever)? == 1 {
        if let Some(signal) = signals.take() {
            bench.kill()?;
            return Ok(ExitCode::from(128 + signal));
        }
    }
    bench.join()?;
    Ok(ExitCode::SUCCESS)
}

/// Connects, and forks the echo.
fn start(mechanism: &'static Mechanism, size: usize) -> Result<Option<(Subject, PipeSender)>> {
    let cell = Cell {
        mechanism: mechanism.name.to_owned(),
        pattern: Pattern::RoundTrip,
        size,
        placement: Placement::here()?,
        spin: (mechanism.spin)(Polling::Adaptive),
        time: Duration::ZERO,
        rate: 0,
        verify: Verify::Sample,
        repetition: 1,
    };
    let mut ends = (mechanism.connect)(&cell)?;
    if ends.halves(Role::Driver).is_none() {
        return Ok(None); // outside a runtime
    }
    if let Some(reason) = ends.refusal(size) {
        eprintln!("{} cannot carry {size} B: {reason}", mechanism.name);
        return Ok(None);
    }
    let (opener, gate) = ipc_pipe::channel()?;
    let (echo, gate_opener) = ipc_process::fork((opener, gate), |gate| {
        prctl::set_pdeathsig(Signal::SIGKILL)?;
        placement::enter(cell.placement, Role::Peer)?;
        answer(&mut *ends, gate)
    })?;
    let subject = Subject {
        mechanism,
        size,
        ends,
        echo,
    };
    Ok(Some((subject, gate_opener)))
}

/// Receives, once it is its turn, and answers what is to be answered.
fn answer(ends: &mut dyn Ends, mut gate: PipeReceiver) -> Result<()> {
    gate.recv()?;
    let (tx, rx) = ends.halves(Role::Peer).ok_or("no halves")?;
    loop {
        match rx.recv() {
            Err(Error::Disconnected) => return Ok(()),
            message => {
                let message = message?;
                if message[0] == ANSWER {
                    tx.send(message)?;
                }
            }
        }
    }
}

fn compare(subjects: &mut [Subject], gates: Vec<PipeSender>) -> Result<()> {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(600))
        .sample_size(20)
        .configure_from_args();
    for (subject, mut gate) in subjects.iter_mut().zip(gates) {
        gate.send(b"your turn")?;
        let size = subject.size as u64;
        let mut group = criterion.benchmark_group(format!("there and back, {size} B"));
        round_trip(&mut group, subject);
        group.finish();
        let mut group = criterion.benchmark_group(format!("one way, {size} B"));
        group.throughput(Throughput::Bytes(size));
        one_way(&mut group, subject);
        group.finish();
        // One that polls must not run beside the next.
        subject.echo.kill()?;
    }
    criterion.final_summary();
    Ok(())
}

fn round_trip(group: &mut BenchmarkGroup<'_, WallTime>, subject: &mut Subject) {
    let message = vec![ANSWER; subject.size];
    let (tx, rx) = subject.ends.halves(Role::Driver).expect("it has halves");
    group.bench_function(subject.mechanism.name, |bencher| {
        bencher.iter(|| {
            tx.send(&message).expect("the echo receives");
            rx.recv().expect("the echo answers").len()
        });
    });
}

fn one_way(group: &mut BenchmarkGroup<'_, WallTime>, subject: &mut Subject) {
    let [message, last] = [0, ANSWER].map(|first| vec![first; subject.size]);
    let (tx, rx) = subject.ends.halves(Role::Driver).expect("it has halves");
    group.bench_function(subject.mechanism.name, |bencher| {
        bencher.iter_custom(|count| {
            let start = Instant::now();
            for _ in 1..count {
                tx.send(&message).expect("the echo receives");
            }
            tx.send(&last).expect("the echo receives");
            rx.recv().expect("the echo answers");
            start.elapsed()
        });
    });
}
