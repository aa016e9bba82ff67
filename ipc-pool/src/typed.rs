//! Tasks and answers that are values.

use std::fmt::{self, Display};
use std::marker::PhantomData;
use std::time::Duration;

use ipc_core::{Codec, Postcard, Wait};

use crate::{Handle, Pool, Result, Task, Ticket};

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
        self.on_task(move |task| {
            let value = codec.decode(task.payload()).map_err(|e| e.to_string())?;
            let answer = handler(value, task).map_err(|e| e.to_string())?;
            let mut bytes = Vec::new();
            codec
                .encode(&answer, &mut bytes)
                .map_err(|e| e.to_string())?;
            Ok::<_, String>(bytes)
        })
    }
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
        let mut payload = Vec::new();
        self.codec.encode(task, &mut payload)?;
        Ok(TypedTicket {
            ticket: self.handle.submit_wait(&payload, wait)?,
            codec: self.codec.clone(),
            answer: PhantomData,
        })
    }

    /// Submits a task and waits for its answer.
    ///
    /// # Errors
    ///
    /// As [`submit_wait`](Self::submit_wait), then as [`TypedTicket::wait`].
    pub fn submit_and_wait(&self, task: &T) -> Result<A> {
        self.submit(task)?.wait()
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
