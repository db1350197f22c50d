//! Submitting jobs and waiting for them.

use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use playhouse_actors::{AskError, Ref};
use playhouse_plane::{Input, JobId, JobKey, JobOutcome, JobStatus, SubmitError, WindowResult};
use playhouse_wire::{DecodeError, decode};
use serde::de::DeserializeOwned;

use crate::coordinator::Coordinator;
use crate::job::{Job, Value};
use crate::limits::{REPORT_BACKOFF, WATCH_DEADLINE};
use crate::messages::{ClusterStatus, FetchResult, FetchStatus, FetchWindows, Submit, Watch};

/// Submits jobs to the cluster's coordinator; see [`crate::Node::client`]. Cheap to clone.
///
/// Every call is tried again, with a back-off, while the coordinator cannot be reached, until the client's patience ends. A submission
/// carries a key, so that trying again never submits twice.
#[derive(Clone, Debug)]
pub struct Client {
    coordinator: Ref<Coordinator>,
    name: String,
    next: Arc<AtomicU64>,
    patience: Duration,
}

/// A call of a client failed.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// The job was not accepted.
    #[error("the job was refused: {0}")]
    Refused(#[from] SubmitError),
    /// The coordinator could not be reached for as long as the client's patience lasts; the last try's error.
    #[error("the coordinator did not answer for {} s, at last: {last}", patience.as_secs())]
    Coordinator {
        /// How long it was tried.
        patience: Duration,
        /// Why the last try failed.
        last: AskError,
    },
    /// The job failed.
    #[error("the job failed: {0}")]
    Failed(String),
    /// The coordinator knows nothing of the job: it was restarted, or the job ended long ago.
    #[error("the coordinator knows no job {0} any more")]
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

/// How long a client tries to reach the coordinator.
const PATIENCE: Duration = Duration::from_secs(30);

impl Client {
    pub(crate) fn new(coordinator: Ref<Coordinator>, name: String) -> Client {
        Client { coordinator, name, next: Arc::new(AtomicU64::new(1)), patience: PATIENCE }
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
    /// When the job is refused or the coordinator cannot be reached.
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
        let within = self.patience;
        let id = self.tried(|| self.coordinator.ask_within(Submit { key: key.clone(), spec: spec.clone() }, within)).await??;
        Ok(JobHandle { client: self.clone(), id, given, result: PhantomData })
    }

    /// What the coordinator knows of the cluster.
    ///
    /// # Errors
    /// When the coordinator cannot be reached.
    pub async fn status(&self) -> Result<ClusterStatus, ClientError> {
        self.tried(|| self.coordinator.ask(FetchStatus {})).await
    }

    /// Waits until the cluster has so many workers up.
    ///
    /// # Errors
    /// When the coordinator cannot be reached.
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
    async fn tried<R>(&self, mut ask: impl FnMut() -> playhouse_actors::Ask<R>) -> Result<R, ClientError> {
        let began = playhouse_rt::now();
        let (mut wait, longest) = REPORT_BACKOFF;
        loop {
            let last = match ask().await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let hopeless = matches!(
                last,
                AskError::Unsendable(_) | AskError::NotInProtocol(_) | AskError::NotUnderstood(_) | AskError::Undecodable(_)
            );
            if hopeless || playhouse_rt::now() - began >= self.patience {
                return Err(ClientError::Coordinator { patience: self.patience, last });
            }
            playhouse_rt::sleep(wait).await;
            wait = (wait * 2).min(longest);
        }
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
    /// When the coordinator cannot be reached or has forgotten the job.
    pub async fn progress(&self, seen: u32) -> Result<JobStatus, ClientError> {
        let mut seen = seen;
        loop {
            let watch = Watch { job: self.id, seen };
            match self.client.coordinator.ask_within(watch, WATCH_DEADLINE).await {
                Ok(Some(status)) => return Ok(status),
                Ok(None) => return Err(ClientError::Forgotten(self.id)),
                Err(AskError::Timeout) => {}
                // Ask what is known now, with patience.
                Err(_) => seen = 0,
            }
            let now = || self.client.coordinator.ask_within(Watch { job: self.id, seen: 0 }, WATCH_DEADLINE);
            if seen == 0 {
                return self.client.tried(now).await?.ok_or(ClientError::Forgotten(self.id));
            }
        }
    }

    /// Waits until the job has ended, and gives its result. Cancel-safe; may be called again.
    ///
    /// # Errors
    /// When the job fails, or the coordinator cannot be reached or has forgotten it.
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
        let within = self.client.patience;
        let values = self.client.tried(|| self.client.coordinator.ask_within(FetchResult { job: self.id }, within)).await?;
        let values = values.ok_or(ClientError::Forgotten(self.id))?;
        let [value] = values.as_slice() else {
            return Err(ClientError::Failed(format!("it gave {} values, not one", values.len())));
        };
        Ok(decode(value)?)
    }

    /// The closed windows of the job's stream, by key and start. All of them, once the job is done.
    ///
    /// # Errors
    /// When the coordinator cannot be reached or has forgotten the job.
    pub async fn windows(&self) -> Result<Vec<WindowResult>, ClientError> {
        let within = self.client.patience;
        let windows = self.client.tried(|| self.client.coordinator.ask_within(FetchWindows { job: self.id }, within)).await?;
        windows.ok_or(ClientError::Forgotten(self.id))
    }
}
