//! Workers that finish what they have begun when the pool is stopped: `$running`, which a handler of
//! SIGTERM sets to false, and `while ($running) { $redis->brpop($key, 2); }`. A worker that is killed
//! loses its order all the same: see `pool_retries`.

use std::env;
use std::error::Error;
use std::thread;
use std::time::Duration;

use ipc_msgqueue::{Error as IpcError, Key, Kind, Queue, Receiver, Selection, Sender, Wait};
use ipc_pool::{Pool, Worker};

const ORDER: Kind = Kind::of::<1>();
const DONE: Kind = Kind::of::<2>();
const ORDERS: usize = 100;

fn main() -> Result<(), Box<dyn Error>> {
    // Any program that has the key can send orders: in PHP `msg_get_queue(ftok($file, 'g'))`.
    let key = Key::ftok(env::current_exe()?, b'g')?;
    let queue = Queue::create(key)?;
    let mut orders = queue.sender(ORDER)?;
    for number in 0..ORDERS {
        orders.send(format!("order {number}").as_bytes())?;
    }

    let pool = Pool::new(2)
        .on_work_with(
            move |_| Queue::open(key), // without it the pool does not start
            |queue, worker| work(queue, worker),
        )
        .start()?;

    let mut receipts = queue.receiver(Selection::Exactly(DONE))?;
    for _ in 0..10 {
        receipts.recv()?;
    }
    pool.stop()?; // in the middle of the work

    let mut done = 10;
    while receipts.try_recv().is_ok() {
        done += 1;
    }
    let mut left = 0;
    while receipts
        .recv_selected(Selection::Exactly(ORDER), Wait::Never)
        .is_ok()
    {
        left += 1;
    }
    println!("{done} orders are done and {left} wait for the next start: none is half done");
    assert!(left > 0);
    assert_eq!(done + left, ORDERS);
    Ok(())
}

fn work(queue: &Queue, worker: &Worker) -> ipc_msgqueue::Result<()> {
    let mut orders = queue.receiver(Selection::Exactly(ORDER))?;
    let mut receipts = queue.sender(DONE)?;
    while !worker.is_stopping() {
        match orders.recv_timeout(Duration::from_millis(100)) {
            Ok(order) => {
                thread::sleep(Duration::from_millis(20)); // the work, in which nothing disturbs it
                receipts.send(order)?;
            }
            Err(IpcError::TimedOut) => {} // nothing to do: see whether it is to stop
            Err(error) => return Err(error),
        }
    }
    println!("worker {} has finished its order, and stops", worker.id());
    Ok(())
}
