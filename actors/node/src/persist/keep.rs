//! What a persistent actor, all of its lives, has to do with its store.

use std::collections::hash_map::DefaultHasher;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use playhouse_actors::Planted;
use playhouse_rt::sync::{Notify, Semaphore, oneshot};
use playhouse_store::limits::KEEP_PERSISTENT;
use playhouse_store::{Key, SaveError, Store, Version};

use super::{Journaled, PersistError, PersistStatus, Persistent, Saved};
use crate::limits::{EVENTS_PER_CHECKPOINT, SAVES_WAITING};

/// The hold of a persistent actor on what is kept of it: its factory is given one. Cheap to clone.
pub struct Keep<A> {
    pub(super) shared: Arc<Shared>,
    kind: PhantomData<fn() -> A>,
}

pub(super) struct Shared {
    pub(super) store: Store,
    pub(super) key: Key,
    pub(super) fence: u64,
    pub(super) journaled: bool,
    /// Somebody asked for a save, or the ownership is lost.
    pub(super) wish: Notify,
    planted: Planted,
    /// One write at a time: their order is that of the states.
    gate: Arc<Semaphore>,
    state: Mutex<State>,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) status: PersistStatus,
    /// Of the last snapshot that was taken, and of the last that survives.
    taken: u64,
    durable: u64,
    version: Option<Version>,
    /// Of the last state that survives.
    hash: Option<u64>,
    /// The last event that was kept.
    pub(super) event: u64,
    /// The last event that the newest checkpoint has in it, and the one before.
    pub(super) covered: (u64, u64),
    asked: Vec<Answer>,
    /// A save of its own accord is under way.
    pub(super) saving: bool,
    /// It is to save of its own accord, soon.
    pub(super) due: bool,
    pub(super) lost: bool,
}

pub(super) type Answer = oneshot::Sender<Result<Saved, PersistError>>;

impl Shared {
    pub(super) fn new(store: Store, key: Key, fence: u64, planted: Planted, journaled: bool) -> Shared {
        let (wish, gate, state) = (Notify::new(), Arc::new(Semaphore::new(1)), Mutex::default());
        Shared { store, key, fence, journaled, wish, planted, gate, state }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A life begins, whose state is not known yet. Who waits for a save of the one before is told that it is over.
    pub(super) fn begin(&self) {
        let mut state = self.state();
        let lives = state.status.lives + 1;
        let status = PersistStatus { lives, ..std::mem::take(&mut state.status) };
        *state = State { status, lost: state.lost, taken: state.taken, durable: state.taken, ..State::default() };
    }

    /// Asks for a save.
    pub(super) fn ask(&self) -> Result<oneshot::Receiver<Result<Saved, PersistError>>, PersistError> {
        let (answer, answered) = oneshot::channel();
        let mut state = self.state();
        if state.asked.len() >= SAVES_WAITING {
            return Err(PersistError::Busy);
        }
        state.asked.push(answer);
        drop(state);
        self.wish.notify_one();
        Ok(answered)
    }

    /// Who asked for a save.
    pub(super) fn asked(&self) -> Vec<Answer> {
        std::mem::take(&mut self.state().asked)
    }

    /// Notes what came of a write.
    fn note<T>(&self, life: u64, written: Result<T, SaveError>) -> Result<T, PersistError> {
        if let Err(SaveError::Fenced { .. }) = &written {
            self.state().lost = true;
            self.wish.notify_one();
        }
        let written = written.map_err(PersistError::from);
        let mut state = self.state();
        if let Err(error) = &written {
            state.status.failed += 1;
            state.status.last_error = Some(error.to_string());
        }
        if state.status.lives == life { written } else { Err(gone()) }
    }

    async fn write(&self, bytes: &[u8]) -> Result<Version, SaveError> {
        match self.store.save_keeping(KEEP_PERSISTENT, &self.key, self.fence, bytes).await {
            Err(SaveError::Fenced { stored, .. }) if self.planted.persist_unfenced => {
                self.store.save_keeping(KEEP_PERSISTENT, &self.key, stored, bytes).await
            }
            written => written,
        }
    }
}

fn gone() -> PersistError {
    PersistError::Gone("it was built anew meanwhile".into())
}

/// Runs a write beside the actor. Within it, it would stand still while an async handler has the actor for itself, which may wait for that
/// very write.
#[track_caller]
fn beside<T: Send + 'static>(
    write: impl Future<Output = Result<T, PersistError>> + Send + 'static,
) -> impl Future<Output = Result<T, PersistError>> + Send + 'static {
    let write = playhouse_rt::spawn(write);
    async move { write.await.unwrap_or_else(|lost| Err(PersistError::Gone(lost.to_string()))) }
}

/// What a checkpoint holds: the version of the state, the last event in it, and the state.
pub(super) fn split(bytes: &[u8]) -> Option<(u16, u64, &[u8])> {
    let (version, rest) = bytes.split_first_chunk::<2>()?;
    let (event, state) = rest.split_first_chunk::<8>()?;
    Some((u16::from_le_bytes(*version), u64::from_le_bytes(*event), state))
}

fn join(version: u16, event: u64, state: &[u8]) -> Vec<u8> {
    [&version.to_le_bytes()[..], &event.to_le_bytes(), state].concat()
}

impl<A> Keep<A> {
    pub(super) fn new(shared: Shared) -> Keep<A> {
        Keep { shared: Arc::new(shared), kind: PhantomData }
    }

    /// The number of the ownership: higher than that of all before.
    pub fn fence(&self) -> u64 {
        self.shared.fence
    }

    /// Which life of the actor here this is, from 1.
    pub fn life(&self) -> u64 {
        self.shared.state().status.lives
    }

    /// What has become of the saves.
    pub fn status(&self) -> PersistStatus {
        self.shared.state().status.clone()
    }
}

impl<A: Persistent> Keep<A> {
    /// Saves the state that the actor has now, also if what this gives is dropped. `Ok` means that this one, or a later one, survives. For handlers that answer only then:
    /// await it in an `async` one, or answer with `Later`, to handle other messages meanwhile.
    ///
    /// # Errors
    /// Why it was not saved. The next interval tries again.
    pub fn save(&self, actor: &A) -> impl Future<Output = Result<Saved, PersistError>> + Send + 'static {
        let state = playhouse_wire::encode(&actor.save());
        self.write(state.map_err(|error| PersistError::Encode(error.to_string())), true)
    }

    /// As [`Keep::save`], if the state has changed.
    pub(super) fn save_if_changed(&self, actor: &A) -> impl Future<Output = Result<Saved, PersistError>> + Send + 'static {
        let state = playhouse_wire::encode(&actor.save());
        self.write(state.map_err(|error| PersistError::Encode(error.to_string())), false)
    }

    #[track_caller]
    fn write(
        &self,
        encoded: Result<Vec<u8>, PersistError>,
        always: bool,
    ) -> impl Future<Output = Result<Saved, PersistError>> + Send + 'static {
        let shared = self.shared.clone();
        let (number, life, event) = {
            let mut state = shared.state();
            state.taken += 1;
            (state.taken, state.status.lives, state.event)
        };
        beside(async move {
            let bytes = join(A::VERSION, event, &encoded?);
            if shared.planted.persist_claimed {
                let version = shared.state().version.unwrap_or(Version(0));
                playhouse_rt::spawn(async move { shared.write(&bytes).await });
                return Ok(Saved { version, life });
            }
            let mut hasher = DefaultHasher::new();
            bytes.hash(&mut hasher);
            let hash = hasher.finish();
            let _turn = shared.gate.clone().acquire_owned().await;
            {
                let state = shared.state();
                if state.status.lives != life {
                    return Err(gone());
                }
                // A later snapshot survives, or nothing has changed since.
                let is_known = state.durable >= number || (!always && state.hash == Some(hash));
                if let (true, Some(version)) = (is_known, state.version) {
                    return Ok(Saved { version, life });
                }
            }
            let version = shared.note(life, shared.write(&bytes).await)?;
            let forget = {
                let mut state = shared.state();
                (state.durable, state.hash, state.version) = (number, Some(hash), Some(version));
                state.status.saved += 1;
                state.status.last_error = None;
                let before = state.covered.0;
                state.covered = (event, before);
                (shared.journaled && before > 0).then_some(before)
            };
            if let Some(until) = forget {
                // Should the newest checkpoint be damaged, the one before and the events after it still give all. What stays is tried again.
                let _ = shared.store.forget_events(&shared.key, until).await;
            }
            Ok(Saved { version, life })
        })
    }

    /// Keeps an event, after all others before it, and gives its number. `Ok` means that it survives: then apply it. After an error do not:
    /// it was not kept, or, if the error says so, it may have been, until the next event is.
    ///
    /// # Errors
    /// Why it was not kept.
    pub fn append(&self, event: &A::Event) -> impl Future<Output = Result<u64, PersistError>> + Send + 'static
    where
        A: Journaled,
    {
        let shared = self.shared.clone();
        let life = shared.state().status.lives;
        let encoded = playhouse_wire::encode(event).map_err(|error| PersistError::Encode(error.to_string()));
        beside(async move {
            let bytes = encoded?;
            if !shared.journaled {
                return Err(PersistError::NotJournaled(shared.key.clone()));
            }
            let _turn = shared.gate.clone().acquire_owned().await;
            let number = {
                let mut state = shared.state();
                if state.status.lives != life {
                    return Err(gone());
                }
                let uncovered = state.event - state.covered.0;
                if uncovered >= EVENTS_PER_CHECKPOINT / 2 {
                    state.due = true;
                    shared.wish.notify_one();
                }
                if uncovered >= EVENTS_PER_CHECKPOINT {
                    return Err(PersistError::Full(state.status.last_error.clone().unwrap_or_else(|| "not yet".into())));
                }
                state.event + 1
            };
            let written = shared.store.append(&shared.key, shared.fence, number, &bytes).await;
            let written = match written {
                Err(SaveError::Fenced { stored, .. }) if shared.planted.persist_unfenced => {
                    shared.store.append(&shared.key, stored, number, &bytes).await
                }
                written => written,
            };
            shared.note(life, written)?;
            let mut state = shared.state();
            state.event = number;
            state.status.events += 1;
            Ok(number)
        })
    }
}

impl<A> Clone for Keep<A> {
    fn clone(&self) -> Self {
        Keep { shared: self.shared.clone(), kind: PhantomData }
    }
}

impl<A> fmt::Debug for Keep<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keep({} {})", self.shared.key, self.shared.fence)
    }
}
