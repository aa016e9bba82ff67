//! Nothing: both ends wait in a receive without a deadline, and their processor time is the figure.

use std::thread;

use ipc_core::{Receiver, Sender, Wait};

use super::round_trip::{Sent, warm_up};
use super::{Figures, Part, cpu_time};
use crate::Result;
use crate::plan::Cell;

/// Waits for the echo of a message that a second thread sends when the cell's time is over.
pub(super) fn drive<S: Sender + Send, R: Receiver>(
    sender: &mut S,
    receiver: &mut R,
    cell: &Cell,
) -> Result<Part> {
    let mut trip = Sent::new(sender, receiver, cell);
    warm_up(&mut trip, cell)?;

    let end = trip.out.end();
    thread::scope(|scope| {
        let alarm = scope.spawn(|| {
            thread::sleep(cell.time);
            trip.sender.send(&end)
        });
        let cpu = cpu_time()?;
        let echoed = trip.receiver.recv_wait(Wait::Forever);
        let cpu = cpu_time()?.saturating_sub(cpu);
        alarm.join().map_err(|_| "the second thread panicked")??;
        echoed?;
        trip.incoming.check(trip.receiver.message())?;
        Ok(Part {
            cpu,
            figures: Some(Figures::plain(1, cell.time)), // the one that ends it
        })
    })
}
