//! Calls: a function runs once, on one node, and that node alone has acknowledged it. Nothing of a call is agreed on, so it is as fast as the
//! way to the node, and is lost with it; what must survive that is submitted as a job.

use std::marker::PhantomData;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use playhouse_actors::prelude::*;
use playhouse_net::Endpoint;
use playhouse_plane::{Fence, JobId, NodeState, Payload, Plane};
use playhouse_rt::sync::oneshot;
use playhouse_wire::{DecodeError, EncodeError, Incarnation, decode, encode};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::agent::{AGENT, Agent};
use crate::client::ClientError;
use crate::coordinator::{Coordinator, PlaneHands};
use crate::coordinators::Coordinators;
use crate::ground::Ground;
use crate::limits::{ANSWER_DEADLINE, CALL_DIAL, PLACES_FRESH, PLACES_MAX, PLACES_WITHIN};
use crate::messages::{FetchPlaces, Place, RunHere};
use crate::tasks::{Function, TaskCx};

/// What a node says of a call.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum CallNews {
    /// It will not run: the node has as many calls as it takes.
    Busy,
    /// It will not run: the node leaves, or is not the one that was meant.
    Elsewhere(String),
    /// It runs.
    Taken,
    /// It has run.
    Ended(Result<Payload, String>),
}

/// Why a call gave no result.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The argument cannot be encoded. It did not run.
    #[error("the argument cannot be sent: {0}")]
    Unsendable(#[from] EncodeError),
    /// It is not known who offers workers. It did not run.
    #[error("nobody said which nodes offer workers, so nothing ran: {0}")]
    Coordinator(ClientError),
    /// No node offers workers. It did not run.
    #[error("no node of the cluster offers workers, so nothing ran")]
    Nobody,
    /// No node took it: each has as many calls as it takes, or could not be reached. It did not run; call again later.
    #[error(
        "no node took the call, so nothing ran; of {nodes}, {busy} have as many calls as they take; the last one said: {last}"
    )]
    NotTaken {
        /// How many were asked.
        nodes: usize,
        /// How many of these have as many as they take.
        busy: usize,
        /// What the last one said.
        last: String,
    },
    /// The function failed, or there is none of that name; with its reason.
    #[error("the call failed: {0}")]
    Failed(String),
    /// The node, or the way to it, was lost. The function may have run, in part or wholly, or may still run there. Call again only what may
    /// run twice.
    #[error("what became of the call on {node} is not known, it may have run: {last}")]
    Unknown {
        /// The node.
        node: NodeName,
        /// What was lost.
        last: AskError,
    },
    /// The result is not what the function's type says: the programs differ. It has run.
    #[error("the result has another type: {0}")]
    WrongType(#[from] DecodeError),
}

impl std::fmt::Debug for CallError {
    /// As for people: a `main` that gives it shows it so.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

/// A function that a node has taken to run. Dropping this does not stop it.
#[derive(Debug)]
pub struct Call<R> {
    node: NodeName,
    news: Streaming<CallNews>,
    result: PhantomData<fn() -> R>,
}

impl<R: DeserializeOwned> Call<R> {
    /// Where it runs.
    pub fn node(&self) -> &NodeName {
        &self.node
    }

    /// Waits until it has run. Not cancel-safe: dropped, the result is lost.
    ///
    /// # Errors
    /// See [`CallError`]: it failed, or nobody knows.
    pub async fn wait(mut self) -> Result<R, CallError> {
        let node = self.node;
        let unknown = |last| match last {
            AskError::AnswerLost(reason) => CallError::Failed(format!("it has run, and its result cannot be sent: {reason}")),
            last => CallError::Unknown { node: node.clone(), last },
        };
        match self.news.next().await.map_err(unknown)? {
            Some(CallNews::Ended(Ok(value))) => Ok(decode(&value)?),
            Some(CallNews::Ended(Err(reason))) => Err(CallError::Failed(reason)),
            _ => Err(unknown(AskError::Gone("it ended without saying how".into()))),
        }
    }
}

/// The nodes that a client calls, in turn. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Places(Arc<Mutex<Known>>);

#[derive(Debug, Default)]
struct Known {
    places: Vec<Place>,
    /// When these were asked for.
    asked: Option<Instant>,
    /// All of them have refused a call since then.
    refused: bool,
    /// Whose turn it is.
    next: usize,
    /// Over which it has visited them.
    endpoint: Option<Endpoint>,
}

impl Drop for Known {
    /// The last clone of the client goes: nobody dials them for it any more.
    fn drop(&mut self) {
        if let Some(endpoint) = &self.endpoint {
            self.places.iter().for_each(|place| endpoint.leave(&place.node));
        }
    }
}

/// How a node did not take a call.
enum Refusal {
    Busy,
    /// No node can be sent this.
    Unsendable(EncodeError),
    /// It will not run there.
    Surely(String),
    /// It may run there.
    Perhaps(AskError),
}

/// Whether it is sure that the message was not handled.
fn was_not_handled(error: &AskError) -> bool {
    use AskError::{Full, NoActor, NotInProtocol, NotUnderstood, Unreachable};
    matches!(error, Full | NoActor(_) | NotInProtocol(_) | NotUnderstood(_) | Unreachable(_))
}

impl Places {
    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has a node run the function, and gives the call when one has taken it.
    pub(crate) async fn call<A: Serialize, R>(
        &self,
        coordinators: &Coordinators,
        function: Function<A, R>,
        argument: &A,
        patience: Duration,
    ) -> Result<Call<R>, CallError> {
        let argument = Payload::from(encode(argument)?);
        let until = playhouse_rt::now() + patience;
        let places = self.fresh(coordinators, patience).await?;
        let (mut busy, mut last) = (0, String::new());
        for place in &places {
            let left = until.saturating_duration_since(playhouse_rt::now());
            if left.is_zero() {
                last = format!("{} was not asked, for the time was over", place.node);
                break;
            }
            let order = RunHere { incarnation: place.incarnation, function: function.name.into(), argument: argument.clone() };
            match ask(coordinators, place, order, left.min(ANSWER_DEADLINE)).await {
                Ok(news) => return Ok(Call { node: place.node.clone(), news, result: PhantomData }),
                Err(Refusal::Busy) => {
                    busy += 1;
                    last = format!("{} has as many calls as it takes", place.node);
                }
                Err(Refusal::Unsendable(error)) => return Err(error.into()),
                Err(Refusal::Surely(reason)) => last = format!("{}: {reason}", place.node),
                // Another node would perhaps be the second one.
                Err(Refusal::Perhaps(_)) if coordinators.finder().system.planted().call_repeated => {}
                Err(Refusal::Perhaps(last)) => return Err(CallError::Unknown { node: place.node.clone(), last }),
            }
        }
        // Whoever comes meanwhile is to be known soon.
        self.lock().refused = true;
        if places.is_empty() { Err(CallError::Nobody) } else { Err(CallError::NotTaken { nodes: places.len(), busy, last }) }
    }

    /// Those that there are, beginning with the one whose turn it is.
    async fn fresh(&self, coordinators: &Coordinators, patience: Duration) -> Result<Vec<Place>, CallError> {
        let now = playhouse_rt::now();
        let (stale, known) = {
            let mut known = self.lock();
            let fresh = if known.refused { PLACES_FRESH / 8 } else { PLACES_FRESH };
            let stale = known.asked.is_none_or(|asked| now.duration_since(asked) >= fresh);
            if stale {
                // Others that call meanwhile take what there is.
                (known.asked, known.refused) = (Some(now), false);
            }
            (stale, !known.places.is_empty())
        };
        if stale || !known {
            // As long as some are known, a cluster that nobody leads for the moment does not stop its callers.
            let within = if known { PLACES_WITHIN } else { patience };
            let each = ANSWER_DEADLINE.min(within);
            match coordinators.ask(FetchPlaces {}, each, Some(now + within)).await {
                Ok(places) => self.learn(coordinators, places),
                Err(error) if known => tracing::debug!(%error, "who offers workers is not known anew"),
                Err(last) => {
                    self.lock().asked = None;
                    return Err(CallError::Coordinator(ClientError::Coordinator { patience, last }));
                }
            }
        }
        let mut known = self.lock();
        let mut places = known.places.clone();
        known.next = known.next.wrapping_add(1);
        if !places.is_empty() {
            let first = known.next % places.len();
            places.rotate_left(first);
        }
        Ok(places)
    }

    fn learn(&self, coordinators: &Coordinators, places: Vec<Place>) {
        let mut known = self.lock();
        let endpoint = known.endpoint.get_or_insert_with(|| coordinators.finder().roads.endpoint.clone()).clone();
        let former = std::mem::replace(&mut known.places, places);
        let gone = former.iter().filter(|former| known.places.iter().all(|place| place.node != former.node));
        // Nobody dials for ever who is gone. Who has others that want it, or a connection, keeps it.
        gone.for_each(|place| endpoint.leave(&place.node));
    }
}

/// Has one node run it; gives what else it says, when it has taken it.
async fn ask(
    coordinators: &Coordinators,
    place: &Place,
    order: RunHere,
    within: Duration,
) -> Result<Streaming<CallNews>, Refusal> {
    let (finder, until) = (coordinators.finder(), playhouse_rt::now() + within);
    if let Some(address) = place.address {
        finder.meet(&place.node, address, CALL_DIAL.min(within)).await;
    }
    let agent = finder.find::<Agent>(&place.node, AGENT).ok_or_else(|| Refusal::Surely("this node stops".into()))?;
    let error = |error| match error {
        AskError::Unsendable(error) => Refusal::Unsendable(error),
        error if was_not_handled(&error) => Refusal::Surely(error.to_string()),
        error => Refusal::Perhaps(error),
    };
    let left = until.saturating_duration_since(playhouse_rt::now());
    let mut news = agent.ask_within(order, left).await.map_err(error)?;
    let first = playhouse_rt::timeout(left, news.next()).await.unwrap_or(Err(AskError::Timeout));
    match first.map_err(error)? {
        Some(CallNews::Taken) => Ok(news),
        Some(CallNews::Busy) => Err(Refusal::Busy),
        Some(CallNews::Elsewhere(reason)) => Err(Refusal::Surely(reason)),
        Some(CallNews::Ended(_)) | None => {
            Err(Refusal::Perhaps(AskError::Undecodable("it is not how a call is answered".into())))
        }
    }
}

impl Handler<FetchPlaces> for Coordinator {
    type Result = MessageResult<FetchPlaces>;

    /// As far as it knows: a node that left meanwhile says so itself.
    fn handle(&mut self, _: FetchPlaces, _: &mut Ctx<Self>) -> MessageResult<FetchPlaces> {
        if self.leads().is_none() {
            return MessageResult(Err(self.not_taken()));
        }
        let places = |plane: &Plane| -> Vec<(NodeName, Incarnation)> {
            let takes = plane
                .nodes()
                .iter()
                .filter(|(_, status)| status.state == NodeState::Alive && !status.draining && status.capacity > 0);
            takes.map(|(name, status)| (name.clone(), status.incarnation)).collect()
        };
        let all = self.look(places).unwrap_or_default();
        let PlaneHands { finder, turn, .. } = self.hands();
        let address = |node: &NodeName| finder.roads.endpoint.peer(node).map(|peer| peer.remote_addr());
        MessageResult(Ok(some_of(all, turn, address)))
    }
}

/// At most [`PLACES_MAX`] of these, others each time if there are more; with where they are.
fn some_of(
    mut all: Vec<(NodeName, Incarnation)>,
    turn: &mut usize,
    address: impl Fn(&NodeName) -> Option<std::net::SocketAddr>,
) -> Vec<Place> {
    if all.len() > PLACES_MAX {
        let first = *turn % all.len();
        *turn = first + PLACES_MAX;
        all.rotate_left(first);
        all.truncate(PLACES_MAX);
    }
    all.into_iter().map(|(node, incarnation)| Place { address: address(&node), node, incarnation }).collect()
}

impl Handler<RunHere> for Agent {
    type Result = Streamed<CallNews>;

    fn handle(&mut self, RunHere { incarnation, function, argument }: RunHere, ctx: &mut Ctx<Self>) -> Streamed<CallNews> {
        let (said, outcome) = match self.admit_call(incarnation) {
            Err(refused) if matches!(refused, CallNews::Busy) && ctx.system().planted().call_claimed => (CallNews::Taken, None),
            Err(refused) => (refused, None),
            Ok(held) => {
                let (end, ended) = oneshot::channel();
                let Ground { tasks, disk, calls, node, .. } = self.ground().clone();
                // Its own task: whoever called may go, and it runs to its end all the same.
                playhouse_rt::spawn(async move {
                    playhouse_rt::ledger::record("call", || format!("{function} begins"));
                    let of = Fence { job: JobId(0), task: 0, attempt: 1 };
                    let work = calls.run(move || tasks.call_once(&function, TaskCx::new(of, node, disk), &[argument]));
                    let outcome = work.await.unwrap_or_else(|panic| Err(format!("the function panicked: {panic}")));
                    playhouse_rt::ledger::record("call", || if outcome.is_ok() { "done" } else { "failed" }.to_string());
                    let _ = end.send((outcome, held));
                });
                (CallNews::Taken, Some(ended))
            }
        };
        Streamed::new(async move |mut sink: Sink<CallNews>| {
            let taken = sink.send(said).await;
            if let (Ok(()), Some(outcome)) = (taken, outcome)
                // Held until it is said: a node that leaves waits for it.
                && let Ok((outcome, _held)) = outcome.await
            {
                let _ = sink.send(CallNews::Ended(outcome)).await;
            }
        })
    }
}
