//! Pairs are made and children with an end of them killed, over and over: nothing accumulates.
//!
//! Seen to fail: a queue, a directory, a descriptor that stays; a child that is killed and not waited for.

use std::fs;
use std::process;

use nix::sys::signal::Signal;

use super::descriptors::{descriptors, mappings};
use super::kill::{Suite, given};
use super::sys;
use crate::{Channel, Inherit, Wait};

/// How often, where the environment says nothing.
const CYCLES: u32 = 100;

impl<C: Channel + Inherit + 'static> Suite<C> {
    /// No descriptor, mapping, child, queue or file is left of so many killed children.
    pub(super) fn cycles(self) {
        let directory = std::env::temp_dir().join(format!("ipc-cycles-{}", process::id()));
        fs::create_dir(&directory).unwrap();
        sys::make_files_in(&directory);
        // Where it has no namespace of its own, other processes' queues are counted, too.
        let alone = sys::own_queues();
        let count = || {
            let files = fs::read_dir(&directory).unwrap().count();
            let queues = if alone { queues() } else { 0 };
            (descriptors(), queues, files)
        };
        (0..4).for_each(|number| self.cycle(number)); // what is made once per process
        let (before, mapped) = (count(), mappings());
        let cycles = given("CYCLES").unwrap_or(CYCLES);
        for number in 0..cycles {
            self.cycle(number);
            assert!(
                !sys::has_children(),
                "a child or zombie after cycle {number}"
            );
        }
        assert_eq!(count(), before, "left after {cycles} cycles");
        let more = mappings().saturating_sub(mapped);
        assert!(more < 20, "{more} more mappings after {cycles} cycles"); // the heap may have grown
        println!("{cycles} children killed, left: nothing (queues counted: {alone})");
        fs::remove_dir(&directory).unwrap();
    }

    /// A child is killed before it begins, in a message, blocked, or after our end is gone.
    fn cycle(self, number: u32) {
        let (a, b) = (self.pair)();
        let (victim, mut a) = self.fork(vec![a], b, |mut end| while end.send(&[7; 100]).is_ok() {});
        match number % 4 {
            0 => {}
            1 => a[0].recv_wait(Wait::Forever).unwrap(),
            2 => {
                a[0].recv_wait(Wait::Forever).unwrap();
                a[0].send(b"never received").unwrap();
            }
            _ => a.clear(),
        }
        victim.signal(Signal::SIGKILL);
    }
}

/// How many queues there are.  `sysvipc(7)`
fn queues() -> usize {
    let table = fs::read_to_string("/proc/sysvipc/msg").unwrap();
    table.lines().skip(1).count()
}
