//! A receiver driven by tokio, whose senders come and go.

use std::fs::File;
use std::io::Write;

use ipc_core::conformance::cancel::a_receive_dropped_after_every_byte;
use ipc_fifo::{Async, Error, Fifo, FifoReceiver, FifoSender, Result, Sender, Wait};
use ipc_process::fork;
use tokio::runtime::Builder;

const VISITORS: u32 = 100;

/// What has ended is taken out of its `Async`, reconnected, and wrapped again.
fn next(rx: Async<FifoReceiver>) -> Result<Async<FifoReceiver>> {
    let mut rx = rx.into_inner();
    rx.reconnect()?;
    Async::new(rx)
}

fn visitors_come_one_after_another() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("fifo");
    let fifo = Fifo::create(&path).unwrap();
    let rx = fifo.receiver().unwrap();
    let (child, ()) = fork(((), ()), |()| -> Result<()> {
        for visitor in 0..VISITORS {
            let mut tx = FifoSender::open(&path, Wait::Forever)?;
            tx.send(&visitor.to_be_bytes())?;
            tx.send(&vec![7; visitor as usize * 2000])?; // some are more than the FIFO holds
        }
        Ok(())
    })
    .unwrap();
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut rx = Async::new(rx).unwrap();
        let (mut visitors, mut ends) = (0, 0);
        while visitors < VISITORS {
            match rx.recv().await {
                Ok(message) => {
                    assert_eq!(message, visitors.to_be_bytes());
                    let long = rx.recv().await.unwrap();
                    assert_eq!(long, vec![7; visitors as usize * 2000]);
                    visitors += 1;
                }
                Err(Error::Disconnected) => {
                    rx = next(rx).unwrap();
                    ends += 1;
                }
                Err(error) => panic!("{error}"),
            }
        }
        assert!(ends > 0);
        // The last one's end, and nobody yet: it waits, and is woken.
        assert!(matches!(rx.recv().await, Err(Error::Disconnected)));
        rx = next(rx).unwrap();
        let late = async {
            tokio::task::yield_now().await;
            FifoSender::open(&path, Wait::Never).unwrap().send(b"late")
        };
        let (received, sent) = tokio::join!(async { rx.recv().await.map(<[u8]>::to_vec) }, late);
        sent.unwrap();
        assert_eq!(received.unwrap(), b"late");
    });
    child.join().unwrap();
}

fn a_receive_may_be_dropped_after_every_byte() {
    let directory = tempfile::tempdir().unwrap();
    let fifo = Fifo::create(directory.path().join("fifo")).unwrap();
    let rx = fifo.receiver().unwrap();
    let mut raw = File::options().write(true).open(fifo.path()).unwrap();
    a_receive_dropped_after_every_byte(rx, |bytes| raw.write_all(bytes).unwrap());
}

ipc_core::cases! {
    visitors_come_one_after_another,
    a_receive_may_be_dropped_after_every_byte,
}
