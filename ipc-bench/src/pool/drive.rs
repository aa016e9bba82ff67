//! The loop that submits: so many tasks are on their way, the oldest is waited for.

use std::collections::VecDeque;
use std::hint;
use std::time::{Duration, Instant};

use super::step::Tasks;
use crate::Result;
use crate::cells::{Figures, Latencies};

/// Bytes of a task's payload, and of its answer, which is the same.
pub(crate) const PAYLOAD: usize = 64;

/// Of several tasks on their way so many go by for one that is timed: reading the clock twice costs
/// as much as a task does. It has no factor in common with a window.
const STRIDE: u64 = 17;

/// Who does tasks.
pub(super) trait Client {
    /// What a submission gives.
    type Claim;

    fn submit(&mut self, payload: &[u8]) -> Result<Self::Claim>;

    /// Waits for the answer, and has a look at it.
    fn wait<T>(&mut self, claim: Self::Claim, look: impl FnOnce(&[u8]) -> T) -> Result<T>;
}

/// Keeps the window full, first for the warm-up, then for the step's time.
pub(super) fn drive<C: Client>(client: &mut C, step: &Tasks) -> Result<Figures> {
    let mut flight = Flight {
        client,
        window: step.window,
        tasks: VecDeque::with_capacity(step.window),
        payload: [0x5a; PAYLOAD],
        next: 0,
        now: Instant::now(),
    };
    flight.go_on(step.warm_up())?;
    let figures = flight.go_on(step.time)?;
    flight.land()?;
    Ok(figures)
}

/// The tasks on their way.
struct Flight<'a, C: Client> {
    client: &'a mut C,
    window: usize,
    tasks: VecDeque<(u64, Option<Instant>, C::Claim)>,
    payload: [u8; PAYLOAD],
    next: u64,
    /// When the clock was read last.
    now: Instant,
}

impl<C: Client> Flight<'_, C> {
    fn go_on(&mut self, time: Duration) -> Result<Figures> {
        let mut latencies = Latencies::new();
        let mut count = 0;
        while self.tasks.len() < self.window {
            self.submit()?;
        }
        let start = Instant::now();
        self.now = start;
        while self.now - start < time {
            let began = self.answer()?;
            count += 1;
            if let Some(began) = began {
                self.now = Instant::now();
                if latencies.push(self.now - began) {
                    self.now = Instant::now();
                }
            }
            self.submit()?;
        }
        let elapsed = self.now - start;
        Ok(Figures {
            count,
            elapsed,
            ..latencies.figures()
        })
    }

    #[inline]
    fn submit(&mut self) -> Result<()> {
        let number = self.next;
        self.next += 1;
        let began = match self.window {
            1 => Some(self.now), // the end of one is the beginning of the next
            _ => number.is_multiple_of(STRIDE).then(Instant::now),
        };
        self.payload[..8].copy_from_slice(&number.to_le_bytes());
        let claim = self.client.submit(&self.payload)?;
        self.tasks.push_back((number, began, claim));
        Ok(())
    }

    /// Waits for the oldest; it says when it began, if that was noted.
    #[inline]
    fn answer(&mut self) -> Result<Option<Instant>> {
        let (number, began, claim) = self.tasks.pop_front().ok_or("nothing is on its way")?;
        let right = |answer: &[u8]| {
            answer.len() == PAYLOAD && answer.first_chunk() == Some(&number.to_le_bytes())
        };
        if self.client.wait(claim, right)? {
            Ok(began)
        } else {
            Err(format!("task {number}: the answer is another's").into())
        }
    }

    fn land(&mut self) -> Result<()> {
        while !self.tasks.is_empty() {
            self.answer()?;
        }
        Ok(())
    }
}

/// What a task does: it computes for so long.
#[inline]
pub(super) fn work(task: Duration) {
    if task.is_zero() {
        return;
    }
    let start = Instant::now();
    while start.elapsed() < task {
        hint::spin_loop();
    }
}
