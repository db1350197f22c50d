//! What can go wrong between actors, and whose fault it was.

use playhouse_wire::{ActorName, DecodeError, EncodeError, MessageId, RemoteError};

pub use playhouse_wire::Exit;

/// A message was not delivered; here it is back.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum TellError<M> {
    /// The mailbox (here) or the lane to its node is full. Nothing was delivered; try again later, or slow down.
    Full(M),
    /// The actor is no more. Nothing was delivered, and nothing will be.
    Gone(M),
    /// There is no connection to the actor's node. Nothing was delivered.
    Unreachable(M),
    /// The actor's protocol lacks this message, or it is too long for its lane, or cannot be encoded. Nothing was delivered; the program is
    /// at fault.
    Unsendable(M),
}

impl<M> TellError<M> {
    /// The message.
    pub fn into_message(self) -> M {
        match self {
            TellError::Full(m) | TellError::Gone(m) | TellError::Unreachable(m) | TellError::Unsendable(m) => m,
        }
    }

    fn text(&self) -> &'static str {
        match self {
            TellError::Full(_) => "the mailbox is full; the message was not delivered",
            TellError::Gone(_) => "the actor is no more; the message was not delivered",
            TellError::Unreachable(_) => "the actor's node cannot be reached; the message was not delivered",
            TellError::Unsendable(_) => {
                "the message cannot leave this node: the actor's protocol lacks it, or it is too long, or cannot be encoded; it was not delivered"
            }
        }
    }
}

// By hand, so that messages need no Debug.
impl<M> std::fmt::Debug for TellError<M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.text())
    }
}

impl<M> std::fmt::Display for TellError<M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.text())
    }
}

impl<M> std::error::Error for TellError<M> {}

/// An ask was not answered.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// The deadline passed. The message may or may not have been handled, and its answer is lost.
    #[error("no answer within the deadline; the message may have been handled")]
    Timeout,
    /// The actor is no more, or dropped the question without an answer.
    #[error("the actor did not answer: {0}")]
    Gone(String),
    /// The actor panicked after its mailbox had taken the message and before it answered. The message may have been handled, in part, or
    /// (when this was one panic too many) not at all.
    #[error("the actor panicked before it answered: {0}")]
    Panicked(String),
    /// The actor gave that life of it up, or its supervisor restarted it, while it had the question. The message may have been handled, in
    /// part. The actor lives on, or will in a moment: ask again, if that does no harm.
    #[error("the actor was restarted before it answered: {0}; the message may have been handled")]
    Restarted(String),
    /// The mailbox, or the lane to its node, is full. The message was not handled.
    #[error("the mailbox is full; the message was not handled")]
    Full,
    /// There is no connection to the actor's node, so the message never left.
    #[error("the actor's node cannot be reached: {0}; the message was not handled")]
    Unreachable(String),
    /// The connection broke after the message had left. It may or may not have been handled.
    #[error("the connection broke before the answer came: {0}; the message may have been handled")]
    Unknown(String),
    /// No actor of that name lives on that node. The message was not handled.
    #[error("no actor called {0} lives there; the message was not handled")]
    NoActor(ActorName),
    /// The actor does not know that message, or not that version of it. The message was not handled.
    #[error("the actor does not understand message {0}; the message was not handled")]
    NotUnderstood(MessageId),
    /// The message's type is not part of the actor's protocol on this side. The message was not sent; the program is at fault.
    #[error("{0} is not part of the actor's protocol, so it cannot leave this node")]
    NotInProtocol(&'static str),
    /// The message cannot be encoded. It was not sent.
    #[error("the message cannot be sent: {0}")]
    Unsendable(#[from] EncodeError),
    /// The other side could not decode the message, or this side the answer: the two programs differ.
    #[error("the bytes could not be decoded: {0}")]
    Undecodable(String),
    /// The message was handled, but its answer could not be sent.
    #[error("the message was handled, but its answer could not be sent: {0}")]
    AnswerLost(String),
}

impl std::fmt::Debug for AskError {
    /// As for people: a `main` that gives it shows it so.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

impl From<DecodeError> for AskError {
    fn from(error: DecodeError) -> AskError {
        AskError::Undecodable(error.to_string())
    }
}

impl AskError {
    /// How an error from another node reads on this one, where `to` was asked.
    pub fn from_remote(error: RemoteError, to: &ActorName) -> AskError {
        match error {
            RemoteError::UnknownActor => AskError::NoActor(to.clone()),
            RemoteError::UnknownMessage(id) => AskError::NotUnderstood(id),
            RemoteError::Undecodable(text) => AskError::Undecodable(text),
            RemoteError::Full => AskError::Full,
            RemoteError::Gone(text) => AskError::Gone(text),
            RemoteError::Panicked(text) => AskError::Panicked(text),
            RemoteError::Restarted(text) => AskError::Restarted(text),
            RemoteError::Timeout => AskError::Timeout,
            RemoteError::Unsendable(text) => AskError::AnswerLost(text),
        }
    }

    pub(crate) fn into_remote(self) -> RemoteError {
        use playhouse_wire::packet::error_text;
        match self {
            AskError::Timeout => RemoteError::Timeout,
            AskError::Panicked(text) => RemoteError::Panicked(error_text(text)),
            AskError::Restarted(text) => RemoteError::Restarted(error_text(text)),
            AskError::Full => RemoteError::Full,
            // As it is: whoever asked puts it into a sentence of its own.
            AskError::Gone(text) => RemoteError::Gone(error_text(text)),
            other => RemoteError::Gone(error_text(other.to_string())),
        }
    }
}

/// An actor of that name lives here already.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an actor called {0} lives on this node already")]
pub struct NameTaken(pub ActorName);
