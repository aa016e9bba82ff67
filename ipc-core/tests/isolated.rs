//! The isolated runner, run on cases that misbehave.

use std::env;
use std::process::{Command, ExitCode, Output, Stdio};
use std::thread;
use std::time::Duration;

use ipc_core::conformance::{Case, run, skip};

/// Set when this binary plays the test binary that is tested.
const PATIENT: &str = "IPC_TEST_PATIENT";

/// Cases that misbehave.
#[expect(clippy::zombie_processes)]
mod patient {
    use super::{Command, Duration, skip, thread};

    pub(crate) fn passes() {
        println!("a word from a good case");
    }

    pub(crate) fn fails() {
        println!("a word from a bad case");
        panic!("on purpose");
    }

    pub(crate) fn hangs() {
        spawn("sleep", &["97531"]);
        println!("a word before the silence");
        thread::sleep(Duration::MAX);
    }

    pub(crate) fn leaves_a_child() {
        spawn("sleep", &["97532"]);
    }

    pub(crate) fn leaves_an_orphan() {
        spawn("sh", &["-c", "setsid sleep 97533 & exit 0"])
            .wait()
            .unwrap();
    }

    pub(crate) fn leaves_a_zombie() {
        spawn("true", &[]);
        thread::sleep(Duration::from_millis(50));
    }

    pub(crate) fn skips() {
        skip("the machine lacks a thing");
    }

    fn spawn(program: &str, arguments: &[&str]) -> std::process::Child {
        Command::new(program).args(arguments).spawn().unwrap()
    }
}

fn a_good_case_passes() {
    let output = patient(&["passes"]);
    let text = text(&output);
    assert!(output.status.success(), "{text}");
    assert!(
        !text.contains("a word"),
        "output of a good case is captured: {text}"
    );
    assert!(text.contains("1 passed; 0 failed"), "{text}");
}

fn a_bad_case_fails_and_shows_its_output() {
    let output = patient(&["fails"]);
    let text = text(&output);
    assert!(!output.status.success());
    assert!(text.contains("a word from a bad case"), "{text}");
    assert!(text.contains("on purpose"), "{text}");
}

fn a_hang_is_killed_with_its_group() {
    let output = patient(&["hangs"]);
    let text = text(&output);
    assert!(!output.status.success());
    assert!(text.contains("a word before the silence"), "{text}");
    assert!(text.contains("hung: killed after 1s"), "{text}");
    nix::sys::wait::wait().unwrap(); // its child is our orphan now
    assert!(!is_running("97531"));
}

fn a_process_left_behind_is_a_failure() {
    for (case, argument) in [
        ("leaves_a_child", "97532"),
        ("leaves_an_orphan", "97533"),
        ("leaves_a_zombie", "none"),
    ] {
        let output = patient(&[case]);
        let text = text(&output);
        assert!(!output.status.success(), "{case}: {text}");
        assert!(text.contains("left a process behind: ["), "{case}: {text}");
        assert!(!is_running(argument), "{case}");
    }
}

fn a_skip_is_seen() {
    let output = patient(&["skips"]);
    let text = text(&output);
    assert!(output.status.success(), "{text}");
    assert!(text.contains("the machine lacks a thing"), "{text}");
    assert!(text.contains("1 ignored"), "{text}");
}

fn an_exception_is_listed_and_can_be_run() {
    let output = patient(&["excepted"]);
    assert!(
        text(&output).contains("excepted ... ignored"),
        "{}",
        text(&output)
    );
    assert!(output.status.success());
    assert!(!patient(&["excepted", "--ignored"]).status.success());
}

fn arguments_work_as_usual() {
    let list = text(&patient(&["--list"]));
    assert_eq!(
        list.lines().filter(|line| line.ends_with(": test")).count(),
        8,
        "{list}"
    );
    let shown = text(&patient(&["passes", "--nocapture", "--test-threads=1"]));
    assert!(shown.contains("a word from a good case"), "{shown}");
    assert!(text(&patient(&["no such case"])).contains("0 passed; 0 failed"));
}

fn a_case_has_one_thread_and_its_own_group() {
    assert_eq!(std::fs::read_dir("/proc/self/task").unwrap().count(), 1);
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let group = stat
        .rsplit(')')
        .next()
        .unwrap()
        .split_whitespace()
        .nth(2)
        .unwrap();
    assert_eq!(group, std::process::id().to_string());
    assert!(env::var("IPC_TEST_CASE").is_err());
}

fn patient(arguments: &[&str]) -> Output {
    Command::new(env::current_exe().unwrap())
        .args(arguments)
        .env(PATIENT, "")
        .env("IPC_TEST_SECONDS", "1")
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned()
}

/// Whether `sleep` runs somewhere with this argument.
fn is_running(argument: &str) -> bool {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let lines = processes.filter_map(|process| std::fs::read(process.path().join("cmdline")).ok());
    lines
        .into_iter()
        .any(|line| line == format!("sleep\0{argument}\0").as_bytes())
}

fn main() -> ExitCode {
    if env::var(PATIENT).is_err() {
        return tests::run();
    }
    run(vec![
        Case::new("passes", patient::passes),
        Case::new("fails", patient::fails),
        Case::new("hangs", patient::hangs),
        Case::new("leaves_a_child", patient::leaves_a_child),
        Case::new("leaves_an_orphan", patient::leaves_an_orphan),
        Case::new("leaves_a_zombie", patient::leaves_a_zombie),
        Case::new("skips", patient::skips),
        Case::new("excepted", patient::fails).except(),
    ])
}

mod tests {
    #[expect(clippy::wildcard_imports)] // the cases, each named below
    use super::*;

    pub(crate) fn run() -> ExitCode {
        main()
    }

    ipc_core::cases! {
        a_good_case_passes,
        a_bad_case_fails_and_shows_its_output,
        a_hang_is_killed_with_its_group,
        a_process_left_behind_is_a_failure,
        a_skip_is_seen,
        an_exception_is_listed_and_can_be_run,
        arguments_work_as_usual,
        a_case_has_one_thread_and_its_own_group,
    }
}
