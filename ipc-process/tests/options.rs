//! What the options do, in forked, spawned and foreign children alike.

#[allow(dead_code, unreachable_pub, unused_imports)]
#[path = "support/mod.rs"]
mod ipc_pipe;
#[path = "support/root.rs"]
mod root;

use std::fs;
use std::io::{Read, Write};
use std::process::Command;

use ipc_pipe::{Receiver, Sender};
use ipc_process::{Error, ProcessOptions, Resource, set_name};
use nix::errno::Errno;
use nix::sys::wait::waitpid;
use root::root_only;

/// What a child says of itself.
fn status((): ()) {
    print!("{}", fs::read_to_string("/proc/self/status").unwrap());
    print!("{}", fs::read_to_string("/proc/self/limits").unwrap());
    println!("nice {}", field("/proc/self/stat", 19));
}

/// A field of `proc_pid_stat(5)`, numbered as there.
fn field(path: &str, number: usize) -> String {
    let stat = fs::read_to_string(path).unwrap();
    let rest = stat.rsplit_once(") ").unwrap().1;
    rest.split_whitespace().nth(number - 3).unwrap().to_owned()
}

/// The same options in each kind of child, which must say so.
fn each_kind_says(options: &ProcessOptions, wanted: &[&str]) {
    let options = options.clone().redirect();
    let mut shell = Command::new("sh");
    shell.args([
        "-c",
        "cat /proc/self/status /proc/self/limits; echo nice `nice`",
    ]);
    for (kind, child) in [
        ("fork", options.fork(((), ()), status)),
        ("spawn", options.spawn(((), ()), status)),
        ("run", options.run(((), ()), &mut shell)),
    ] {
        let output = child.unwrap().0.communicate(b"").unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        let said: Vec<_> = said.lines().map(words).collect();
        for line in wanted {
            assert!(
                said.contains(&words(line)),
                "{kind}: no {line} in {said:#?}"
            );
        }
    }
}

fn words(line: &str) -> String {
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn niceness_and_processors() {
    let options = ProcessOptions::new().nice(7).affinity([0]);
    each_kind_says(&options, &["nice 7", "Cpus_allowed_list: 0"]);
}

fn limits() {
    let options = ProcessOptions::new()
        .limit(Resource::OpenFiles, 50)
        .limit(Resource::Core, 0)
        .limit(Resource::FileSize, 4096)
        .limit(Resource::Cpu, 100)
        .limit(Resource::LockedMemory, 8192)
        .limit(Resource::Stack, 1 << 20)
        .limit(Resource::AddressSpace, 1 << 33)
        .limit(Resource::Processes, 4000);
    let wanted = [
        "Max open files 50 50 files",
        "Max core file size 0 0 bytes",
        "Max file size 4096 4096 bytes",
        "Max cpu time 100 100 seconds",
        "Max locked memory 8192 8192 bytes",
        "Max stack size 1048576 1048576 bytes",
        "Max address space 8589934592 8589934592 bytes",
        "Max processes 4000 4000 processes",
    ];
    each_kind_says(&options, &wanted);
}

fn a_program_that_may_write_no_file_starts() {
    let options = ProcessOptions::new().limit(Resource::FileSize, 0);
    let mut shell = Command::new("sh");
    let (mut child, ()) = options.run(((), ()), shell.args(["-c", "exit 3"])).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(3));
    let missing = options.run(((), ()), &mut Command::new("/no/such/program"));
    assert_eq!(missing.unwrap_err().kind(), std::io::ErrorKind::NotFound);
}

fn another_user() {
    root_only();
    let nobody = nix::unistd::User::from_name("nobody").unwrap().unwrap();
    let (uid, gid) = (nobody.uid, nobody.gid);
    let uids = format!("Uid: {uid} {uid} {uid} {uid}");
    let gids = format!("Gid: {gid} {gid} {gid} {gid}");
    let groups = format!("Groups: {gid}");
    let wanted = [&*uids, &*gids, &*groups];
    // In a directory, and of a program, that everybody may read.
    let options = ProcessOptions::new().user("nobody").redirect();
    let mut shell = Command::new("cat");
    let shell = shell.arg("/proc/self/status");
    let children = [options.fork(((), ()), status), options.run(((), ()), shell)];
    for child in children {
        let output = child.unwrap().0.communicate(b"").unwrap();
        let said: Vec<_> = String::from_utf8(output.stdout)
            .unwrap()
            .lines()
            .map(words)
            .collect();
        for line in wanted {
            assert!(said.contains(&line.to_owned()), "no {line} in {said:#?}");
        }
    }
}

fn a_number_is_a_user_with_its_group() {
    root_only();
    let options = ProcessOptions::new()
        .user("54321")
        .group("54322")
        .redirect();
    let (child, ()) = options.fork(((), ()), status).unwrap();
    let said = String::from_utf8(child.communicate(b"").unwrap().stdout).unwrap();
    let said: Vec<_> = said.lines().map(words).collect();
    for line in [
        "Uid: 54321 54321 54321 54321",
        "Gid: 54322 54322 54322 54322",
        "Groups: 54322",
    ] {
        assert!(said.contains(&line.to_owned()), "no {line} in {said:#?}");
    }
    let error = ProcessOptions::new()
        .user("54321")
        .fork(((), ()), |()| ())
        .unwrap_err();
    assert!(error.to_string().contains("needs a group"), "{error}");
}

fn who_does_not_exist_is_an_error() {
    for options in [
        ProcessOptions::new().user("no such"),
        ProcessOptions::new().group("no such"),
    ] {
        let error = options.fork(((), ()), |()| ()).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
        assert!(error.to_string().contains("there is no such"), "{error}");
    }
}

fn what_is_refused_is_an_error_and_nothing_has_run() {
    root_only();
    let (mut ran, run) = ipc_pipe::raw();
    let (child, mut end) = ProcessOptions::new()
        .user("nobody")
        .fork(ipc_pipe::pair().unwrap(), |mut end| {
            let options = ProcessOptions::new().user("root");
            let mut script = Command::new("sh");
            let script = script.args(["-c", "echo no"]);
            let forked = options
                .fork(((), ()), |()| (&run).write_all(b"x"))
                .unwrap_err();
            let program = options.run(((), ()), script).unwrap_err();
            let nice = ProcessOptions::new()
                .nice(-5)
                .fork(((), ()), |()| ())
                .unwrap_err();
            assert_eq!(waitpid(None, None), Err(Errno::ECHILD));
            for error in [forked, program, nice] {
                end.send(error.to_string().as_bytes()).unwrap();
            }
        })
        .unwrap();
    for call in ["setgroups", "setgroups", "setpriority"] {
        let error = String::from_utf8(end.recv().unwrap().to_vec()).unwrap();
        assert!(
            error.contains(call) && error.contains("permitted") || error.contains("denied"),
            "{error}"
        );
    }
    child.join().unwrap();
    drop(run);
    assert_eq!(ran.read(&mut [0]).unwrap(), 0);
}

fn what_is_no_processor_or_signal_is_an_error() {
    let error = |options: ProcessOptions| {
        let error = options.fork(((), ()), |()| ()).unwrap_err();
        assert!(matches!(error, Error::Os { .. }));
        error.to_string()
    };
    assert!(error(ProcessOptions::new().affinity([9999])).contains("processor 9999"));
    assert!(error(ProcessOptions::new().affinity([1000])).contains("affinity"));
    assert!(error(ProcessOptions::new().affinity([])).contains("affinity"));
    assert!(error(ProcessOptions::new().parent_death(9999)).contains("PDEATHSIG"));
}

fn a_name_is_seen() {
    let name = "watcher"; // shorter than the arguments of this program
    let (child, ()) = ProcessOptions::new()
        .name(name)
        .fork(((), ()), |()| {
            let line = fs::read("/proc/self/cmdline").unwrap();
            assert_eq!(
                String::from_utf8_lossy(&line).trim_end_matches('\0'),
                "watcher"
            );
            assert_eq!(fs::read_to_string("/proc/self/comm").unwrap(), "watcher\n");
            assert_eq!(std::env::args().next().unwrap(), "watcher");
            set_name(&"long ".repeat(1000)).unwrap();
            set_name("again").unwrap();
            assert_eq!(fs::read_to_string("/proc/self/comm").unwrap(), "again\n");
            assert!(std::env::vars().count() > 1); // untouched, behind it
            assert!(set_name("ze\0ro").is_err());
        })
        .unwrap();
    child.join().unwrap();
    assert_ne!(fs::read_to_string("/proc/self/comm").unwrap(), "watcher\n");
    let options = ProcessOptions::new().name("a shell").redirect();
    let mut shell = Command::new("sh");
    let (child, ()) = options
        .run(((), ()), shell.args(["-c", "echo $0; read x", "me"]))
        .unwrap();
    let path = format!("/proc/{}/cmdline", child.pid());
    assert!(fs::read(path).unwrap().starts_with(b"a shell\0-c"));
    child.communicate(b"").unwrap();
}

ipc_core::cases! {
    first {
        ipc_process::entries! { status }
    }
    niceness_and_processors,
    limits,
    a_program_that_may_write_no_file_starts,
    another_user,
    a_number_is_a_user_with_its_group,
    who_does_not_exist_is_an_error,
    what_is_refused_is_an_error_and_nothing_has_run,
    what_is_no_processor_or_signal_is_an_error,
    a_name_is_seen,
}
