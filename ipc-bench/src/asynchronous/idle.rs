//! Nothing: both ends await a message, and their processor time is the figure.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::thread;

use tokio::task;

use super::End;
use super::cells::{payload, warm_up};
use crate::Result;
use crate::cells::{Figures, Part, cpu_time};
use crate::plan::Cell;

/// Waits for the echo of a message that is sent when the cell's time is over. The wait before is
/// dropped then, and loses nothing.
pub(super) async fn drive(end: &mut impl End, cell: &Cell) -> Result<Part> {
    let (out, incoming) = &mut payload(cell);
    warm_up(end, out, incoming, cell).await?;

    let time = cell.time;
    let mut alarm = pin!(task::spawn_blocking(move || thread::sleep(time)));
    let cpu = cpu_time()?;
    {
        let mut wait = pin!(end.recv());
        poll_fn(|cx| match alarm.as_mut().poll(cx) {
            Poll::Ready(rung) => Poll::Ready(rung.map_err(Into::into)),
            Poll::Pending => match wait.as_mut().poll(cx) {
                Poll::Ready(Ok(_)) => Poll::Ready(Err("a message that nobody sent".into())),
                Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
                Poll::Pending => Poll::Pending,
            },
        })
        .await?;
    }
    end.send(&out.end()).await?;
    let message = end.recv().await?;
    let cpu = cpu_time()?.saturating_sub(cpu);
    incoming.check(message)?;
    Ok(Part {
        cpu,
        figures: Some(Figures::plain(1, cell.time)), // the one that ends it
    })
}
