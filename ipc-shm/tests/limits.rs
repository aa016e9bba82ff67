//! Sizes and limits: of messages, of the ring, of the process.

use std::time::Duration;

use ipc_shm::{
    Error, Loan, MAX_CAPACITY, Ready, Receiver, Result, Sender, ShmOptions, ShmSender, Spin, Wait,
};
use nix::sys::resource::{Resource, setrlimit};

fn tiny() -> ShmOptions {
    ShmOptions::new().capacity(1)
}

fn page() -> usize {
    let size = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE);
    size.unwrap().unwrap().try_into().unwrap()
}

fn capacity_is_whole_pages() {
    for (asked, pages) in [(0, 1), (1, 1), (page(), 1), (page() + 1, 2)] {
        let (tx, rx) = ShmOptions::new().capacity(asked).channel().unwrap();
        assert_eq!(tx.capacity(), pages * page());
        assert_eq!(rx.capacity(), tx.capacity());
        assert_eq!(tx.max_len(), tx.capacity() / 2 - 16);
    }
}

fn max_len_makes_the_ring_large_enough() {
    for len in [0, 1, 2032, 2033, 1 << 20, (1 << 20) + 1] {
        let (mut tx, mut rx) = tiny().max_len(len).channel().unwrap();
        assert!(tx.max_len() >= len);
        assert!(tx.capacity() < 2 * (len + 16) + page());
        tx.try_send(&vec![7; len]).unwrap();
        assert_eq!(rx.recv().unwrap().len(), len);
    }
    let (tx, _) = ShmOptions::new()
        .max_len(10)
        .capacity(99_999)
        .channel()
        .unwrap();
    assert!(tx.capacity() >= 99_999);
    assert_eq!(ipc_shm::channel().unwrap().0.max_len(), 524_272);
}

/// However the records lie to the ring's end: every length, at every offset.
fn every_length_fits_everywhere() {
    let (mut tx, mut rx) = tiny().channel().unwrap();
    let bytes: Vec<u8> = (0..=255).cycle().take(tx.max_len()).collect();
    for round in 0..3 {
        for len in 0..=tx.max_len() {
            let msg = &bytes[(len + round) % 200..][..len.min(bytes.len() - 200)];
            tx.try_send(msg).unwrap();
            assert_eq!(rx.recv().unwrap(), msg);
        }
    }
}

/// The longest message can be sent while the receiver looks at another one.
fn the_longest_fits_beside_the_one_in_hand() {
    let (mut tx, mut rx) = tiny().channel().unwrap();
    let longest = vec![1; tx.max_len()];
    tx.try_send(&longest).unwrap();
    for _ in 0..1000 {
        let message = rx.recv().unwrap();
        tx.try_send(&longest).unwrap();
        assert!(message == longest);
    }
}

fn one_more_than_the_longest_is_refused() {
    let (mut tx, mut rx) = tiny().channel().unwrap();
    let (max, msg) = (tx.max_len(), vec![0; tx.max_len() + 1]);
    let error = tx.send(&msg).unwrap_err();
    let text = error.to_string();
    assert!(
        matches!(error, Error::TooLarge { len, max: limit, limit: "ring capacity" }
            if (len, limit) == (max + 1, max)),
        "{text}"
    );
    assert!(text.contains("ask for a larger capacity"), "{text}");
    tx.send(b"usable").unwrap();
    assert_eq!(rx.recv().unwrap(), b"usable");
}

fn a_full_ring_holds_what_its_capacity_says() {
    for spin in [Spin::Adaptive, Spin::Never, Spin::Always] {
        let (mut tx, mut rx) = tiny().spin(spin).channel().unwrap();
        // A record each of 16 bytes, and 8 for the header behind the last.
        let count = (tx.capacity() - 8) / 16;
        for _ in 0..count {
            tx.try_send(b"8 bytes.").unwrap();
        }
        assert!(matches!(tx.try_send(b"8 bytes."), Err(Error::WouldBlock)));
        let timeout = Duration::from_millis(20);
        let timed = tx.send_timeout(b"8 bytes.", timeout);
        assert!(matches!(timed, Err(Error::TimedOut)), "{timed:?}");
        tx.try_send(b"").map_or_else(
            |error| assert!(matches!(error, Error::WouldBlock)),
            |()| assert!((page() - 8) % 16 == 8, "half a record was left"),
        );
        for _ in 0..count {
            assert_eq!(rx.recv().unwrap(), b"8 bytes.");
        }
    }
}

/// One that is received makes room by the next receive, and the sender is told through its doorbell.
fn room_is_announced() {
    let (mut tx, mut rx) = tiny().channel().unwrap();
    while tx.try_send(&[0; 500]).is_ok() {}
    assert!(!tx.arm().unwrap());
    let readable = |tx: &ipc_shm::ShmSender| {
        let (fd, interest) = tx.fd();
        ipc_core::poll(fd, interest, Wait::Never).unwrap()
    };
    assert!(!readable(&tx), "no room yet");
    rx.recv().unwrap();
    assert!(!readable(&tx), "in hand");
    rx.recv().unwrap();
    assert!(readable(&tx), "given back");
    assert!(tx.arm().unwrap());
    tx.try_send(&[0; 500]).unwrap();
}

/// A ring in which there is room for many more messages than a sender has patience.
fn a_dead_receiver_is_noticed_before_the_ring_is_full() {
    type Send = fn(&mut ShmSender) -> Result<()>;
    let ways: [Send; 3] = [
        |tx| tx.send(b"12345678"),
        |tx| {
            tx.send_many(&[&b"12345678"[..]; 4], Wait::Forever)
                .map(drop)
        },
        |tx| tx.loan(8).map(Loan::send),
    ];
    for send in ways {
        let (mut tx, mut rx) = ipc_shm::channel().unwrap();
        for _ in 0..5000 {
            send(&mut tx).unwrap();
            rx.recv_many(4, Wait::Never, &mut |_| {}).unwrap(); // which never wants to be woken
        }
        drop(rx);
        let sent = (0..=1024).take_while(|_| send(&mut tx).is_ok()).count();
        assert!(sent <= 1024);
        assert!(matches!(send(&mut tx), Err(Error::Disconnected)));
    }
}

fn a_batch_gives_its_room_back_in_parts() {
    for options in [ShmOptions::new(), ShmOptions::new().untrusted()] {
        let (mut tx, mut rx) = options.channel().unwrap();
        let msg = [0; 1000];
        let mut sent = 0;
        while tx.try_send(&msg).is_ok() {
            sent += 1;
        }
        let mut bytes = 0;
        let each = &mut |taken: &[u8]| {
            bytes += taken.len();
            if bytes == 32_000 {
                // Parts of 16 KiB: one has been given back.
                tx.try_send(taken).unwrap();
            }
        };
        assert_eq!(rx.recv_many(sent, Wait::Never, each).unwrap(), sent);
    }
}

fn a_capacity_over_the_limit_is_an_error_that_names_it() {
    for options in [
        ShmOptions::new().capacity(MAX_CAPACITY + 1),
        ShmOptions::new().capacity(usize::MAX),
        ShmOptions::new().max_len(usize::MAX),
        ShmOptions::new().max_len(MAX_CAPACITY / 2),
    ] {
        let text = options.channel().unwrap_err().to_string();
        assert!(text.contains("MAX_CAPACITY"), "{text}");
        assert!(options.pair().is_err());
    }
}

/// Else the kernel would send SIGXFSZ.
fn a_capacity_over_rlimit_fsize_is_an_error_that_names_it() {
    setrlimit(Resource::RLIMIT_FSIZE, 1 << 20, 1 << 20).unwrap();
    let text = ShmOptions::new()
        .capacity(1 << 20)
        .channel()
        .unwrap_err()
        .to_string();
    assert!(text.contains("RLIMIT_FSIZE is 1048576 bytes"), "{text}");
    let (mut tx, mut rx) = ShmOptions::new().capacity(100_000).channel().unwrap();
    tx.send(b"small enough").unwrap();
    assert_eq!(rx.recv().unwrap(), b"small enough");
}

fn no_address_space_is_an_error() {
    let used = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: usize = used.split_whitespace().next().unwrap().parse().unwrap();
    let limit = (pages * page() + (32 << 20)) as u64;
    setrlimit(Resource::RLIMIT_AS, limit, limit).unwrap();
    let error = ShmOptions::new().capacity(64 << 20).channel().unwrap_err();
    assert!(error.to_string().starts_with("mmap on"), "{error}");
    ipc_shm::channel().unwrap();
}

/// Wherever in the making of a pair the descriptors end.
fn no_descriptors_is_an_error_and_leaks_none() {
    let count = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let before = count();
    let mut refused = 0;
    for limit in 3.. {
        setrlimit(Resource::RLIMIT_NOFILE, limit, 1024).unwrap();
        match ipc_shm::pair() {
            Ok(_) => break,
            Err(error) => {
                let text = error.to_string();
                assert!(text.contains("Too many open files"), "{text}");
                refused += 1;
            }
        }
    }
    assert!(refused >= 16, "a pair takes 16 descriptors");
    setrlimit(Resource::RLIMIT_NOFILE, 1024, 1024).unwrap();
    assert_eq!(count(), before);
}

ipc_core::cases! {
    capacity_is_whole_pages,
    max_len_makes_the_ring_large_enough,
    every_length_fits_everywhere,
    the_longest_fits_beside_the_one_in_hand,
    one_more_than_the_longest_is_refused,
    a_full_ring_holds_what_its_capacity_says,
    room_is_announced,
    a_dead_receiver_is_noticed_before_the_ring_is_full,
    a_batch_gives_its_room_back_in_parts,
    a_capacity_over_the_limit_is_an_error_that_names_it,
    a_capacity_over_rlimit_fsize_is_an_error_that_names_it,
    no_address_space_is_an_error,
    no_descriptors_is_an_error_and_leaks_none,
}
