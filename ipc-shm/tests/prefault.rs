//! Page faults: what `prefault` saves, counted by the kernel.
//!
//! Each case counts without it as well, or nothing would show that faults are counted. Seen to fail:
//! without the touching of the sender's memory, of the receiver's, of its private memory, after
//! parts were put together, after a fork in the child and in the parent.

use std::thread;

use ipc_process::fork;
use ipc_shm::{Address, Inherit, Receiver, Sender, ShmOptions, ShmReceiver, ShmSender};
use nix::sys::resource::{UsageWho, getrusage};

/// Both mappings of the records are this long, in each half.
const CAPACITY: usize = 4 << 20;
const LONGEST: usize = 1 << 20;
/// What the other kinds of memory may take: the stack grows, say.
const FEW: i64 = 10;
/// The kernel enters several pages at a fault, sixteen unless told otherwise.
#[expect(clippy::cast_possible_wrap)]
const MANY: i64 = CAPACITY as i64 / 4096 / 64;

/// Without and with prefault, and the latter for an untrusted peer too.
fn kinds() -> [ShmOptions; 3] {
    let plain = ShmOptions::new().capacity(CAPACITY);
    let prefault = plain.clone().prefault();
    [plain, prefault.clone(), prefault.untrusted()]
}

/// Lengths of messages that fill the ring more than once, and run over its end. A long one shows
/// where a message is copied to.
fn lens() -> impl Iterator<Item = usize> {
    (7000..7000 + 3 * CAPACITY / 8000).chain([LONGEST])
}

/// The page faults that `run` takes.
fn faults(run: impl FnOnce()) -> i64 {
    let faults = || {
        getrusage(UsageWho::RUSAGE_SELF)
            .unwrap()
            .minor_page_faults()
    };
    let before = faults();
    run();
    faults() - before
}

/// Sends and receives through the whole ring; returns the page faults of both.
fn use_up(tx: &mut ShmSender, rx: &mut ShmReceiver) -> i64 {
    let msg = vec![7; LONGEST];
    faults(|| {
        for len in lens() {
            tx.send(&msg[..len]).unwrap();
            assert!(rx.recv().unwrap() == &msg[..len]);
        }
    })
}

/// What is counted has been in use before: code, heap and stack.
fn warm_up(options: &ShmOptions) {
    let (mut tx, mut rx) = options.clone().prefault().channel().unwrap();
    use_up(&mut tx, &mut rx);
}

fn check(options: &ShmOptions, faults: i64) {
    println!("{faults} faults");
    if format!("{options:?}").contains("prefault: true") {
        assert!(faults < FEW, "{faults}, {options:?}");
    } else {
        assert!(faults >= MANY, "{faults}: nothing is shown");
    }
}

fn no_message_meets_a_page_fault() {
    for options in kinds() {
        warm_up(&options);
        let (mut tx, mut rx) = options.channel().unwrap();
        check(&options, use_up(&mut tx, &mut rx));
    }
}

/// Each half by itself; those of an untrusted ring have no parts.
fn nor_after_parts_were_put_together() {
    for options in &kinds()[..2] {
        warm_up(options);
        let (tx, mut rx) = options.channel().unwrap();
        let (fds, state) = tx.into_parts().unwrap();
        let mut tx = ShmSender::from_parts(fds, &state).unwrap();
        check(options, use_up(&mut tx, &mut rx));
        let (fds, state) = rx.into_parts().unwrap();
        let mut rx = ShmReceiver::from_parts(fds, &state).unwrap();
        check(options, use_up(&mut tx, &mut rx));
    }
}

fn nor_after_an_attachment() {
    let address: Address = format!("@ipc-shm-prefault-{}", std::process::id())
        .parse()
        .unwrap();
    for options in kinds() {
        warm_up(&options);
        let listener = options.listen(&address).unwrap();
        let server = thread::spawn(move || listener.accept().unwrap());
        let (mut tx, _there) = options.connect(&address).unwrap().split();
        let (_back, mut rx) = server.join().unwrap().split();
        check(&options, use_up(&mut tx, &mut rx));
    }
}

/// A fork copies no page table of shared memory.
fn nor_in_a_forked_child() {
    for options in kinds() {
        let ends = options.channel().unwrap();
        let (child, ()) = fork(((), ends), move |(mut tx, mut rx)| {
            warm_up(&options); // the rest was copied by the fork, and is written to again
            check(&options, use_up(&mut tx, &mut rx));
        })
        .unwrap();
        child.join().unwrap();
    }
}

/// A fork makes private memory copy-on-write, also that of the end that stays.
fn nor_in_who_forked_it() {
    for options in kinds() {
        let (tx, rx) = options.channel().unwrap();
        let (child, mut rx) = fork((rx, tx), |mut tx: ShmSender| {
            let msg = vec![7; LONGEST];
            lens().for_each(|len| tx.send(&msg[..len]).unwrap());
        })
        .unwrap();
        warm_up(&options);
        let met = faults(|| lens().for_each(|len| assert_eq!(rx.recv().unwrap().len(), len)));
        check(&options, met);
        child.join().unwrap();
    }
}

ipc_core::cases! {
    no_message_meets_a_page_fault,
    nor_after_parts_were_put_together,
    nor_after_an_attachment,
    nor_in_a_forked_child,
    nor_in_who_forked_it,
}
