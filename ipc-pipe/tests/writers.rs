//! Several writers of one pipe.

use ipc_pipe::{
    Error, Inherit, PipeOptions, PipeReceiver, PipeSender, Receiver, Result, Sender, Wait,
};
use ipc_process::fork;

/// `PIPE_BUF` less the header.
const LONGEST: usize = 4092;

fn ends() -> (PipeSender, PipeReceiver) {
    PipeOptions::new().many_writers().channel().unwrap()
}

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
    let (tx, mut rx) = ends();
    let mut children = Vec::new();
    for who in 0..WRITERS {
        let theirs = tx.try_clone().unwrap();
        let (child, ()) = fork(((), theirs), move |mut tx| -> Result<()> {
            let mut count = 0;
            while count < COUNT {
                if count % 3 == 0 {
                    tx.send(&record(who, count))?;
                    count += 1;
                    continue;
                }
                // A batch is several writes, each of whole records.
                let end = COUNT.min(count + 7);
                let records: Vec<_> = (count..end).map(|count| record(who, count)).collect();
                let batch: Vec<_> = records.iter().map(Vec::as_slice).collect();
                assert_eq!(tx.send_many(&batch, Wait::Forever)?, batch.len());
                count = end;
            }
            assert!(tx.pending().is_none());
            Ok(())
        })
        .unwrap();
        children.push(child);
    }
    drop(tx);
    let mut next = [0; WRITERS as usize];
    loop {
        match rx.recv() {
            Ok(message) => {
                let who = message[4];
                let count = &mut next[usize::from(who)];
                assert!(message == record(who, *count), "writer {who}, {count}");
                *count += 1;
            }
            Err(Error::Disconnected) => break,
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(next, [COUNT; WRITERS as usize]);
    for child in children {
        child.join().unwrap();
    }
}

fn a_record_has_pipe_buf_bytes_with_its_header() {
    let (mut tx, mut rx) = ends();
    assert_eq!(tx.max_len(), LONGEST);
    tx.send(&[1; LONGEST]).unwrap();
    let error = tx.send(&[1; LONGEST + 1]).unwrap_err();
    assert!(
        matches!(
            error,
            Error::TooLarge {
                len: 4093,
                max: LONGEST,
                limit: "PIPE_BUF"
            }
        ),
        "{error}"
    );
    assert!(error.to_string().contains("send it in parts"), "{error}");
    assert_eq!(rx.recv().unwrap(), [1; LONGEST]);
    // A smaller limit of the user's own is named as such.
    let options = PipeOptions::new().many_writers().max_len(10);
    let (mut tx, _rx) = options.channel().unwrap();
    let refused = tx.send(&[1; 11]);
    assert!(matches!(
        refused,
        Err(Error::TooLarge {
            limit: "max_len",
            ..
        })
    ));
}

fn a_full_pipe_takes_no_part_of_a_batch_or_record() {
    let options = PipeOptions::new().many_writers().capacity(8192);
    let (mut tx, mut rx) = options.channel().unwrap();
    let records = [[7_u8; 1000].as_slice(); 20];
    let sent = tx.send_many(&records, Wait::Never).unwrap();
    assert!(tx.pending().is_none());
    assert!(matches!(tx.try_send(&[8; LONGEST]), Err(Error::WouldBlock)));
    assert!(tx.pending().is_none());
    for _ in 0..sent {
        assert_eq!(rx.try_recv().unwrap(), [7; 1000]);
    }
    assert!(matches!(rx.try_recv(), Err(Error::WouldBlock)));
}

fn the_end_comes_when_all_writers_are_gone() {
    let (first, mut rx) = ends();
    let second = first.try_clone().unwrap();
    drop(first);
    let (child, mut second) = fork((second.try_clone().unwrap(), second), |mut tx| {
        tx.send(b"from a child").unwrap();
    })
    .unwrap();
    child.join().unwrap();
    assert_eq!(rx.recv().unwrap(), b"from a child");
    assert!(matches!(rx.try_recv(), Err(Error::WouldBlock)));
    second.send(b"last").unwrap();
    drop(second);
    assert_eq!(rx.recv().unwrap(), b"last");
    assert!(matches!(rx.recv(), Err(Error::Disconnected)));
}

fn a_killed_writer_leaves_the_others_alone() {
    let (mut tx, mut rx) = ends();
    let theirs = tx.try_clone().unwrap();
    let (child, ()) = fork(((), theirs), |mut tx| -> Result<()> {
        loop {
            tx.send(&[9; LONGEST])?;
        }
    })
    .unwrap();
    assert_eq!(rx.recv().unwrap(), [9; LONGEST]);
    child.kill().unwrap();
    assert!(child.join().is_err());
    let reader = std::thread::spawn(move || {
        let mut last = Vec::new();
        loop {
            match rx.recv() {
                Ok(message) => message.clone_into(&mut last),
                Err(error) => return (last, error),
            }
        }
    });
    tx.send(b"the survivor's").unwrap();
    drop(tx);
    let (last, error) = reader.join().unwrap();
    assert_eq!(last, b"the survivor's");
    assert!(matches!(error, Error::Disconnected), "{error}");
}

fn only_a_writer_of_records_has_company() {
    let (tx, _rx) = ipc_pipe::channel().unwrap();
    let told = tx.try_clone().unwrap_err().to_string();
    assert!(told.contains("many_writers"), "{told}");
    // Also on the other side of a fork or an exec.
    let (tx, _rx) = ends();
    let (fds, state) = tx.into_parts().unwrap();
    let tx = PipeSender::from_parts(fds, &state).unwrap();
    assert_eq!(tx.try_clone().unwrap().max_len(), LONGEST);
}

ipc_core::cases! {
    records_of_several_processes_are_not_mixed,
    a_record_has_pipe_buf_bytes_with_its_header,
    a_full_pipe_takes_no_part_of_a_batch_or_record,
    the_end_comes_when_all_writers_are_gone,
    a_killed_writer_leaves_the_others_alone,
    only_a_writer_of_records_has_company,
}
