//! `/1.0/lximaged/tasks`: what the daemon does by itself, again and again. LXD has nothing like it.

use super::{Answer, Call};
use crate::error::Result;

/// GET: every task, with its last and next run.
#[expect(clippy::unused_async, reason = "handlers are async")]
pub(crate) async fn list(call: Call) -> Result<Answer> {
    Answer::sync(&call.services.jobs.list())
}

/// POST: runs one now.
#[expect(clippy::unused_async, reason = "handlers are async")]
pub(crate) async fn run(call: Call) -> Result<Answer> {
    let operation = call.services.jobs.run(call.segment(0))?;
    Ok(Answer::operation(operation))
}
