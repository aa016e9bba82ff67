//! Tasks and answers that are values.

use std::fmt::{self, Display};
use std::marker::PhantomData;
use std::time::Duration;

use ipc_core::{Codec, Postcard, Wait};

use crate::{Handle, Pool, Result, Task, Ticket, Worker};

impl Pool {
    /// As [`on_task`](Pool::on_task), for tasks that are values of type `T` and answers of type `A`,
    /// as [`Postcard`] has them. Submit them through [`Handle::typed`]; what is no `T` is answered
    /// with an error.
    ///
    /// ```
    /// use ipc_pool::Pool;
    /// use std::num::ParseIntError;
    ///
    /// # fn main() -> ipc_pool::Result<()> {
    /// let pool = Pool::new(2)
    ///     .on_typed_task(|(text, radix): (String, u32), _task| i64::from_str_radix(&text, radix))
    ///     .start()?;
    /// let numbers = pool.typed::<(String, u32), i64>();
    /// let ticket = numbers.submit(&("ff".into(), 16))?;
    /// assert_eq!(ticket.wait()?, 255);
    /// let tickets = numbers.submit_many(&[("7".into(), 8), ("10".into(), 2)])?;
    /// let answers: Result<Vec<i64>, _> = tickets.into_iter().map(|ticket| ticket.wait()).collect();
    /// assert_eq!(answers?, [7, 2]);
    /// assert!(numbers.submit_and_wait(&("x".into(), 10)).is_err());
    /// # Ok(())
    /// # }
    /// ```
    pub fn on_typed_task<T, A, E>(
        self,
        handler: impl FnMut(T, &Task<'_>) -> std::result::Result<A, E> + 'static,
    ) -> Self
    where
        Postcard: Codec<T> + Codec<A>,
        E: Display,
    {
        self.on_task_with_codec(Postcard, handler)
    }

    /// As [`on_typed_task`](Pool::on_typed_task), with values as `codec` has them.
    pub fn on_task_with_codec<T, A, E, C>(
        self,
        codec: C,
        mut handler: impl FnMut(T, &Task<'_>) -> std::result::Result<A, E> + 'static,
    ) -> Self
    where
        C: Codec<T> + Codec<A> + 'static,
        E: Display,
    {
        self.on_task(move |task| answer(&codec, task, |value| handler(value, task)))
    }

    /// As [`on_typed_task`](Pool::on_typed_task), with a state as of [`on_task_with`](Pool::on_task_with).
    pub fn on_typed_task_with<S: 'static, F: Display, T, A, E>(
        self,
        make: impl FnMut(&Worker) -> std::result::Result<S, F> + 'static,
        mut handler: impl FnMut(&mut S, T, &Task<'_>) -> std::result::Result<A, E> + 'static,
    ) -> Self
    where
        Postcard: Codec<T> + Codec<A>,
        E: Display,
    {
        self.on_task_with(make, move |state, task| {
            answer(&Postcard, task, |value| handler(state, value, task))
        })
    }
}

/// Between the bytes of a task and of its answer: values.
fn answer<T, A, E: Display>(
    codec: &(impl Codec<T> + Codec<A>),
    task: &Task<'_>,
    handle: impl FnOnce(T) -> std::result::Result<A, E>,
) -> std::result::Result<Vec<u8>, String> {
    let value = codec.decode(task.payload()).map_err(|e| e.to_string())?;
    let answer = handle(value).map_err(|e| e.to_string())?;
    let mut bytes = Vec::new();
    codec
        .encode(&answer, &mut bytes)
        .map_err(|e| e.to_string())?;
    Ok(bytes)
}

impl Handle {
    /// This handle, for tasks of type `T` and answers of type `A`.
    pub fn typed<T, A>(&self) -> Typed<T, A> {
        self.typed_with(Postcard)
    }

    /// As [`typed`](Handle::typed), with values as `codec` has them.
    pub fn typed_with<T, A, C>(&self, codec: C) -> Typed<T, A, C> {
        Typed {
            handle: self.clone(),
            codec,
            types: PhantomData,
        }
    }
}

/// A pool whose tasks are values of type `T`, and whose answers are of type `A`.
pub struct Typed<T, A, C = Postcard> {
    handle: Handle,
    codec: C,
    types: PhantomData<fn(T) -> A>,
}

impl<T, A, C: Codec<T> + Codec<A> + Clone> Typed<T, A, C> {
    /// Submits a task to any worker, waiting for room as long as it takes.
    ///
    /// # Errors
    ///
    /// As [`submit_wait`](Self::submit_wait).
    pub fn submit(&self, task: &T) -> Result<TypedTicket<A, C>> {
        self.submit_wait(task, Wait::Forever)
    }

    /// Submits a task to any worker, waiting for room as long as `wait` allows.
    ///
    /// # Errors
    ///
    /// As [`Handle::submit_wait`], and what the codec says.
    pub fn submit_wait(&self, task: &T, wait: Wait) -> Result<TypedTicket<A, C>> {
        let payload = self.encode(task)?;
        Ok(self.ticket(self.handle.submit_wait(&payload, wait)?))
    }

    /// Submits a task to one worker, waiting for room as long as it takes.
    ///
    /// # Errors
    ///
    /// As [`Handle::submit_to`], and what the codec says.
    pub fn submit_to(&self, worker: usize, task: &T) -> Result<TypedTicket<A, C>> {
        let payload = self.encode(task)?;
        Ok(self.ticket(self.handle.submit_to(worker, &payload)?))
    }

    /// Submits several tasks, waiting for room as long as it takes.
    ///
    /// # Errors
    ///
    /// As [`Handle::submit_many`], and what the codec says.
    pub fn submit_many<'a>(
        &self,
        tasks: impl IntoIterator<Item = &'a T>,
    ) -> Result<Vec<TypedTicket<A, C>>>
    where
        T: 'a,
    {
        tasks.into_iter().map(|task| self.submit(task)).collect()
    }

    /// Submits a task and waits for its answer.
    ///
    /// # Errors
    ///
    /// As [`submit_wait`](Self::submit_wait), then as [`TypedTicket::wait`].
    pub fn submit_and_wait(&self, task: &T) -> Result<A> {
        self.submit(task)?.wait()
    }

    fn encode(&self, task: &T) -> Result<Vec<u8>> {
        let mut payload = Vec::new();
        self.codec.encode(task, &mut payload)?;
        Ok(payload)
    }

    fn ticket(&self, ticket: Ticket) -> TypedTicket<A, C> {
        TypedTicket {
            ticket,
            codec: self.codec.clone(),
            answer: PhantomData,
        }
    }
}

/// A claim to an answer of type `A`.
#[must_use = "dropping a ticket gives up the answer"]
pub struct TypedTicket<A, C = Postcard> {
    ticket: Ticket,
    codec: C,
    answer: PhantomData<fn() -> A>,
}

impl<A, C: Codec<A>> TypedTicket<A, C> {
    /// The task's id.
    pub fn id(&self) -> u64 {
        self.ticket.id()
    }

    /// Waits for the answer, as long as it takes.
    ///
    /// # Errors
    ///
    /// As [`Ticket::wait`], and what the codec says.
    pub fn wait(self) -> Result<A> {
        Ok(self.codec.decode(&self.ticket.wait()?)?)
    }

    /// The answer if it is there, else [`WouldBlock`](crate::Error::WouldBlock).
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait).
    pub fn try_wait(&mut self) -> Result<A> {
        Ok(self.codec.decode(&self.ticket.try_wait()?)?)
    }

    /// Waits for the answer, but no longer than `timeout`.
    ///
    /// # Errors
    ///
    /// As [`Ticket::wait_timeout`], and what the codec says.
    pub fn wait_timeout(&mut self, timeout: Duration) -> Result<A> {
        Ok(self.codec.decode(&self.ticket.wait_timeout(timeout)?)?)
    }
}

impl<T, A, C> fmt::Debug for Typed<T, A, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Typed")
            .field("handle", &self.handle)
            .finish_non_exhaustive()
    }
}

impl<A, C> fmt::Debug for TypedTicket<A, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TypedTicket")
            .field("ticket", &self.ticket)
            .finish_non_exhaustive()
    }
}
