#![doc = include_str!("../README.md")]

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use ipc_core::conformance::skip;

/// Where this is `required`, a test without its interpreter fails instead of being skipped.
const REQUIRED: &str = "INTEROP";

/// Who is at the other end.
#[derive(Clone, Copy, Debug)]
pub enum Language {
    /// `php`, with sysvmsg.
    Php,
    /// `python3`.
    Python,
}

impl Language {
    /// The script of that name in the language's directory, without its suffix.
    ///
    /// # Panics
    ///
    /// If there is no interpreter, and it is required.
    pub fn script(self, name: &str) -> Command {
        let (directory, suffix) = match self {
            Language::Php => ("php", "php"),
            Language::Python => ("python", "py"),
        };
        let mut command = self.interpreter();
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        command.arg(here.join(directory).join(name).with_extension(suffix));
        command
    }

    /// A line or two of the language.
    ///
    /// # Panics
    ///
    /// As [`script`](Language::script).
    pub fn code(self, code: &str) -> Command {
        let mut command = self.interpreter();
        command.args([if let Language::Php = self { "-r" } else { "-c" }, code]);
        if let Language::Php = self {
            command.arg("--");
        }
        command
    }

    /// Ends a case as skipped if there is no interpreter. Before anything is made, which would be left.
    ///
    /// # Panics
    ///
    /// If it is required.
    pub fn require(self) {
        drop(self.interpreter());
    }

    fn interpreter(self) -> Command {
        let (program, module, probe) = match self {
            Language::Php => {
                let probe = ["-r", "exit(extension_loaded('sysvmsg') ? 0 : 1);"];
                ("php", "sysvmsg", probe)
            }
            Language::Python => ("python3", "ctypes", ["-c", "import ctypes"]),
        };
        let found = Command::new(program).args(probe).status();
        if !found.is_ok_and(|status| status.success()) {
            let missing = format!("SKIPPED: {program} with {module} is not here");
            assert!(
                std::env::var_os(REQUIRED).is_none_or(|value| value != "required"),
                "{missing}, and {REQUIRED}=required"
            );
            skip(&missing);
        }
        let mut command = Command::new(program);
        match self {
            // A warning is printed between what the test reads, and fails it.
            Language::Php => command.args(["-d", "display_errors=1", "-d", "error_reporting=-1"]),
            Language::Python => command.env("PYTHONDONTWRITEBYTECODE", "1"), // not into this directory
        };
        command
    }
}

/// As `ipc_core::cases!`, each skipped where the language is missing: `cases! { PHP => one, another }`.
#[macro_export]
macro_rules! cases {
    ($language:expr => $($case:ident),+ $(,)?) => {
        fn main() -> ::std::process::ExitCode {
            use ::ipc_core::conformance::{Case, run};
            run(vec![$(Case::new(stringify!($case), || {
                $language.require();
                $case();
            })),+])
        }
    };
}

/// A script that runs.
#[derive(Debug)]
pub struct Peer {
    child: Child,
    stdout: BufReader<ChildStdout>,
}

impl Peer {
    /// Starts it; what it prints is for [`line`](Peer::line) and [`join`](Peer::join).
    ///
    /// # Panics
    ///
    /// If it cannot be started.
    pub fn start(mut command: Command, arguments: &[&dyn AsRef<OsStr>]) -> Self {
        for argument in arguments {
            command.arg(argument);
        }
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        Peer { child, stdout }
    }

    /// The next line that it prints, without its end.
    ///
    /// # Panics
    ///
    /// If there is none.
    pub fn line(&mut self) -> String {
        let mut line = String::new();
        assert!(self.stdout.read_line(&mut line).unwrap() > 0, "it is gone");
        line.trim_end().to_owned()
    }

    /// Waits for its end, and gives what else it printed.
    ///
    /// # Panics
    ///
    /// If it failed.
    pub fn join(mut self) -> String {
        let mut text = String::new();
        self.stdout.read_to_string(&mut text).unwrap();
        let status = self.child.wait().unwrap();
        assert!(status.success(), "{status}: {text}");
        text.trim_end().to_owned()
    }
}
