//! Reports to the coordinator, which are tried until they arrive.

use playhouse_actors::prelude::*;

use crate::coordinator::Coordinator;
use crate::limits::{REPORT_BACKOFF, REPORT_DEADLINE};

/// Tells the coordinator `message` until it has answered. Every report may arrive twice; the plane takes it once.
///
/// # Errors
/// When the message itself is at fault, so that no further try can succeed.
pub(crate) async fn report<M>(coordinator: &Ref<Coordinator>, message: M) -> Result<M::Result, AskError>
where
    Coordinator: Handler<M>,
    M: Message + Clone + Send + 'static,
    M::Result: Send,
{
    let (mut wait, longest) = REPORT_BACKOFF;
    loop {
        match coordinator.ask_within(message.clone(), REPORT_DEADLINE).await {
            Ok(answer) => return Ok(answer),
            Err(
                error @ (AskError::Unsendable(_)
                | AskError::NotInProtocol(_)
                | AskError::Undecodable(_)
                | AskError::NotUnderstood(_)),
            ) => {
                return Err(error);
            }
            Err(error) => tracing::debug!(%error, "a report did not arrive; it is tried again"),
        }
        playhouse_rt::sleep(wait).await;
        wait = (wait * 2).min(longest);
    }
}
