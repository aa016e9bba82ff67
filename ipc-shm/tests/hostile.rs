//! A peer that scribbles over all that it can write, while the other side goes on: processes, the
//! real memory, and no manners. `HOSTILE` in the environment is the number of peers of each kind (20
//! unless given); given, it also turns the promised time into an assertion.
//!
//! The ring's guards are broken one by one in `src/ring/hostile/tests.rs`. Seen to fail here: with
//! the message lent where the peer writes it (`a_sender_that_scribbles`), without the check of a
//! header's length (the same), without that of an index (`a_receiver_that_scribbles`), and without the seal
//! against future writers (`nobody_takes_pages_away`).
#![allow(unsafe_code)] // the peer's way to its own memory

use std::fs::{self, File};
use std::num::NonZeroUsize;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use std::{env, slice};

use ipc_process::{Child, fork};
use ipc_shm::{Error, Inherit, Receiver, Result, Sender, ShmOptions, ShmReceiver, ShmSender, Wait};
use nix::fcntl::{FallocateFlags, fallocate};
use nix::sys::mman::{MmapAdvise, madvise};

const DEADLINE: Duration = Duration::from_millis(5);
const PROMISED: Duration = Duration::from_millis(100);
const PATIENCE: Duration = Duration::from_secs(20);
/// What tells a header from none.
const PUBLISHED: u64 = 1 << 63;

/// Marsaglia, "Xorshift RNGs"
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() >> 8).unwrap() % bound
    }

    /// Anything at all, and what is almost right.
    fn word(&mut self) -> u64 {
        match self.below(6) {
            0 => self.next(),
            1 => 1 << self.below(64),
            2 => self.below(9000) as u64,
            3 => self.below(9000) as u64 * 8,
            4 => PUBLISHED | self.below(2100) as u64,
            _ => PUBLISHED | (1 << self.below(63)),
        }
    }
}

/// The memory that a half writes, by the words: its first mapping that can be written.
fn own_words(half: &impl Inherit, which: usize) -> &'static [AtomicU64] {
    let inode = memory(half, which).metadata().unwrap().ino().to_string();
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let mine = |line: &&str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        fields[1] == "rw-s" && fields[2] == "00000000" && fields[4] == inode
    };
    let line = maps.lines().find(mine).expect("it is mapped writable");
    let (start, rest) = line.split_once('-').unwrap();
    let end = rest.split(' ').next().unwrap();
    let [start, end] = [start, end].map(|text| usize::from_str_radix(text, 16).unwrap());
    let first = std::ptr::with_exposed_provenance(start);
    // SAFETY: the mapping is there until the half is dropped, which the callers outlive not, and is
    // touched atomically through this slice.
    unsafe { slice::from_raw_parts(first, (end - start) / 8) }
}

const DATA: usize = 0;
const CONTROL: usize = 1;

fn memory(half: &impl Inherit, which: usize) -> File {
    let mut files = Vec::new();
    half.fds(&mut |fd| files.push(File::from(fd.try_clone_to_owned().unwrap())));
    files.swap_remove(which)
}

/// What the survivor's calls came to.
#[derive(Debug, Default)]
struct Tally {
    done: u64,
    late: u64,
    malformed: u64,
}

impl Tally {
    /// A call with a deadline, or with none to wait for; true if the ring serves on.
    fn call(&mut self, wait: Duration, call: impl FnOnce(Wait) -> Result<()>) -> bool {
        let limit = env::var_os("HOSTILE").map_or(PATIENCE, |_| PROMISED);
        let start = Instant::now();
        let wait = if wait.is_zero() {
            Wait::Never
        } else {
            wait.into()
        };
        let came_to = call(wait);
        let took = start.elapsed();
        assert!(took < DEADLINE + limit, "a call of {wait:?} took {took:?}");
        match came_to {
            Ok(()) => self.done += 1,
            Err(Error::TimedOut | Error::WouldBlock) => self.late += 1,
            Err(Error::Malformed { .. }) => {
                self.malformed += 1;
                return false;
            }
            Err(error) => panic!("{error}"),
        }
        true
    }
}

fn peers() -> u64 {
    let peers = env::var("HOSTILE").map(|text| text.parse());
    peers.unwrap_or(Ok(20)).expect("a number of peers")
}

fn options() -> ShmOptions {
    ShmOptions::new().capacity(1).untrusted()
}

/// How long a peer is borne with; a rough one spoils its ring before that.
fn calls(peer: u64) -> u32 {
    if peer % 2 == 0 { 1000 } else { 200_000 }
}

/// One ring is spoilt, and the next one is none the worse.
struct Other(ShmSender, ShmReceiver);

impl Other {
    fn new() -> Self {
        let (tx, rx) = options().channel().unwrap();
        Other(tx, rx)
    }

    fn works(&mut self, number: u64) {
        self.0.try_send(&number.to_le_bytes()).unwrap();
        assert_eq!(self.1.try_recv().unwrap(), number.to_le_bytes());
    }
}

fn end(child: Child) {
    child.kill().unwrap();
    assert!(child.join().is_err());
}

/// Writes headers all over its records, so that one is found wherever the other looks, and sends
/// now and then. A rough one also writes anything.
fn scribble_as_sender(mut tx: ShmSender, peer: u64) -> ! {
    let words = own_words(&tx, DATA);
    let page = words.len() * 8 - tx.capacity();
    let (asked, records) = (&words[0], &words[page / 8..]);
    let mut random = Random(peer + 1);
    let longest = tx.max_len();
    let header = |random: &mut Random| PUBLISHED | random.below(longest + 1) as u64;
    for place in records {
        place.store(header(&mut random), Ordering::Relaxed);
    }
    loop {
        for _ in 0..500 {
            let rough = peer % 2 == 1 && random.below(1000) == 0;
            let word = if rough {
                random.word()
            } else {
                header(&mut random)
            };
            records[random.below(records.len())].store(word, Ordering::Relaxed);
        }
        asked.store(random.word(), Ordering::Relaxed);
        let words = random.below(longest / 8);
        let _ = tx.try_send(&header(&mut random).to_le_bytes().repeat(words));
    }
}

fn a_sender_that_scribbles() {
    let (mut tally, mut other) = (Tally::default(), Other::new());
    for peer in 0..peers() {
        let (tx, rx) = options().channel().unwrap();
        let (child, mut rx) = fork((rx, tx), move |tx| scribble_as_sender(tx, peer)).unwrap();
        let longest = rx.capacity() / 2;
        let check = |message: &[u8]| {
            let first = message.to_vec();
            assert!(first.len() < longest);
            let stays = || std::hint::black_box(message) == first;
            assert!((0..3).all(|_| stays()), "it changes while it is looked at");
        };
        for call in 0..calls(peer) {
            let wait = [Duration::ZERO, DEADLINE][call as usize % 2];
            let goes_on = tally.call(wait, |wait| {
                if call % 3 == 0 {
                    return rx
                        .recv_many(50, wait, &mut |message| check(message))
                        .map(drop);
                }
                rx.recv_wait(wait)?;
                check(rx.message());
                Ok(())
            });
            other.works(peer);
            if !goes_on {
                assert_eq!(rx.message(), b"");
                for wait in [Wait::Never, DEADLINE.into(), Wait::Forever] {
                    assert!(matches!(rx.recv_wait(wait), Err(Error::Malformed { .. })));
                }
                break;
            }
        }
        end(child);
    }
    println!("{tally:?}");
    assert!(tally.done > 0 && tally.malformed > 0);
}

/// Receives, and writes over its index: a gentle one where it may be, a rough one anything.
fn scribble_as_receiver(mut rx: ShmReceiver, peer: u64) -> ! {
    let words = own_words(&rx, CONTROL);
    let (head, asked) = (&words[0], &words[16]);
    let mut random = Random(peer + 1);
    loop {
        let _ = rx.try_recv();
        let found = head.load(Ordering::Relaxed);
        match random.below(8) {
            0..3 => asked.store(random.word(), Ordering::Relaxed),
            3 => {
                let ahead = found.wrapping_add(8 * random.below(600) as u64);
                asked.store(ahead, Ordering::Relaxed);
            }
            // Both seldom, or its sender would hardly send.
            4 if peer % 2 == 1 && random.below(100) == 0 => {
                head.store(random.word(), Ordering::Relaxed);
            }
            5 if peer % 2 == 1 && random.below(100) == 0 => {
                let near = found.wrapping_add(random.below(64) as u64).wrapping_sub(32);
                head.store(near, Ordering::Relaxed);
            }
            _ => {}
        }
    }
}

fn a_receiver_that_scribbles() {
    let (mut tally, mut other) = (Tally::default(), Other::new());
    let mut random = Random(99);
    for peer in 0..peers() {
        let (tx, rx) = options().channel().unwrap();
        let (child, mut tx) = fork((tx, rx), move |rx| scribble_as_receiver(rx, peer)).unwrap();
        let msg = vec![3; tx.max_len()];
        for call in 0..calls(peer) {
            let wait = [Duration::ZERO, DEADLINE][call as usize % 2];
            let len = random.below(if call % 8 == 0 { msg.len() } else { 64 });
            let goes_on = tally.call(wait, |wait| match call % 3 {
                0 => tx.send_many(&[&msg[..len]; 20], wait).map(drop),
                _ => tx.send_wait(&msg[..len], wait),
            });
            other.works(peer);
            if !goes_on {
                // It may hold room that it saw before; then it says so for good.
                while tx.try_send(b"").is_ok() {}
                for wait in [Wait::Never, DEADLINE.into(), Wait::Forever] {
                    assert!(matches!(
                        tx.send_wait(&msg, wait),
                        Err(Error::Malformed { .. })
                    ));
                }
                break;
            }
        }
        end(child);
    }
    println!("{tally:?}");
    assert!(tally.done > 0 && tally.malformed > 0);
}

/// Neither through the descriptor nor through the mapping: a page that is gone can be one that
/// cannot be had again, which is SIGBUS.
fn nobody_takes_pages_away() {
    let (tx, rx) = options().channel().unwrap();
    let ends = [
        (memory(&tx, DATA), own_words(&tx, DATA)),
        (memory(&rx, CONTROL), own_words(&rx, CONTROL)),
    ];
    for (memory, words) in ends {
        let hole = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
        assert_eq!(
            fallocate(memory.as_fd(), hole, 0, 4096),
            Err(nix::Error::EPERM)
        );
        let len = NonZeroUsize::new(words.len() * 8).unwrap();
        let start = NonNull::from(&words[0]).cast();
        // SAFETY: at worst the words become zero.
        let removed = unsafe { madvise(start, len.get(), MmapAdvise::MADV_REMOVE) };
        assert_eq!(removed, Err(nix::Error::EPERM));
    }
}

ipc_core::cases! {
    a_sender_that_scribbles,
    a_receiver_that_scribbles,
    nobody_takes_pages_away,
}
