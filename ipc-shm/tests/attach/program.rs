//! The other program is this one: started with `ROLE` in its environment it plays that part.

use std::env;
use std::io::ErrorKind;
use std::process::{Child, Command};
use std::thread;

use ipc_shm::{Address, Receiver, Sender, ShmDuplex, Wait};

use super::ends::{LONG, kind_of, tiers};
use super::request::impose;

pub(crate) const ROLE: &str = "IPC_SHM_ROLE";
const ADDRESS: &str = "IPC_SHM_ADDRESS";
const TIER: &str = "IPC_SHM_TIER";

pub(crate) fn command(role: &str, tier: &str, address: &Address) -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    command.env(ROLE, role).env(TIER, tier);
    command.env(ADDRESS, address.to_string());
    command
}

pub(crate) fn start(role: &str, tier: &str, address: &Address) -> Child {
    command(role, tier, address).spawn().unwrap()
}

pub(crate) fn join(mut program: Child) {
    assert!(program.wait().unwrap().success());
}

pub(crate) fn kill(mut program: Child) {
    program.kill().unwrap();
    program.wait().unwrap();
}

/// What the other program does.
pub(crate) fn play(role: &str) {
    let address: Address = env::var(ADDRESS).unwrap().parse().unwrap();
    let tier = env::var(TIER).unwrap();
    let options = tiers().into_iter().find(|(name, _)| *name == tier);
    let options = options.unwrap().1;
    match role {
        "client" => echo(options.connect_timeout(&address, LONG).unwrap()),
        "server" => echo(options.listen(&address).unwrap().accept().unwrap()),
        "deaf" => {
            let _listener = options.listen(&address).unwrap();
            park();
        }
        "asker" => drop(options.connect(&address)),
        "silent" => {
            let _end = options.connect(&address).unwrap();
            park();
        }
        "denied" => {
            let (kind, told) = kind_of(options.connect_timeout(&address, LONG));
            assert_eq!(kind, ErrorKind::PermissionDenied, "{told}");
        }
        "impostor" => impose(&address),
        _ => panic!("no such role: {role}"),
    }
}

fn park() -> ! {
    loop {
        thread::park(); // until it is killed
    }
}

fn echo(mut end: ShmDuplex) {
    let (tx, rx) = end.halves();
    while rx.recv_wait(Wait::Forever).is_ok() {
        tx.send(rx.message()).unwrap();
    }
}

pub(crate) fn converse(mut end: ShmDuplex) {
    let longest = end.max_len();
    assert_eq!(longest, (32 << 10) - 16);
    for round in 0..1000 {
        let msg = vec![7; [0, 1, 8, 64, 1000, longest][round % 6]];
        end.send(&msg).unwrap();
        assert!(end.recv().unwrap() == msg);
    }
}
