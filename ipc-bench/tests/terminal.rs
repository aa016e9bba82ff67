//! What a run prints on a terminal, wide and narrow.

use std::fs::File;
use std::io::Read;
use std::process::{Command, Stdio};

use nix::pty::{Winsize, openpty};

/// What a run prints on a terminal.
fn on_a_terminal(columns: u16, no_color: &str) -> String {
    let size = Winsize {
        ws_row: 24,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    let terminal = openpty(&size, None).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_ipc-bench"))
        .args(["run", "pipe", "raw-pipe", "--size", "64", "--time", "0.01"])
        .env("NO_COLOR", no_color)
        .stdout(terminal.slave)
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    assert!(child.wait().unwrap().success());
    let mut text = Vec::new();
    // Its end is an error: the other side has hung up.
    let _ = File::from(terminal.master).read_to_end(&mut text);
    String::from_utf8(text).unwrap()
}

fn a_table_fits_the_terminal() {
    let widest = |text: &str| {
        let table = text.split("\n\r\nof floor").next().unwrap();
        table.lines().skip(2).map(str::len).max().unwrap()
    };
    let (narrow, wide) = (on_a_terminal(80, "1"), on_a_terminal(200, "1"));
    assert!(widest(&narrow) <= 80, "{narrow}");
    assert!(widest(&wide) > 80, "{wide}");
    assert_eq!(narrow.matches("raw-pipe").count(), 2, "{narrow}");
}

fn colours_are_not_for_those_who_refuse_them() {
    assert!(!on_a_terminal(80, "1").contains('\x1b'));
    assert!(on_a_terminal(80, "").contains("\x1b[1m64 B"));
}

ipc_core::cases! {
    a_table_fits_the_terminal,
    colours_are_not_for_those_who_refuse_them,
}
