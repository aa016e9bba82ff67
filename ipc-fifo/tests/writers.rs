//! Several writers of one FIFO, each of which opens it by its path.

use ipc_fifo::{Error, FifoOptions, Receiver, Result, Sender, Wait};
use ipc_process::fork;

/// `PIPE_BUF` less the header.
const LONGEST: usize = 4092;

/// What writer `who` sends as its message `count`: every byte says whose it is.
fn record(who: u8, count: u32) -> Vec<u8> {
    let len = 8 + count as usize * 97 % (LONGEST - 7);
    let mut record = vec![who; len];
    record[..4].copy_from_slice(&count.to_le_bytes());
    record
}

fn records_of_several_processes_are_not_mixed() {
    const WRITERS: u8 = 4;
    const COUNT: u32 = 5_000;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("fifo");
    let options = FifoOptions::new().many_writers();
    let fifo = options.create(&path).unwrap();
    let mut children = Vec::new();
    for who in 0..WRITERS {
        let (child, ()) = fork(((), ()), |()| -> Result<()> {
            let mut tx = options.open_sender(&path, Wait::Forever)?;
            for at in (0..COUNT).step_by(5) {
                let records: Vec<_> = (at..at + 5).map(|count| record(who, count)).collect();
                let batch: Vec<_> = records.iter().map(Vec::as_slice).collect();
                assert_eq!(tx.send_many(&batch, Wait::Forever)?, batch.len());
                assert!(tx.pending().is_none());
            }
            Ok(())
        })
        .unwrap();
        children.push(child);
    }
    let mut rx = fifo.receiver().unwrap();
    let mut next = [0; WRITERS as usize];
    while next != [COUNT; WRITERS as usize] {
        match rx.recv() {
            Ok(message) => {
                let who = message[4];
                let count = &mut next[usize::from(who)];
                assert!(message == record(who, *count), "writer {who}, {count}");
                *count += 1;
            }
            // All of those that had come by now: there are others.
            Err(Error::Disconnected) => rx.reconnect().unwrap(),
            Err(error) => panic!("{error}"),
        }
    }
    for child in children {
        child.join().unwrap();
    }
}

fn a_clone_keeps_the_stream_open_and_the_path() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("fifo");
    let fifo = FifoOptions::new().many_writers().create(&path).unwrap();
    let mut rx = FifoOptions::new().open_receiver(&path).unwrap();
    let first = fifo.sender(Wait::Never).unwrap();
    let mut second = first.try_clone().unwrap();
    drop((fifo, first));
    assert!(path.exists());
    assert!(matches!(rx.try_recv(), Err(Error::WouldBlock)));
    second.send(&[1; LONGEST]).unwrap();
    assert!(matches!(
        second.send(&[1; LONGEST + 1]),
        Err(Error::TooLarge {
            limit: "PIPE_BUF",
            ..
        })
    ));
    drop(second);
    assert!(!path.exists());
    assert_eq!(rx.recv().unwrap(), [1; LONGEST]);
    assert!(matches!(rx.recv(), Err(Error::Disconnected)));
}

fn only_a_writer_of_records_has_company() {
    let (tx, _rx) = ipc_fifo::channel().unwrap();
    let told = tx.try_clone().unwrap_err().to_string();
    assert!(told.contains("many_writers"), "{told}");
}

ipc_core::cases! {
    records_of_several_processes_are_not_mixed,
    a_clone_keeps_the_stream_open_and_the_path,
    only_a_writer_of_records_has_company,
}
