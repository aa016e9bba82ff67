//! How a child is made.

/// How a child is made: what [`fork`](crate::fork), [`spawn`](crate::spawn) and
/// [`run`](crate::run) do with more to say. All of it is done before anything else runs in the
/// child; if a part fails, the call fails and nothing has run.
///
/// ```
/// use ipc_process::{ProcessOptions, Resource};
///
/// # fn main() -> ipc_process::Result<()> {
/// let (child, ()) = ProcessOptions::new()
///     .affinity([0])
///     .nice(10)
///     .limit(Resource::OpenFiles, 64)
///     .parent_death(libc::SIGKILL)
///     .name("counter")
///     .fork(((), ()), |()| {
///         let name = std::fs::read_to_string("/proc/self/comm").unwrap();
///         assert_eq!(name, "counter\n");
///     })?;
/// child.join()
/// # }
/// ```
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct ProcessOptions {
    pub(crate) affinity: Option<Vec<usize>>,
    pub(crate) nice: Option<i32>,
    pub(crate) limits: Vec<(Resource, u64)>,
    pub(crate) user: Option<String>,
    pub(crate) group: Option<String>,
    pub(crate) parent_death: Option<i32>,
    pub(crate) name: Option<String>,
    pub(crate) redirect: bool,
}

/// What [`ProcessOptions::limit`] limits.  getrlimit(2)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Resource {
    /// `RLIMIT_AS`: the address space, in bytes.
    AddressSpace,
    /// `RLIMIT_CORE`: a core file, in bytes; 0 for none.
    Core,
    /// `RLIMIT_CPU`: processor time, in seconds.
    Cpu,
    /// `RLIMIT_FSIZE`: any file that is written, in bytes.
    FileSize,
    /// `RLIMIT_MEMLOCK`: memory that is locked, in bytes.
    LockedMemory,
    /// `RLIMIT_NOFILE`: one more than the highest descriptor.
    OpenFiles,
    /// `RLIMIT_NPROC`: processes and threads of the user.
    Processes,
    /// `RLIMIT_STACK`: the first thread's stack, in bytes.
    Stack,
}

impl ProcessOptions {
    /// A child like its parent.
    pub fn new() -> Self {
        ProcessOptions::default()
    }

    /// Runs the child on these processors only, numbered from 0.  `sched_setaffinity(2)`
    pub fn affinity(mut self, processors: impl IntoIterator<Item = usize>) -> Self {
        self.affinity = Some(processors.into_iter().collect());
        self
    }

    /// How much of the processor the child leaves to others: from -20, none, to 19, all. Less
    /// than the parent leaves takes `CAP_SYS_NICE`.  setpriority(2)
    pub fn nice(mut self, nice: i32) -> Self {
        self.nice = Some(nice);
        self
    }

    /// Limits what the child may use, for good: the soft and the hard limit are set.  setrlimit(2)
    pub fn limit(mut self, resource: Resource, limit: u64) -> Self {
        self.limits.push((resource, limit));
        self
    }

    /// Runs the child as this user, by name or number, with the user's groups: real, effective and
    /// saved. Takes root.  setuid(2), setgid(2), setgroups(2)
    pub fn user(mut self, user: impl Into<String>) -> Self {
        self.user = Some(user.into());
        self
    }

    /// Runs the child in this group, by name or number: in place of the user's own, or, without
    /// [`user`](Self::user), of all groups that the parent is in. Takes root.  setgid(2), setgroups(2)
    pub fn group(mut self, group: impl Into<String>) -> Self {
        self.group = Some(group.into());
        self
    }

    /// Has the kernel send the child `signal` when its parent dies, of SIGKILL even. A parent that
    /// has died meanwhile is noticed.
    ///
    /// The parent is the *thread* that starts the child: in a program with several, one that ends
    /// takes its children with it, so start them on a thread that lives. The child's own children
    /// do not inherit it.  `PR_SET_PDEATHSIG(2const)`
    pub fn parent_death(mut self, signal: i32) -> Self {
        self.parent_death = Some(signal);
        self
    }

    /// What the child is called in lists of processes: see [`set_name`](crate::set_name). Another
    /// program finds it as its argument 0.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Makes the child's stdin, stdout and stderr pipes, whose other ends are in
    /// [`Child`](crate::Child): the fields `stdin`, `stdout` and `stderr`.
    pub fn redirect(mut self) -> Self {
        self.redirect = true;
        self
    }
}
