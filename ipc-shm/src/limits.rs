//! What is looked at before memory is taken: limits that the kernel would answer for by a signal.

use std::path::{Path, PathBuf};
use std::{fs, io};

use nix::sys::resource::{Resource, getrlimit};

/// Memory of this size or more is taken only after a look at how much is left: the look takes as long
/// as taking less does.
const LARGE: usize = 4 << 20;

/// Whether `len` bytes of shared memory can be had.
///
/// # Errors
///
/// What the limit is, and what to do, where the kernel would send SIGXFSZ, or kill for want of memory.
pub(crate) fn check(len: usize) -> io::Result<()> {
    let len = len as u64;
    let (soft, _) = getrlimit(Resource::RLIMIT_FSIZE)?;
    if len > soft {
        let reason = format!("RLIMIT_FSIZE is {soft} bytes; raise it, or ask for less capacity");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, reason));
    }
    if len < LARGE as u64 {
        return Ok(());
    }
    // Two page tables of 8 bytes a page and mapping, and what the kernel keeps about a page.
    let needed = len + len / 32;
    let left = [available(), cgroup(Path::new("/"))];
    match left.into_iter().flatten().find(|left| left.bytes < needed) {
        None => Ok(()),
        Some(Left { bytes, limit }) => {
            let reason = format!("{limit} leaves {bytes} bytes; ask for less capacity");
            Err(io::Error::new(io::ErrorKind::OutOfMemory, reason))
        }
    }
}

/// How much memory somebody leaves.
struct Left {
    bytes: u64,
    limit: String,
}

/// What can be had without swapping.  `proc_meminfo(5)`
fn available() -> Option<Left> {
    let kib = field(&fs::read_to_string("/proc/meminfo").ok()?, "MemAvailable:")?;
    Some(Left {
        bytes: kib * 1024,
        limit: "the machine (MemAvailable)".into(),
    })
}

/// What the strictest of this process's memory cgroups leaves.  cgroups(7)
fn cgroup(root: &Path) -> Option<Left> {
    let groups = fs::read_to_string(root.join("proc/self/cgroup")).ok()?;
    let groups = groups.lines().filter_map(|line| {
        let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
        let version = match controllers {
            "" => &V2,
            _ => controllers
                .split(',')
                .any(|one| one == "memory")
                .then_some(&V1)?,
        };
        Some((version, path))
    });
    let left = groups.flat_map(|(version, path)| {
        let top = root.join(version.mounted);
        let group = top.join(path.trim_start_matches('/'));
        // A container may see the path of its host, and its own group at the top.
        let groups: Vec<PathBuf> = group.ancestors().map(Path::to_owned).collect();
        let inside = groups
            .into_iter()
            .take_while(move |group| group.starts_with(&top));
        inside.filter_map(|group| version.left(&group))
    });
    left.min_by_key(|left| left.bytes)
}

/// How a version of cgroups calls things.
struct Version {
    mounted: &'static str,
    max: &'static str,
    current: &'static str,
    /// What is reclaimed before anybody is killed.
    cache: [&'static str; 2],
}

/// Documentation/admin-guide/cgroup-v2.rst
const V2: Version = Version {
    mounted: "sys/fs/cgroup",
    max: "memory.max",
    current: "memory.current",
    cache: ["active_file", "inactive_file"],
};

/// Documentation/admin-guide/cgroup-v1/memory.rst
const V1: Version = Version {
    mounted: "sys/fs/cgroup/memory",
    max: "memory.limit_in_bytes",
    current: "memory.usage_in_bytes",
    cache: ["total_active_file", "total_inactive_file"],
};

impl Version {
    /// What `group` leaves, if it has a limit.
    fn left(&self, group: &Path) -> Option<Left> {
        let read = |file| fs::read_to_string(group.join(file)).ok();
        let number = |file| read(file)?.trim().parse::<u64>().ok();
        let max = number(self.max)?; // "max" is none
        let stat = read("memory.stat")?;
        let cache = self
            .cache
            .iter()
            .filter_map(|name| field(&stat, name))
            .sum();
        let used = number(self.current)?.saturating_sub(cache);
        Some(Left {
            bytes: max.saturating_sub(used),
            limit: format!("{} ({max})", group.join(self.max).display()),
        })
    }
}

/// The number behind a name at the start of a line.
fn field(text: &str, name: &str) -> Option<u64> {
    let mut lines = text.lines().map(str::split_whitespace);
    lines.find_map(|mut words| (words.next()? == name).then(|| words.next()?.parse().ok())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A root directory with these files, removed when dropped.
    struct Root(PathBuf);

    impl Root {
        fn new(name: &str, files: &[(&str, &str)]) -> Self {
            let name = format!("ipc-shm-{name}-{}", std::process::id());
            let root = Root(std::env::temp_dir().join(name));
            for (path, text) in files {
                let path = root.0.join(path);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, text).unwrap();
            }
            root
        }

        fn left(&self) -> Option<(u64, String)> {
            let left = cgroup(&self.0)?;
            Some((left.bytes, left.limit.replace(self.0.to_str().unwrap(), "")))
        }
    }

    impl Drop for Root {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.0).unwrap();
        }
    }

    const STAT: &str = "anon 5\nfile 99\ninactive_file 30\nactive_file 20\n";

    #[test]
    #[cfg_attr(miri, ignore)] // it makes files
    fn the_strictest_group_counts() {
        let root = Root::new(
            "v2",
            &[
                ("proc/self/cgroup", "0::/app/worker\n"),
                ("sys/fs/cgroup/app/worker/memory.max", "max\n"),
                ("sys/fs/cgroup/app/worker/memory.current", "100\n"),
                ("sys/fs/cgroup/app/worker/memory.stat", STAT),
                ("sys/fs/cgroup/app/memory.max", "1000\n"),
                ("sys/fs/cgroup/app/memory.current", "400\n"),
                ("sys/fs/cgroup/app/memory.stat", STAT),
                ("sys/fs/cgroup/memory.max", "2000\n"),
                ("sys/fs/cgroup/memory.current", "500\n"),
                ("sys/fs/cgroup/memory.stat", STAT),
            ],
        );
        let limit = "/sys/fs/cgroup/app/memory.max (1000)";
        assert_eq!(root.left(), Some((1000 - 400 + 50, limit.to_owned())));
    }

    /// Its own group is mounted at the top, and its path is another.
    #[test]
    #[cfg_attr(miri, ignore)] // it makes files
    fn a_container_finds_its_own_group() {
        let stat = "cache 1\ntotal_inactive_file 3\ntotal_active_file 4\n";
        let root = Root::new(
            "v1",
            &[
                (
                    "proc/self/cgroup",
                    "9:cpu,cpuacct:/c/1\n4:memory:/c/1\n0::/c/1\n",
                ),
                ("sys/fs/cgroup/memory/memory.limit_in_bytes", "50\n"),
                ("sys/fs/cgroup/memory/memory.usage_in_bytes", "60\n"),
                ("sys/fs/cgroup/memory/memory.stat", stat),
            ],
        );
        let limit = "/sys/fs/cgroup/memory/memory.limit_in_bytes (50)";
        assert_eq!(root.left(), Some((0, limit.to_owned())));
    }

    #[test]
    #[cfg_attr(miri, ignore)] // it makes files
    fn without_groups_there_is_no_limit() {
        for text in ["", "0::/\n", "nonsense\n0:\n::::\n", "0::/../..\n"] {
            let root = Root::new("none", &[("proc/self/cgroup", text)]);
            assert_eq!(root.left(), None, "{text}");
        }
    }
}
