//! The largest numbers: taken as they are meant, or refused.

mod support;

use std::time::Duration;

use ipc_pool::{Error, Pool, Transport};
use support::{are_ready, until};

fn echo(workers: usize) -> Pool {
    Pool::new(workers).on_task(|task| task.payload().to_vec())
}

fn the_largest_numbers_mean_without_limit() {
    let pool = echo(1)
        .grace(Duration::MAX)
        .prefetch(usize::MAX)
        .capacity(usize::MAX)
        .max_kills(usize::MAX)
        .max_tasks(u64::MAX)
        .restart_intensity(usize::MAX, Duration::MAX);
    let pool = pool.start().unwrap();
    pool.reload().unwrap();
    pool.scale(2).unwrap();
    until(&pool, are_ready(2));
    pool.scale(1).unwrap();
    until(&pool, are_ready(1));
    assert_eq!(pool.submit_and_wait(b"there").unwrap(), b"there");
    assert!(pool.stop().unwrap().is_empty());
}

fn what_cannot_be_is_refused() {
    for transport in [Transport::Shm, Transport::Unix] {
        for pool in [echo(1).max_len(usize::MAX), echo(usize::MAX)] {
            let error = pool.transport(transport).start().unwrap_err();
            assert!(matches!(error, Error::Invalid { .. }), "{error}");
        }
    }
    let pool = echo(1).start().unwrap();
    let error = pool.scale(usize::MAX).unwrap_err();
    assert!(matches!(error, Error::Invalid { .. }), "{error}");
    assert_eq!(pool.submit_and_wait(b"there").unwrap(), b"there");
}

ipc_core::cases! {
    the_largest_numbers_mean_without_limit,
    what_cannot_be_is_refused,
}
