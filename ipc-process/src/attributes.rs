//! What a child makes of itself before anything else runs in it.

use std::ffi::CString;
use std::fs::File;
use std::io::{self, Read, Write};

use nix::errno::Errno;
use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::resource::setrlimit;
use nix::unistd::{Gid, Group, Pid, Uid, User, getgrouplist, getpid, setgroups};
use nix::unistd::{setresgid, setresuid};

use crate::{Error, ProcessOptions, Resource, Result, sys};

/// The options, looked up and ready: between fork and exec nothing may be allocated.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Attributes {
    processors: Option<CpuSet>,
    nice: Option<i32>,
    limits: Vec<(nix::sys::resource::Resource, u64)>,
    groups: Option<Vec<Gid>>,
    gid: Option<Gid>,
    uid: Option<Uid>,
    parent_death: Option<(i32, Pid)>,
}

/// The calls, by which a failure is told to the parent.
#[derive(Clone, Copy)]
#[repr(u8)]
enum Step {
    Affinity,
    Nice,
    Limit,
    Groups,
    Group,
    User,
    ParentDeath,
    Ends,
}

const STEPS: [(&str, &str); 8] = [
    ("sched_setaffinity", "affinity"),
    (
        "setpriority",
        "nice: CAP_SYS_NICE gives the child more of the processor",
    ),
    ("setrlimit", "limit: CAP_SYS_RESOURCE raises a hard one"),
    ("setgroups", "user, group: only root may change them"),
    ("setgid", "user, group: only root may change them"),
    ("setuid", "user: only root may change it"),
    ("prctl(PR_SET_PDEATHSIG)", "parent_death"),
    (
        "fcntl",
        "its ends: CommandExt::fd was given the number of one, take a higher",
    ),
];

impl Attributes {
    /// Looks up what has to be looked up.
    pub(crate) fn new(options: &ProcessOptions) -> Result<Self> {
        let (uid, groups, gid) = identity(options)?;
        let limits = options.limits.iter();
        Ok(Attributes {
            processors: options.affinity.as_deref().map(processors).transpose()?,
            nice: options.nice,
            limits: limits.map(|&(one, limit)| (of(one), limit)).collect(),
            groups,
            gid,
            uid,
            parent_death: options.parent_death.map(|signal| (signal, getpid())),
        })
    }

    /// Whether there is nothing to do.
    pub(crate) fn is_plain(&self) -> bool {
        *self == Attributes::default()
    }

    /// Does it all, in the child. The user comes late, since the rest may take root; the parent's
    /// death last, since a change of user makes the kernel forget it.
    pub(crate) fn apply(&self, report: &Report) -> io::Result<()> {
        let me = Pid::from_raw(0);
        let report = |step| move |error: io::Error| report.fail(step, error);
        if let Some(processors) = &self.processors {
            sched_setaffinity(me, processors).map_err(|e| report(Step::Affinity)(e.into()))?;
        }
        if let Some(nice) = self.nice {
            sys::set_nice(nice).map_err(report(Step::Nice))?;
        }
        for &(resource, limit) in &self.limits {
            setrlimit(resource, limit, limit).map_err(|e| report(Step::Limit)(e.into()))?;
        }
        if let Some(groups) = &self.groups {
            setgroups(groups).map_err(|e| report(Step::Groups)(e.into()))?;
        }
        if let Some(gid) = self.gid {
            setresgid(gid, gid, gid).map_err(|e| report(Step::Group)(e.into()))?;
        }
        if let Some(uid) = self.uid {
            setresuid(uid, uid, uid).map_err(|e| report(Step::User)(e.into()))?;
        }
        if let Some((signal, parent)) = self.parent_death {
            sys::set_parent_death(signal, parent).map_err(report(Step::ParentDeath))?;
        }
        Ok(())
    }
}

/// How a child tells its parent which of the steps failed: a pipe that ends with the last one.
#[derive(Debug)]
pub(crate) struct Report(File);

impl Report {
    /// The child's side, and the parent's.
    pub(crate) fn new() -> Result<(Self, File)> {
        let (heard, told) =
            sys::pipe().map_err(|e| Error::os("pipe2", "a new child (limit: RLIMIT_NOFILE)", e))?;
        Ok((Report(told.into()), heard.into()))
    }

    /// The ends could not pass.
    pub(crate) fn ends(&self, error: io::Error) -> io::Error {
        self.fail(Step::Ends, error)
    }

    fn fail(&self, step: Step, error: io::Error) -> io::Error {
        let mut message = [step as u8, 0, 0, 0, 0];
        message[1..].copy_from_slice(&error.raw_os_error().unwrap_or(0).to_ne_bytes());
        let _ = (&self.0).write_all(&message);
        error
    }

    /// Waits for the child's word. The parent's copy of the child's side must be closed.
    pub(crate) fn hear(mut heard: File) -> Result<()> {
        let mut message = [0; 5];
        if heard.read_exact(&mut message).is_err() {
            return Ok(()); // all steps are done, or it was killed: the status will tell
        }
        let [step, error @ ..] = message;
        let error = io::Error::from_raw_os_error(i32::from_ne_bytes(error));
        let (call, option) = STEPS[usize::from(step)];
        Err(Error::os(call, format!("the new child ({option})"), error))
    }
}

fn processors(numbers: &[usize]) -> Result<CpuSet> {
    let mut set = CpuSet::new();
    for &number in numbers {
        let object = || format!("processor {number}, numbered from 0");
        set.set(number)
            .map_err(|e| Error::os("sched_setaffinity", object(), e))?;
    }
    Ok(set)
}

type Identity = (Option<Uid>, Option<Vec<Gid>>, Option<Gid>);

/// User, supplementary groups and group.  getpwnam(3), getgrouplist(3)
fn identity(options: &ProcessOptions) -> Result<Identity> {
    let group = options.group.as_deref().map(group).transpose()?;
    let Some(name) = &options.user else {
        return Ok((None, group.map(|gid| vec![gid]), group));
    };
    let os = |call, e: Errno| Error::os(call, format!("user {name}"), e);
    let unknown = |help: &str| {
        let error = io::Error::new(io::ErrorKind::NotFound, help.to_owned());
        Error::os("getpwnam", format!("user {name}"), error)
    };
    let mut user = User::from_name(name).map_err(|e| os("getpwnam", e))?;
    let number = name.parse().ok().map(Uid::from_raw);
    if let (None, Some(uid)) = (&user, number) {
        user = User::from_uid(uid).map_err(|e| os("getpwuid", e))?;
    }
    match (user, number, group) {
        (Some(user), _, group) => {
            let gid = group.unwrap_or(user.gid);
            let name = CString::new(user.name).unwrap_or_default();
            let groups = getgrouplist(&name, gid).map_err(|e| os("getgrouplist", e))?;
            Ok((Some(user.uid), Some(groups), Some(gid)))
        }
        (None, Some(uid), Some(gid)) => Ok((Some(uid), Some(vec![gid]), Some(gid))),
        (None, Some(_), None) => Err(unknown("a number without a name needs a group, too")),
        (None, None, _) => Err(unknown("there is no such user")),
    }
}

/// A group by name or number.  getgrnam(3)
fn group(name: &str) -> Result<Gid> {
    let os = |error: io::Error| Error::os("getgrnam", format!("group {name}"), error);
    let found = Group::from_name(name).map_err(|e| os(e.into()))?;
    let gid = found.map(|group| group.gid);
    gid.or_else(|| name.parse().ok().map(Gid::from_raw))
        .ok_or_else(|| {
            os(io::Error::new(
                io::ErrorKind::NotFound,
                "there is no such group",
            ))
        })
}

fn of(resource: Resource) -> nix::sys::resource::Resource {
    use nix::sys::resource::Resource as Os;
    match resource {
        Resource::AddressSpace => Os::RLIMIT_AS,
        Resource::Core => Os::RLIMIT_CORE,
        Resource::Cpu => Os::RLIMIT_CPU,
        Resource::FileSize => Os::RLIMIT_FSIZE,
        Resource::LockedMemory => Os::RLIMIT_MEMLOCK,
        Resource::OpenFiles => Os::RLIMIT_NOFILE,
        Resource::Processes => Os::RLIMIT_NPROC,
        Resource::Stack => Os::RLIMIT_STACK,
    }
}
