//! Reports to the coordinator, which are tried until they arrive.

use playhouse_actors::prelude::*;

use crate::coordinator::Coordinator;
use crate::coordinators::Coordinators;
use crate::limits::REPORT_DEADLINE;
use crate::messages::Led;

/// Tells the coordinator that leads `message` until it has answered: then a majority of them has it on its disks. Every report may arrive
/// twice; the plane takes it once.
///
/// # Errors
/// When the message itself is at fault, so that no further try can succeed.
pub(crate) async fn report<M, R>(coordinators: &Coordinators, message: M) -> Result<R, AskError>
where
    Coordinator: Handler<M>,
    M: Message<Result = Led<R>> + Clone + Send + 'static,
    R: Send + 'static,
{
    coordinators.ask(message, REPORT_DEADLINE, None).await
}
