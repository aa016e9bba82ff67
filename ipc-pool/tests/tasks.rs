//! Tasks, answers, deaths: what a submission promises.

mod support;

use std::sync::Barrier;
use std::time::Duration;

use ipc_core::{Receiver, Sender};
use ipc_pool::{Error, Handle, Pool, Transport};
use nix::sys::signal::Signal;
use support::send;

fn upper(workers: usize, transport: Transport) -> Handle {
    let pool = Pool::new(workers).transport(transport);
    pool.on_task(|task| task.payload().to_ascii_uppercase())
        .start()
        .unwrap()
}

fn kill_worker(pool: &Handle, worker: usize) -> u32 {
    let status = pool.status();
    let pid = status
        .workers
        .iter()
        .find(|one| one.id == worker)
        .unwrap()
        .pid;
    send(pid, Signal::SIGKILL);
    pid
}

fn an_answer_comes_back() {
    for transport in [Transport::Shm, Transport::Unix] {
        let pool = upper(1, transport);
        assert_eq!(pool.submit_and_wait(b"hello").unwrap(), b"HELLO");
        assert_eq!(pool.submit_and_wait(b"").unwrap(), b"");
        assert!(pool.stop().unwrap().is_empty());
    }
}

fn many_tickets_in_any_order() {
    for transport in [Transport::Shm, Transport::Unix] {
        let pool = upper(3, transport);
        let texts: Vec<String> = (0..10_000).map(|n| format!("task {n}")).collect();
        let tickets = pool.submit_many(&texts).unwrap();
        for (ticket, text) in tickets.into_iter().zip(&texts).rev() {
            assert_eq!(ticket.wait().unwrap(), text.to_uppercase().as_bytes());
        }
        let status = pool.status();
        assert_eq!((status.done, status.depth, status.leased), (10_000, 0, 0));
        assert_eq!(
            status
                .workers
                .iter()
                .map(|worker| worker.tasks)
                .sum::<u64>(),
            10_000
        );
        pool.stop().unwrap();
    }
}

fn several_threads_submit_and_wait() {
    for transport in [Transport::Shm, Transport::Unix] {
        let pool = upper(2, transport);
        let all = Barrier::new(3); // in each round the last to sleep has nobody left to wake him
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    for n in 0..5_000 {
                        all.wait();
                        let text = format!("x{n}");
                        let answer = pool.submit_and_wait(text.as_bytes()).unwrap();
                        assert_eq!(answer, text.to_uppercase().as_bytes());
                    }
                });
            }
        });
        pool.stop().unwrap();
    }
}

fn errors_and_panics_are_answers() {
    let pool = Pool::new(1).on_task(|task| match task.payload() {
        b"error" => Err("no such thing"),
        b"panic" => panic!("at the disco"),
        other => Ok(other.to_vec()),
    });
    let pool = pool.start().unwrap();
    let said = |payload: &[u8]| pool.submit_and_wait(payload).unwrap_err().to_string();
    assert!(said(b"error").ends_with("no such thing"));
    assert!(said(b"panic").ends_with("panicked: at the disco"));
    assert_eq!(pool.submit_and_wait(b"fine").unwrap(), b"fine");
    assert_eq!(pool.status().failed, 2);
}

fn a_state_is_made_anew_after_a_panic() {
    let pool = Pool::new(1).on_task_with(
        |_| Ok::<_, String>(vec![0u8; 2]),
        |state, task| match task.payload() {
            b"panic" => {
                state.clear(); // one half of a change
                panic!("in the middle of it");
            }
            b"error" => Err("an error, and a sound state".to_string()),
            _ => {
                state[0] += 1;
                Ok(state.clone())
            }
        },
    );
    let pool = pool.start().unwrap();
    assert_eq!(pool.submit_and_wait(b"").unwrap(), [1, 0]);
    pool.submit_and_wait(b"error").unwrap_err();
    assert_eq!(pool.submit_and_wait(b"").unwrap(), [2, 0]);
    pool.submit_and_wait(b"panic").unwrap_err();
    assert_eq!(pool.submit_and_wait(b"").unwrap(), [1, 0]);
    assert_eq!(pool.status().restarts, 0);
}

fn who_cannot_make_it_anew_is_replaced() {
    let mut made = 0;
    let pool = Pool::new(1).on_worker_exit(|_| {}).on_task_with(
        move |_| {
            made += 1;
            if made == 1 {
                Ok(())
            } else {
                Err("no database")
            }
        },
        |(), task| {
            assert_ne!(task.payload(), b"panic");
            task.attempt().to_string()
        },
    );
    let pool = pool.start().unwrap();
    let panics = pool.submit(b"panic").unwrap();
    let next = pool.submit(b"next").unwrap();
    assert!(matches!(panics.wait(), Err(Error::Task { .. })));
    assert_eq!(next.wait().unwrap(), b"1");
    assert_eq!(pool.status().restarts, 1);
}

fn what_is_too_large_is_refused() {
    let pool = Pool::new(1).max_len(1000);
    let pool = pool
        .on_task(|task| vec![0; task.payload().len() * 2])
        .start()
        .unwrap();
    assert!(matches!(
        pool.submit(&[0; 1001]),
        Err(Error::TooLarge {
            len: 1001,
            max: 1000
        })
    ));
    assert_eq!(pool.submit_and_wait(&[0; 500]).unwrap().len(), 1000);
    let error = pool.submit_and_wait(&[0; 1000]).unwrap_err();
    assert!(error.to_string().contains("2000"), "{error}");
}

fn a_given_worker_gets_its_tasks() {
    let pool = Pool::new(3).on_task(|task| task.worker().id().to_string());
    let pool = pool.start().unwrap();
    for worker in [2, 0, 1, 1] {
        let answer = pool.submit_to(worker, b"").unwrap().wait().unwrap();
        assert_eq!(answer, worker.to_string().as_bytes());
    }
    let error = pool.submit_to(3, b"").unwrap_err();
    assert!(matches!(
        error,
        Error::UnknownWorker {
            worker: 3,
            workers: 3
        }
    ));
}

fn killed_workers_lose_nothing() {
    for transport in [Transport::Shm, Transport::Unix] {
        let pool = Pool::new(2).transport(transport).on_worker_exit(|_| {});
        let pool = pool.max_kills(100).on_task(|task| {
            std::thread::sleep(Duration::from_micros(100));
            task.payload().to_vec()
        });
        let pool = pool.start().unwrap();
        let tickets = pool
            .submit_many((0..3000).map(|n: u32| n.to_le_bytes()))
            .unwrap();
        for n in 0..20 {
            std::thread::sleep(Duration::from_millis(3));
            kill_worker(&pool, n % 2);
            let is_replaced = |status: &ipc_pool::Status| {
                let ready = status.workers.iter().filter(|one| one.is_ready);
                status.restarts > n as u64 && ready.count() == 2
            };
            while !is_replaced(&pool.status()) {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        for (n, ticket) in (0..3000u32).zip(tickets) {
            assert_eq!(ticket.wait().unwrap(), n.to_le_bytes());
        }
        let status = pool.status();
        assert_eq!((status.done, status.restarts), (3000, 20));
        assert_eq!(status.stale, 0);
    }
}

fn poison_is_quarantined_with_its_history() {
    let pool = Pool::new(2).on_worker_exit(|_| {}).on_task(|task| {
        if task.payload() == b"poison" {
            std::process::abort();
        }
        task.attempt().to_string()
    });
    let pool = pool.start().unwrap();
    let before = pool.submit(b"before").unwrap();
    let poison = pool.submit(b"poison").unwrap();
    let after = pool.submit(b"after").unwrap();
    let id = poison.id();
    assert!(matches!(poison.wait(), Err(Error::Quarantined { id: one }) if one == id));
    assert_eq!(before.wait().unwrap(), b"1");
    assert_eq!(after.wait().unwrap(), b"1"); // it was not running when its worker died
    let kept = pool.quarantined();
    assert_eq!(
        (kept[0].id, &kept[0].payload[..], kept[0].history.len()),
        (id, &b"poison"[..], 3)
    );
}

fn exit_in_a_handler_is_a_death() {
    let pool = Pool::new(1).on_task(|task| {
        if task.attempt() == 1 {
            std::process::exit(0);
        }
        "second attempt"
    });
    let pool = pool.start().unwrap();
    assert_eq!(pool.submit_and_wait(b"").unwrap(), b"second attempt");
}

/// A pool of one worker, each of whose tasks takes until a message comes.
fn held(pool: Pool) -> (Handle, impl FnMut()) {
    let (mut go, mut on) = ipc_socket::channel().unwrap();
    let pool = pool.on_task(move |_| on.recv().map(drop)).start().unwrap();
    (pool, move || go.send(b"").unwrap())
}

fn a_full_pool_makes_submitters_wait() {
    let (pool, mut go_on) = held(Pool::new(1).capacity(2));
    let first = pool.submit(b"").unwrap();
    let second = pool.submit(b"").unwrap();
    assert!(matches!(pool.try_submit(b""), Err(Error::WouldBlock)));
    let soon = Duration::from_millis(1);
    assert!(matches!(
        pool.submit_timeout(b"", soon),
        Err(Error::TimedOut)
    ));
    go_on();
    let third = pool.submit(b"").unwrap();
    go_on();
    go_on();
    for ticket in [first, second, third] {
        ticket.wait().unwrap();
    }
}

fn abandoned_tickets_are_done_all_the_same() {
    let pool = upper(1, Transport::Shm);
    for _ in 0..200_000 {
        drop(pool.submit(b"abandoned").unwrap());
    }
    pool.wait_all().unwrap();
    assert_eq!(pool.status().done, 200_000);
}

fn a_ticket_outlives_a_deadline() {
    let (pool, mut go_on) = held(Pool::new(1));
    let mut ticket = pool.submit(b"").unwrap();
    assert!(matches!(ticket.try_wait(), Err(Error::WouldBlock)));
    assert!(matches!(
        ticket.wait_timeout(Duration::from_millis(1)),
        Err(Error::TimedOut)
    ));
    go_on();
    ticket.wait_timeout(Duration::from_secs(20)).unwrap();
}

ipc_core::cases! {
    an_answer_comes_back, many_tickets_in_any_order, several_threads_submit_and_wait,
    errors_and_panics_are_answers, a_state_is_made_anew_after_a_panic, who_cannot_make_it_anew_is_replaced,
    what_is_too_large_is_refused, a_given_worker_gets_its_tasks,
    killed_workers_lose_nothing, poison_is_quarantined_with_its_history,
    exit_in_a_handler_is_a_death, a_full_pool_makes_submitters_wait,
    abandoned_tickets_are_done_all_the_same, a_ticket_outlives_a_deadline,
}
