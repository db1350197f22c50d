//! Dead letters: messages that no actor handled, and whose sender was not told.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use playhouse_rt::sync::mpsc;
use playhouse_wire::{ActorName, Lane, MessageId, NodeName};

use crate::limits::DEAD_LETTERS;

/// A message that no actor handled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// Whom it was for.
    pub to: ActorName,
    /// What it was.
    pub message: Letter,
    /// The node that sent it; `None` for a message of this node.
    pub from: Option<NodeName>,
    /// Why it was not handled.
    pub why: String,
}

/// The kind of a dead letter's message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Letter {
    /// Its type.
    Type(&'static str),
    /// Its number on the wire, and the lane it came on.
    Wire(MessageId, Lane),
}

impl fmt::Display for Letter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Letter::Type(name) => f.write_str(name),
            Letter::Wire(id, lane) => write!(f, "message {id} ({lane:?})"),
        }
    }
}

impl fmt::Display for DeadLetter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {}", self.message, self.to)?;
        if let Some(from) = &self.from {
            write!(f, " from {from}")?;
        }
        write!(f, ": {}", self.why)
    }
}

/// Hears of dead letters from the moment that it was made; see [`crate::System::dead_letters`].
pub struct DeadLetters {
    letters: mpsc::Receiver<DeadLetter>,
    missed: Arc<AtomicU64>,
}

impl DeadLetters {
    /// The next dead letter. `None` when the system is gone. Cancel-safe.
    pub async fn next(&mut self) -> Option<DeadLetter> {
        self.letters.recv().await
    }

    /// Those that found [`DEAD_LETTERS`] others waiting here and were not kept.
    pub fn missed(&self) -> u64 {
        self.missed.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for DeadLetters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DeadLetters({} missed)", self.missed())
    }
}

type Listener = (mpsc::Sender<DeadLetter>, Arc<AtomicU64>);

#[derive(Default)]
pub(crate) struct Letters {
    count: AtomicU64,
    listeners: Mutex<Vec<Listener>>,
}

impl Letters {
    pub(crate) fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    pub(crate) fn listen(&self) -> DeadLetters {
        let (sender, letters) = mpsc::channel(DEAD_LETTERS);
        let missed = Arc::new(AtomicU64::new(0));
        let mut listeners = self.listeners.lock().unwrap_or_else(PoisonError::into_inner);
        listeners.retain(|(sender, _)| !sender.is_closed());
        listeners.push((sender, missed.clone()));
        DeadLetters { letters, missed }
    }

    /// Counts a dead letter, and tells it to those who listen.
    pub(crate) fn post(&self, letter: impl FnOnce() -> DeadLetter) {
        self.count.fetch_add(1, Ordering::Relaxed);
        let mut listeners = self.listeners.lock().unwrap_or_else(PoisonError::into_inner);
        listeners.retain(|(sender, _)| !sender.is_closed());
        if listeners.is_empty() {
            return;
        }
        let letter = letter();
        for (sender, missed) in &*listeners {
            if sender.try_send(letter.clone()).is_err() {
                missed.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}
