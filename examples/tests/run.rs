//! Runs every demo: each ends in an assertion of its own.

use std::process::Command;

/// Runs a demo and returns what it printed.
fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{program} {arguments:?}: {}\n{errors}",
        output.status
    );
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn hello() {
    for program in [
        env!("CARGO_BIN_EXE_hello_pipe"),
        env!("CARGO_BIN_EXE_hello_fifo"),
        env!("CARGO_BIN_EXE_hello_queue"),
        env!("CARGO_BIN_EXE_hello_shm"),
        env!("CARGO_BIN_EXE_hello_socket"),
    ] {
        assert_eq!(run(program, &[]), "hello\n");
    }
}

#[test]
fn hello_differs_by_one_word() {
    let code = |name: &str| {
        let path = format!("{}/src/bin/{name}.rs", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(path).unwrap();
        text.lines()
            .filter(|line| !line.starts_with("//!"))
            .collect::<Vec<_>>()
            .join("\n")
    };
    let pipe = code("hello_pipe");
    for (name, word) in [
        ("hello_fifo", "ipc_fifo"),
        ("hello_queue", "ipc_msgqueue"),
        ("hello_shm", "ipc_shm"),
        ("hello_socket", "ipc_socket"),
    ] {
        assert_eq!(code(name), pipe.replace("ipc_pipe", word));
    }
}

#[test]
fn typed() {
    assert!(run(env!("CARGO_BIN_EXE_typed"), &[]).contains("no pieces of bolt"));
}

#[test]
fn async_select() {
    assert_eq!(
        run(env!("CARGO_BIN_EXE_async_select"), &[]),
        "10 ticks and 1000 orders\n"
    );
}

#[test]
fn swap_mechanism() {
    for name in ["pipe", "fifo", "queue", "shm", "socket"] {
        let printed = run(env!("CARGO_BIN_EXE_swap_mechanism"), &[name]);
        assert_eq!(printed, format!("over {name}: 1 + .. + 100 = 5050\n"));
    }
}

#[test]
fn processes() {
    for (program, says) in [
        (env!("CARGO_BIN_EXE_process_three"), "child 3 ends"),
        (
            env!("CARGO_BIN_EXE_process_write_read"),
            "parent: HELLO CHILD",
        ),
        (env!("CARGO_BIN_EXE_process_stdio"), "apple\nfig\npear"),
        (env!("CARGO_BIN_EXE_process_async"), "child 2 is done"),
        (env!("CARGO_BIN_EXE_process_wait"), "worker 2, process"),
        (
            env!("CARGO_BIN_EXE_process_queue"),
            "the parent pops nothing",
        ),
    ] {
        let printed = run(program, &[]);
        assert!(printed.contains(says), "{program}: {printed}");
    }
}

#[test]
fn pools() {
    for (program, says) in [
        (env!("CARGO_BIN_EXE_pool_restarts"), "worker 1: signal: 9"),
        (env!("CARGO_BIN_EXE_pool_graceful"), "none is half done"),
        (env!("CARGO_BIN_EXE_pool_tasks"), "9592 primes below 100000"),
        (
            env!("CARGO_BIN_EXE_pool_tokio"),
            "[\"ONE\", \"TWO\", \"THREE\"]",
        ),
        (env!("CARGO_BIN_EXE_pool_retries"), "poison: quarantined"),
        (env!("CARGO_BIN_EXE_pool_listen"), ": afar"),
        (env!("CARGO_BIN_EXE_pool_service"), "worker 1 stops"),
    ] {
        let printed = run(program, &[]);
        assert!(printed.contains(says), "{program}: {printed}");
    }
}

#[test]
fn an_unknown_mechanism_is_told_what_there_is() {
    let output = Command::new(env!("CARGO_BIN_EXE_swap_mechanism"))
        .arg("mq")
        .output()
        .unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("pipe, fifo, queue, shm or socket"));
}
