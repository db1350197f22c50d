//! Submitting jobs and waiting for them.

use std::marker::PhantomData;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use playhouse_actors::AskError;
use playhouse_actors::prelude::{Handler, Message};
use playhouse_net::Identity;
use playhouse_plane::{Input, JobId, JobKey, JobOutcome, JobStatus, SubmitError, WindowResult};
use playhouse_rt::Host;
use playhouse_wire::{DecodeError, NodeName, decode};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::calls::{Call, CallError, Places};
use crate::coordinator::Coordinator;
use crate::coordinators::Coordinators;
use crate::job::{Job, Value};
use crate::limits::{ANSWER_DEADLINE, WATCH_DEADLINE};
use crate::messages::{
    ClusterStatus, CoordinatorStatus, Dismiss, DrainNode, FetchResult, FetchStale, FetchStanding, FetchStatus, FetchWindows, Led,
    Submit, Watch,
};
use crate::node::{Node, NodeConfig, StartError};
use crate::tasks::Function;

/// Submits jobs to the cluster; see [`Client::connect`] and [`crate::Node::client`]. Cheap to clone.
///
/// It finds the coordinator that leads, and the next one when that is gone. Every call is tried again, with a back-off, until there is an
/// answer or the client's patience ends. A submission carries a key, so that trying again never submits twice. What is answered was on the
/// disks of a majority of the coordinators, and is not stale.
#[derive(Clone)]
pub struct Client {
    coordinators: Coordinators,
    name: String,
    next: Arc<AtomicU64>,
    patience: Duration,
    places: Places,
    /// That it came with.
    node: Option<Node>,
}

/// A call of a client failed.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// The job was not accepted.
    #[error("the job was refused: {0}")]
    Refused(#[from] SubmitError),
    /// No coordinator that leads answered for as long as the client's patience lasts; the last try's error. A submission may have been taken
    /// all the same.
    #[error("no coordinator answered for {} s, at last: {last}", patience.as_secs())]
    Coordinator {
        /// How long it was tried.
        patience: Duration,
        /// Why the last try failed.
        last: AskError,
    },
    /// The job failed, or what was wanted was not done.
    #[error("it failed: {0}")]
    Failed(String),
    /// The cluster knows nothing of the job: it ended long ago, or all coordinators have lost their disks.
    #[error("the cluster knows no job {0} any more")]
    Forgotten(JobId),
    /// The result is not what the job's types say: the programs differ.
    #[error("the result has another type: {0}")]
    WrongType(#[from] DecodeError),
}

impl std::fmt::Debug for ClientError {
    /// As for people: a `main` that gives it shows it so.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

/// How long the actors of a client's own node may take to end.
const CLOSE_WITHIN: Duration = Duration::from_secs(1);

/// Where to dial from: nothing but this machine, if that is where all are.
fn dials_from(seeds: &[SocketAddr]) -> SocketAddr {
    match seeds.first() {
        Some(seed) if seeds.iter().all(|seed| seed.ip().is_loopback()) => (seed.ip(), 0).into(),
        Some(SocketAddr::V6(_)) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        _ => (Ipv4Addr::UNSPECIFIED, 0).into(),
    }
}

/// How long a client tries to get an answer.
const PATIENCE: Duration = Duration::from_secs(30);

impl Client {
    /// Clients of one name share the numbers of their submissions: each key is one submission's.
    pub(crate) fn new(coordinators: Coordinators, name: String, next: Arc<AtomicU64>) -> Client {
        Client { coordinators, name, next, patience: PATIENCE, places: Places::default(), node: None }
    }

    /// A client of the cluster, for a program that is no node of it otherwise: any of the nodes at these addresses, if it can be reached, says
    /// who the coordinators are. Nobody can dial it. Its connections end with its last clone; [`Client::close`] says so to the others.
    ///
    /// Each client that runs needs a certificate of its own: a second one with the same name takes the place of the first, which then gets no
    /// answers.
    ///
    /// ```no_run
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// use playhouse::{Client, Identity, rt::Host};
    ///
    /// let identity = Identity::load("certs/me")?.value;
    /// let client = Client::connect(Host::os(), identity, ["10.0.0.1:4433".parse()?, "10.0.0.2:4433".parse()?]).await?;
    /// println!("{} leads", client.status().await?.coordinator.name);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// When there are no addresses, nobody there has answered for a while, or none of them can be trusted.
    pub async fn connect(
        host: Host,
        identity: Identity,
        seeds: impl IntoIterator<Item = SocketAddr>,
    ) -> Result<Client, StartError> {
        let seeds: Vec<SocketAddr> = seeds.into_iter().collect();
        if seeds.is_empty() {
            return Err(StartError::Config("a client needs the address of a node of the cluster".into()));
        }
        let mut config = NodeConfig::new(identity, dials_from(&seeds), Vec::new());
        (config.join, config.dial_only, config.threads) = (seeds, true, 1);
        let node = Node::start(host, config).await?;
        Ok(Client { node: Some(node.clone()), ..node.client() })
    }

    /// Ends the connections of a client that has its own: the others need not wait to find out. Its clones can ask nothing any more.
    pub async fn close(self) {
        if let Some(node) = self.node {
            node.stop(CLOSE_WITHIN).await;
        }
    }

    /// The same client with another patience.
    #[must_use]
    pub fn with_patience(mut self, patience: Duration) -> Client {
        self.patience = patience;
        self
    }

    /// Submits a job whose result is `output`.
    ///
    /// # Errors
    /// When the job is refused, or no coordinator that leads can be reached.
    ///
    /// # Panics
    /// When `output` is a value of another job.
    pub async fn submit<R: DeserializeOwned>(&self, job: Job, output: Value<R>) -> Result<JobHandle<R>, ClientError> {
        let key = JobKey { client: self.name.clone(), number: self.next.fetch_add(1, Ordering::Relaxed) };
        let (refs, given) = match job.own(output) {
            Input::Value(value) => (vec![value], None),
            Input::Literal(bytes) => (vec![], Some(bytes)),
        };
        let spec = job.into_spec(refs);
        let id = self.ask(Submit { key, spec }).await??;
        Ok(JobHandle { client: self.clone(), id, given, result: PhantomData })
    }

    /// Has one function run on some node that offers workers, and says when that node has taken it. Nothing of this is agreed on and nothing
    /// is written: it takes one way there and back, where [`Client::submit`] waits for the disks of a majority, and goes on for as long as
    /// this client knows nodes when no coordinator leads. The price: if the node goes, the call is lost, which [`Call::wait`] says, and
    /// nobody runs it anew. It runs at most once, and not at all if this fails with anything but [`CallError::Unknown`].
    ///
    /// Each node takes as many calls at a time as it offers workers, beside what these do; when it has so many, the next node is asked. The
    /// function gets no stream, and keeps no progress. It must have one result.
    ///
    /// ```no_run
    /// # async fn example(client: playhouse::Client) -> Result<(), Box<dyn std::error::Error>> {
    /// use playhouse::{CallError, Function};
    /// const SQUARE: Function<u64, u64> = Function::new("square");
    ///
    /// let call = client.call(SQUARE, &12).await?;
    /// println!("{} has it", call.node());
    /// match call.wait().await {
    ///     Ok(square) => println!("{square}"),
    ///     Err(CallError::Unknown { node, .. }) => println!("{node} is gone, and perhaps had squared it"),
    ///     Err(error) => return Err(error.into()),
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// See [`CallError`]. Dropped before it has answered, it may run.
    pub async fn call<A: Serialize, R: DeserializeOwned>(
        &self,
        function: Function<A, R>,
        argument: &A,
    ) -> Result<Call<R>, CallError> {
        self.places.call(&self.coordinators, function, argument, self.patience).await
    }

    /// A job that was submitted before, here or elsewhere, whose result is an `R`.
    pub fn job<R: DeserializeOwned>(&self, id: JobId) -> JobHandle<R> {
        JobHandle { client: self.clone(), id, given: None, result: PhantomData }
    }

    /// How the cluster is.
    ///
    /// # Errors
    /// When no coordinator that leads can be reached.
    pub async fn status(&self) -> Result<ClusterStatus, ClientError> {
        self.ask(FetchStatus {}).await
    }

    /// The coordinators that are known here, by name.
    pub fn coordinators(&self) -> Vec<NodeName> {
        self.coordinators.list().into_iter().map(|(name, _)| name).collect()
    }

    /// How this coordinator stands among the others, whether or not it leads or takes part. It is asked once.
    ///
    /// # Errors
    /// When it cannot be reached.
    pub async fn coordinator(&self, coordinator: &NodeName) -> Result<CoordinatorStatus, ClientError> {
        let failed = |last| ClientError::Coordinator { patience: ANSWER_DEADLINE, last };
        let gone = || failed(AskError::Gone("the coordinator of this node has ended".into()));
        self.coordinators.meets(coordinator, ANSWER_DEADLINE).await;
        let coordinator = self.coordinators.find(coordinator).ok_or_else(gone)?;
        coordinator.ask_within(FetchStanding {}, ANSWER_DEADLINE).await.map_err(failed)
    }

    /// How the cluster was, as this coordinator knows, whether or not it leads: it may be behind. `None` when it knows nothing yet. It is
    /// asked once.
    ///
    /// # Errors
    /// When it cannot be reached.
    pub async fn stale_status(&self, coordinator: &NodeName) -> Result<Option<ClusterStatus>, ClientError> {
        let gone = || AskError::Gone("the coordinator of this node has ended".into());
        let failed = |last| ClientError::Coordinator { patience: ANSWER_DEADLINE, last };
        let coordinator = self.coordinators.find(coordinator).ok_or_else(gone).map_err(failed)?;
        coordinator.ask_within(FetchStale {}, ANSWER_DEADLINE).await.map_err(failed)
    }

    /// Takes a coordinator out of those who agree, whether or not it runs. It is not to come back with the journal that it has.
    ///
    /// # Errors
    /// When it was not agreed on, or no coordinator that leads can be reached.
    pub async fn dismiss(&self, coordinator: &NodeName) -> Result<(), ClientError> {
        let dismissed = self.ask(Dismiss { node: coordinator.clone() }).await?;
        dismissed.map_err(ClientError::Failed)
    }

    /// Lets a node leave: it gets no new tasks and shards from now on, and what its workers do comes to its end. The status says when.
    ///
    /// # Errors
    /// When there is no such node, or no coordinator that leads can be reached.
    pub async fn drain(&self, node: &NodeName) -> Result<(), ClientError> {
        self.ask(DrainNode { node: node.clone() }).await?.map_err(ClientError::Failed)
    }

    /// Waits until the cluster has so many workers up.
    ///
    /// # Errors
    /// When no coordinator that leads can be reached.
    pub async fn workers_up(&self, workers: usize) -> Result<ClusterStatus, ClientError> {
        // Workers come up within moments of a cluster's start; nobody waits for this in the middle of its life.
        let mut ticks = playhouse_rt::interval(Duration::from_millis(10));
        loop {
            let status = self.status().await?;
            if status.workers.iter().filter(|worker| worker.up).count() >= workers {
                return Ok(status);
            }
            ticks.tick().await;
        }
    }

    /// Asks until there is an answer. All that a client asks may be asked twice.
    async fn ask<M, R>(&self, message: M) -> Result<R, ClientError>
    where
        Coordinator: Handler<M>,
        M: Message<Result = Led<R>> + Clone + Send + 'static,
        R: Send + 'static,
    {
        let until = playhouse_rt::now() + self.patience;
        let answer = self.coordinators.ask(message, ANSWER_DEADLINE, Some(until)).await;
        answer.map_err(|last| ClientError::Coordinator { patience: self.patience, last })
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Client({})", self.name)
    }
}

/// A submitted job.
#[derive(Clone, Debug)]
pub struct JobHandle<R> {
    client: Client,
    id: JobId,
    given: Option<playhouse_plane::Payload>,
    result: PhantomData<fn() -> R>,
}

impl<R: DeserializeOwned> JobHandle<R> {
    /// The job's number.
    pub fn id(&self) -> JobId {
        self.id
    }

    /// Waits until more than `seen` tasks are done or the job has ended, and says how far it is. May say it earlier, unchanged.
    ///
    /// # Errors
    /// When no coordinator that leads can be reached or has forgotten the job.
    pub async fn progress(&self, seen: u32) -> Result<JobStatus, ClientError> {
        let watch = Watch { job: self.id, seen };
        let waited = playhouse_rt::now() + WATCH_DEADLINE;
        match self.client.coordinators.ask(watch, WATCH_DEADLINE, Some(waited)).await {
            Ok(status) => status.ok_or(ClientError::Forgotten(self.id)),
            // Nothing new for a long while, or no coordinator leads: ask what is known now, with patience.
            Err(_) => self.client.ask(Watch { job: self.id, seen: 0 }).await?.ok_or(ClientError::Forgotten(self.id)),
        }
    }

    /// Waits until the job has ended, and gives its result. Cancel-safe; may be called again.
    ///
    /// # Errors
    /// When the job fails, or the cluster cannot be reached or has forgotten it.
    pub async fn wait(&self) -> Result<R, ClientError> {
        let mut seen = 0;
        loop {
            let status = self.progress(seen).await?;
            match status.state {
                Some(JobOutcome::Done) => break,
                Some(JobOutcome::Failed(reason)) => return Err(ClientError::Failed(reason)),
                None => seen = status.done,
            }
        }
        if let Some(given) = &self.given {
            return Ok(decode(given)?);
        }
        let values = self.client.ask(FetchResult { job: self.id }).await?;
        let values = values.ok_or(ClientError::Forgotten(self.id))?;
        let [value] = values.as_slice() else {
            return Err(ClientError::Failed(format!("it gave {} values, not one", values.len())));
        };
        Ok(decode(value)?)
    }

    /// The closed windows of the job's stream, by key and start. All of them, once the job is done.
    ///
    /// # Errors
    /// When no coordinator that leads can be reached or has forgotten the job.
    pub async fn windows(&self) -> Result<Vec<WindowResult>, ClientError> {
        let windows = self.client.ask(FetchWindows { job: self.id }).await?;
        windows.ok_or(ClientError::Forgotten(self.id))
    }
}
