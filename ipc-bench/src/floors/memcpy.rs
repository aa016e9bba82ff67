//! Memory to memory on one core: no message can be moved quicker.

use std::hint;
use std::time::Instant;

use ipc_core::{Receiver, Sender};

use crate::Result;
use crate::cells::{Ends, Figures, Part, Role, cpu_time};
use crate::payload::{Incoming, Outgoing};
use crate::plan::Cell;

#[expect(clippy::unnecessary_wraps)] // as all that connect
pub(crate) fn memcpy(_: &Cell) -> Result<Box<dyn Ends>> {
    Ok(Box::new(Memcpy))
}

#[derive(Debug)]
struct Memcpy;

impl Ends for Memcpy {
    /// The driver copies; its peer has nothing to do.
    fn play(&mut self, role: Role, cell: &Cell) -> Result<Part> {
        if role == Role::Peer {
            return Ok(Part::default());
        }
        let mut out = Outgoing::new(cell.size);
        let mut incoming = Incoming::new(cell.size, cell.verify);
        let mut message = vec![0; cell.size];
        let mut copy = |time| -> Result<_> {
            let (mut count, start) = (0, Instant::now());
            loop {
                for _ in 0..=(1 << 16) / cell.size {
                    message.copy_from_slice(hint::black_box(out.advance()));
                    incoming.check(hint::black_box(&message))?;
                    count += 1;
                }
                let elapsed = start.elapsed();
                if elapsed >= time {
                    return Ok((count, elapsed));
                }
            }
        };
        copy(cell.warm_up())?;
        let cpu = cpu_time()?;
        let (count, elapsed) = copy(cell.time)?;
        Ok(Part {
            cpu: cpu_time()?.saturating_sub(cpu),
            figures: Some(Figures {
                count,
                elapsed,
                latency: None,
                late: None,
            }),
        })
    }

    fn halves(&mut self, _: Role) -> Option<(&mut dyn Sender, &mut dyn Receiver)> {
        None
    }
}
