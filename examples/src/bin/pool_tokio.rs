//! A program that has threads owns a pool: the pool's template is this program, executed anew at a function's name.

use std::error::Error;

use ipc_pool::{Pool, Template};
use tokio::task::spawn_blocking;

fn main() -> Result<(), Box<dyn Error>> {
    ipc_process::entries! { template } // at the top: before the first thread
    let threads = tokio::runtime::Builder::new_multi_thread().build()?;
    threads.block_on(own_a_pool())
}

/// The same pool for its owner and for its template.
fn pool() -> Pool {
    Pool::new(2).on_task(|task| task.payload().to_ascii_uppercase())
}

fn template(end: Template) {
    end.serve(pool());
}

async fn own_a_pool() -> Result<(), Box<dyn Error>> {
    // What waits has a thread on which nothing else is driven.
    let pool = spawn_blocking(|| pool().template(template).start()).await??;
    let mut waits = Vec::new();
    for word in ["one", "two", "three"] {
        let pool = pool.clone();
        waits.push(spawn_blocking(move || {
            pool.submit_and_wait(word.as_bytes())
        }));
    }
    let mut answers = Vec::new();
    for wait in waits {
        answers.push(String::from_utf8(wait.await??)?);
    }
    println!("{answers:?}");
    assert_eq!(answers, ["ONE", "TWO", "THREE"]);
    spawn_blocking(move || pool.stop()).await??;
    Ok(())
}
