//! Actors whose state outlives them: after a failure, on the same node or on another one, they go on from their last checkpoint.

mod keep;
mod life;

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use playhouse_actors::prelude::*;
use playhouse_actors::{NameTaken, Reach};
use playhouse_rt::sync::oneshot;
use playhouse_store::{BadKey, Damage, Key, LoadError, SaveError, Version};
use serde::Serialize;
use serde::de::DeserializeOwned;

pub use self::keep::Keep;

use self::keep::Shared;
use self::life::Replay;
use crate::limits::{EVENTS_PER_CHECKPOINT, SAVE_AFTER, SAVE_EVERY, SAVES_WAITING};
use crate::node::Node;

/// An actor whose state can be saved, and taken up again.
///
/// ```
/// use playhouse::prelude::*;
/// #[derive(Default)]
/// struct Counter(u64);
/// #[actor]
/// impl Counter {
///     #[message]
///     fn add(&mut self, by: u64) -> u64 { self.0 += by; self.0 }
/// }
/// impl Persistent for Counter {
///     type State = u64;
///     const VERSION: u16 = 1;
///     fn save(&self) -> u64 { self.0 }
///     fn load(&mut self, state: u64) { self.0 = state }
/// }
/// ```
pub trait Persistent: Actor<Context = Ctx<Self>> {
    /// What is saved of it.
    type State: Serialize + DeserializeOwned;

    /// The version of `State`: one more whenever its encoding changes.
    const VERSION: u16;

    /// Its state now. May be called while an async handler waits for something that is not the actor's alone; never within one.
    fn save(&self) -> Self::State;

    /// Takes a state up: called before the first message of a life, on what the factory made.
    fn load(&mut self, state: Self::State);

    /// Makes a state of what an earlier version of this program saved. By default it cannot.
    ///
    /// # Errors
    /// Why it cannot; the actor does not start then, and its checkpoints stay as they are.
    fn migrate(version: u16, bytes: &[u8]) -> Result<Self::State, String> {
        let _ = bytes;
        Err(format!("this program has version {} and reads no version {version}", Self::VERSION))
    }

    /// Called when the state is taken up, or there was none, and before the first message.
    fn recovered(&mut self, ctx: &mut Ctx<Self>) {
        let _ = ctx;
    }
}

/// A persistent actor that loses nothing between two checkpoints: what happens to it is kept first (see [`Keep::append`]), then applied.
pub trait Journaled: Persistent {
    /// What can happen to it. Its encoding may only grow by what old programs never read: a variant at the end of an enum.
    type Event: Serialize + DeserializeOwned;

    /// Changes the state. Called by the actor itself when the event is durable, and again when it is recovered: it must do the same.
    fn apply(&mut self, event: Self::Event);
}

/// Why a persistent actor did not start, or a state was not saved.
#[derive(Clone, Debug, thiserror::Error)]
pub enum PersistError {
    /// The node was started without a folder for checkpoints.
    #[error("this node has nowhere to keep the state: start it with `NodeConfig::checkpoints`")]
    NoStore,
    /// The name is none.
    #[error("{0:?} is no name for a persistent actor: {1}")]
    Name(String, String),
    /// An actor of that name lives here.
    #[error(transparent)]
    Taken(Arc<NameTaken>),
    /// The state, or the event, was not saved. After [`SaveError::Fenced`] the actor ends: another one has taken over.
    #[error(transparent)]
    Save(Arc<SaveError>),
    /// The state was not loaded. Nothing was changed.
    #[error(transparent)]
    Load(Arc<LoadError>),
    /// The newest checkpoint cannot be read now, which says nothing of what is in it. Nothing was changed.
    #[error(
        "the newest checkpoint cannot be read: {0}. Try again, or repair the disk; to go back to the one before, remove the file"
    )]
    Unreadable(Damage),
    /// What was loaded does not fit this program. Nothing was changed.
    #[error("the state of {key} is not one of this program: {why}")]
    Foreign {
        /// Whose state.
        key: Key,
        /// What does not fit.
        why: String,
    },
    /// The state, or the event, cannot be encoded. Nothing was changed.
    #[error("it cannot be encoded: {0}")]
    Encode(String),
    /// [`Persist::journaled`] was not called, and there are, or would be, events.
    #[error("{0} keeps no events: start it with `journaled`")]
    NotJournaled(Key),
    /// There are [`EVENTS_PER_CHECKPOINT`] events, and no checkpoint succeeds. The event was not kept.
    #[error("{EVENTS_PER_CHECKPOINT} events wait for a checkpoint, which fails: {0}")]
    Full(String),
    /// [`SAVES_WAITING`] others wait already.
    #[error("{SAVES_WAITING} others wait for it to be saved; wait for one of them")]
    Busy,
    /// This life of the actor has ended; what it had not saved is lost.
    #[error("the actor was not saved: {0}")]
    Gone(String),
}

impl From<SaveError> for PersistError {
    fn from(error: SaveError) -> PersistError {
        PersistError::Save(Arc::new(error))
    }
}

impl From<LoadError> for PersistError {
    fn from(error: LoadError) -> PersistError {
        PersistError::Load(Arc::new(error))
    }
}

impl PersistError {
    /// Whether another owner has taken over.
    pub fn is_fenced(&self) -> bool {
        matches!(self, PersistError::Save(error) if matches!(**error, SaveError::Fenced { .. }))
    }
}

/// A state that survives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Saved {
    /// Which save it was.
    pub version: Version,
    /// Which life of the actor it is of, from 1: what was answered in an earlier one, and not saved, is not in it.
    pub life: u64,
}

/// What has become of the saves of a persistent actor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PersistStatus {
    /// How often it began a life here.
    pub lives: u64,
    /// Checkpoints that were saved.
    pub saved: u64,
    /// Saves that failed, in all.
    pub failed: u64,
    /// Why the last one failed, if none has succeeded since.
    pub last_error: Option<String>,
    /// Events that were kept.
    pub events: u64,
}

/// A persistent actor that is to be started; see [`Node::persistent`].
#[must_use = "nothing is started yet"]
pub struct Persist<'a, A: Persistent> {
    node: &'a Node,
    name: String,
    every: Duration,
    after: u32,
    options: SpawnOptions,
    reach: Reach<A>,
    replay: Option<Replay<A>>,
}

impl<A: Persistent> Persist<'_, A> {
    /// Saves it this often, if it has changed.
    pub fn every(mut self, every: Duration) -> Self {
        self.every = every;
        self
    }

    /// Saves it after so many messages.
    pub fn after(mut self, messages: u32) -> Self {
        self.after = messages;
        self
    }

    /// How it is to live. What restarts it, restarts it from its last checkpoint.
    pub fn options(mut self, options: SpawnOptions) -> Self {
        self.options = options;
        self
    }

    /// Lets it keep events between checkpoints.
    pub fn journaled(mut self) -> Self
    where
        A: Journaled,
    {
        self.replay = Some(life::replay::<A>);
        self
    }

    /// Lets other nodes reach it by its name.
    pub fn remote(mut self) -> Self
    where
        A: Remote,
    {
        self.reach = Reach::everywhere();
        self
    }

    /// Takes the state over from whoever has it, and starts the actor that `factory` makes: once in each of its lives, before its state is
    /// loaded.
    ///
    /// # Errors
    /// When the name is none or taken, the state cannot be loaded, or the disk refuses. No actor of it runs here then; one that ran on another
    /// node may have been taken over from, and has ended.
    pub async fn start<F>(self, mut factory: F) -> Result<Persisted<A>, PersistError>
    where
        F: FnMut(&Keep<A>) -> A + Send + 'static,
    {
        let Persist { node, name, every, after, options, reach, replay } = self;
        let store = node.store().ok_or(PersistError::NoStore)?.clone();
        let bad = |why: String| PersistError::Name(name.clone(), why);
        let actor_name = ActorName::new(&name).map_err(|error| bad(error.to_string()))?;
        let key = Key::new(&format!("actor/{name}")).map_err(|error: BadKey| bad(error.to_string()))?;
        if node.system().lookup::<A>(&name).is_some() {
            return Err(PersistError::Taken(Arc::new(NameTaken(actor_name))));
        }
        let fence = store.claim(&key, &format!("{}/{}", node.name(), node.incarnation().0)).await?;
        let keep = Keep::new(Shared::new(store, key, fence, node.system().planted(), replay.is_some()));
        let (told, first) = oneshot::channel();
        let begin = life::begin(keep.clone(), every, after, replay, told);
        let of_factory = keep.clone();
        let taken = |error| PersistError::Taken(Arc::new(error));
        let actor = node.system().spawn_begun(actor_name, options, reach, move || factory(&of_factory), begin).map_err(taken)?;
        match first.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                // Whoever tries again at once must find its name free.
                actor.ended().await;
                return Err(error);
            }
            // It panicked in its factory, or while it was loading its state.
            Err(_) => return Err(PersistError::Gone(actor.ended().await.to_string())),
        }
        Ok(Persisted { actor, keep })
    }
}

impl<A: Persistent> fmt::Debug for Persist<'_, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Persist({} every {:?} and after {})", self.name, self.every, self.after)
    }
}

/// A persistent actor that runs on this node. Is its reference, too.
pub struct Persisted<A: Persistent> {
    actor: Ref<A>,
    keep: Keep<A>,
}

impl<A: Persistent> Persisted<A> {
    /// Saves it now. `Ok` means that its state at that time, or a later one, survives.
    ///
    /// # Errors
    /// Why it was not saved. Its state in memory is untouched, and the next interval tries again.
    pub async fn save(&self) -> Result<Saved, PersistError> {
        let answer = self.keep.shared.ask()?;
        playhouse_rt::select! {
            answer = answer => answer.unwrap_or_else(|_| Err(PersistError::Gone("it was built anew meanwhile".into()))),
            exit = self.actor.ended() => Err(PersistError::Gone(exit.to_string())),
        }
    }

    /// What has become of its saves.
    pub fn status(&self) -> PersistStatus {
        self.keep.status()
    }

    /// The number of its ownership: higher than that of all before.
    pub fn fence(&self) -> u64 {
        self.keep.fence()
    }
}

impl<A: Persistent> Deref for Persisted<A> {
    type Target = Ref<A>;
    fn deref(&self) -> &Ref<A> {
        &self.actor
    }
}

impl<A: Persistent> Clone for Persisted<A> {
    fn clone(&self) -> Self {
        Persisted { actor: self.actor.clone(), keep: self.keep.clone() }
    }
}

impl<A: Persistent> fmt::Debug for Persisted<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Persisted({} {:?})", self.keep.shared.key, self.status())
    }
}

impl Node {
    /// An actor whose state is kept under `name`, which is its own name, too. Only one of them lives in all nodes that see the same folder of
    /// checkpoints: who starts it takes over, and the one before ends when it next saves. It is saved every
    /// [`SAVE_EVERY`] if it has changed, after [`SAVE_AFTER`] messages, and when it is asked to be.
    pub fn persistent<A: Persistent>(&self, name: &str) -> Persist<'_, A> {
        Persist {
            node: self,
            name: name.to_string(),
            every: SAVE_EVERY,
            after: SAVE_AFTER,
            options: SpawnOptions::default(),
            reach: Reach::here(),
            replay: None,
        }
    }
}
