//! A clock that ticks.

use std::thread;
use std::time::{Duration, Instant};

use ipc_core::{Async, Error, Interest, Select};
use ipc_process::Ticks;

const LONG: Duration = Duration::from_secs(20);
const PERIOD: Duration = Duration::from_millis(10);

fn ticks_come_at_their_times() {
    let start = Instant::now();
    let mut ticks = Ticks::every(PERIOD).unwrap();
    assert!(matches!(ticks.try_recv(), Err(Error::WouldBlock)));
    let mut count = 0;
    while count < 20 {
        count += u32::try_from(ticks.recv().unwrap()).unwrap();
        assert!(
            start.elapsed() >= PERIOD * count,
            "tick {count} comes early"
        );
    }
}

fn who_comes_late_is_told() {
    let mut ticks = Ticks::every(PERIOD).unwrap();
    thread::sleep(PERIOD * 5);
    assert!(ticks.recv().unwrap() >= 5);
    assert!(ticks.recv_timeout(LONG).unwrap() >= 1);
}

fn once_is_once() {
    let mut ticks = Ticks::once(PERIOD).unwrap();
    assert!(matches!(
        ticks.recv_timeout(Duration::ZERO),
        Err(Error::TimedOut)
    ));
    assert_eq!(ticks.recv().unwrap(), 1);
    assert!(matches!(ticks.recv(), Err(Error::Disconnected)));
    assert!(matches!(ticks.try_recv(), Err(Error::Disconnected)));
    assert_eq!(
        Select::new().wait(&mut [&mut ticks], LONG.into()).unwrap(),
        0
    );
    assert_eq!(Ticks::once(Duration::ZERO).unwrap().recv().unwrap(), 1);
    let mut never = Ticks::once(Duration::from_secs(1 << 40)).unwrap();
    assert!(matches!(never.recv_timeout(PERIOD), Err(Error::TimedOut)));
}

fn nothing_is_no_period() {
    let error = Ticks::every(Duration::ZERO).unwrap_err();
    assert!(error.to_string().contains("a period of nothing"), "{error}");
}

fn two_clocks_are_waited_for_together() {
    let (mut fast, mut slow) = (
        Ticks::every(PERIOD).unwrap(),
        Ticks::every(PERIOD * 4).unwrap(),
    );
    let (mut select, mut counts) = (Select::new(), [0, 0]);
    while counts[1] < 3 {
        match select
            .wait(&mut [&mut fast, &mut slow], LONG.into())
            .unwrap()
        {
            0 => counts[0] += fast.try_recv().unwrap(),
            _ => counts[1] += slow.try_recv().unwrap(),
        }
    }
    assert!(counts[0] >= 8, "{counts:?}");
}

fn tokio_is_told() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut ticks = Async::new(Ticks::every(PERIOD).unwrap()).unwrap();
        for _ in 0..5 {
            assert!(
                ticks
                    .async_io(Interest::Read, Ticks::try_recv)
                    .await
                    .unwrap()
                    >= 1
            );
        }
    });
}

ipc_core::cases! {
    ticks_come_at_their_times,
    who_comes_late_is_told,
    once_is_once,
    nothing_is_no_period,
    two_clocks_are_waited_for_together,
    tokio_is_told,
}
