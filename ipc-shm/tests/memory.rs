//! Memory that cannot be had: an error when the ring is made, which names the limit, and never a
//! signal, then or later.
//!
//! Seen to fail by a signal: without the check of `RLIMIT_FSIZE` (SIGXFSZ), of the cgroup (SIGKILL),
//! with memory that is sized and not allocated (SIGKILL at its first use in the cgroup).

use std::fs;
use std::path::{Path, PathBuf};

use ipc_core::conformance::skip;
use ipc_process::fork;
use ipc_shm::{Receiver, Result, Sender as _, ShmOptions};
use nix::sys::resource::{Resource, setrlimit};

const MIB: usize = 1 << 20;

/// Makes a ring, and goes through all of it.
fn make_and_use(capacity: usize) -> Result<()> {
    let (mut tx, mut rx) = ShmOptions::new().capacity(capacity).channel()?;
    for round in 1..5 {
        let mut loan = tx.loan(tx.max_len())?; // which takes no other memory
        loan.iter_mut().step_by(1000).for_each(|byte| *byte = round);
        loan.send();
        assert!(rx.recv()?.iter().step_by(1000).all(|byte| *byte == round));
    }
    Ok(())
}

/// Rings of all these sizes: the small ones can be had, the large ones are an error that names the
/// limit.
fn sweep(capacities: impl IntoIterator<Item = usize>, limit: &str) {
    let (mut made, mut refused) = (0, 0);
    for capacity in capacities {
        match make_and_use(capacity) {
            Ok(()) => made += 1,
            Err(error) => {
                let text = error.to_string();
                assert!(text.contains(limit), "{text}");
                refused += 1;
            }
        }
    }
    println!("{made} made, {refused} refused");
    assert!(made > 0 && refused > 0);
}

fn files_may_be_no_longer() {
    setrlimit(Resource::RLIMIT_FSIZE, MIB as u64, MIB as u64).unwrap();
    sweep((0..=2 * MIB).step_by(4096), "RLIMIT_FSIZE is 1048576 bytes");
}

fn there_are_no_more_addresses() {
    let statm = fs::read_to_string("/proc/self/statm").unwrap();
    let pages: usize = statm.split_whitespace().next().unwrap().parse().unwrap();
    let limit = (pages * 4096 + 32 * MIB) as u64;
    setrlimit(Resource::RLIMIT_AS, limit, limit).unwrap();
    sweep(
        (0..10)
            .map(|power| 4096 << power)
            .chain([16 * MIB, 64 * MIB, 1024 * MIB]),
        "mmap on",
    );
}

/// A memory cgroup with a limit, of this name.
struct Group(PathBuf);

impl Group {
    fn new(limit: usize) -> Self {
        let (top, file) = if Path::new("/sys/fs/cgroup/memory").exists() {
            ("/sys/fs/cgroup/memory", "memory.limit_in_bytes")
        } else {
            ("/sys/fs/cgroup", "memory.max")
        };
        let group = Group(Path::new(top).join(format!("ipc-shm-test-{}", std::process::id())));
        let made = fs::create_dir(&group.0);
        if made.is_err() || fs::write(group.0.join(file), limit.to_string()).is_err() {
            skip("no memory cgroup can be made here");
        }
        group
    }

    fn enter(&self) {
        let pid = std::process::id().to_string();
        fs::write(self.0.join("cgroup.procs"), pid).unwrap();
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
    }
}

fn a_cgroup_has_no_more() {
    let group = Group::new(48 * MIB);
    let path = group.0.clone();
    let (child, ()) = fork(((), ()), |()| {
        group.enter();
        sweep((1..80).step_by(3).map(|mib| mib * MIB), "leaves");
        sweep([16 * MIB, 64 * MIB], &format!("{}", group.0.display()));
    })
    .unwrap();
    let done = child.join();
    drop(Group(path));
    done.unwrap();
}

ipc_core::cases! {
    files_may_be_no_longer,
    there_are_no_more_addresses,
    a_cgroup_has_no_more,
}
