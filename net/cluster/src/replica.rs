//! A machine as each member of a group has it: changed by the commands of the log alone, so the same everywhere.

use std::mem;
use std::sync::{Mutex, PoisonError};

use playhouse_plane::Machine;
use playhouse_store::annals::{Annals, Head};
use playhouse_wire::{DecodeError, Incarnation, NodeName, Time, decode, encode, encode_long};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::agree::{Group, Member, ProposeError, Replicated};
use crate::limits::PIECE_BYTES;

/// Something that can be replicated: a machine that can be sent and saved whole.
pub trait Kept: Machine<Event: Log, Effect: Send> + Log {}
impl<M: Machine<Event: Log, Effect: Send> + Log> Kept for M {}

/// Says, for people, what became of a machine by the commands of the log. What it says depends on nothing else, so it is the same at each copy:
/// the chain over it is a part of what they agree on.
pub trait Scribe<M: Machine>: Send + 'static {
    /// The machine has begun.
    fn begins(&mut self, machine: &M, now: Time) -> Vec<Vec<u8>>;

    /// The machine is about to hear this.
    fn hears(&mut self, machine: &M, event: &M::Event);

    /// It has heard it, or was woken, and this is what it wants done.
    fn tells(&mut self, machine: &M, now: Time, effects: &[M::Effect]) -> Vec<Vec<u8>>;
}

/// What can be in a log.
pub trait Log: Serialize + DeserializeOwned + Send + Sync + Unpin + 'static {}
impl<T: Serialize + DeserializeOwned + Send + Sync + Unpin + 'static> Log for T {}

/// What a leader wants of all copies.
#[derive(Debug, Serialize, Deserialize)]
pub enum Command<E> {
    /// The machine begins as this, unless it has begun.
    Begin(Vec<u8>),
    /// Something happened.
    Event(E),
    /// The machine wanted to be woken.
    Tick,
}

/// Who proposed a command: effects are carried out by that leader alone, and by nobody if it leads no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Author {
    member: u64,
    life: Incarnation,
    term: u64,
}

/// A part of a batch of commands, as one entry of the log. The parts of a batch follow each other, or the batch is void.
#[derive(Serialize, Deserialize)]
struct Piece {
    author: Author,
    /// Its place in the batch, and whether the batch ends with it.
    at: u32,
    last: bool,
    bytes: Vec<u8>,
}

/// One copy of a machine.
pub struct Replica<M: Machine> {
    /// Effects of the commands of this member in this life are kept for it.
    me: (u64, Incarnation),
    state: State<M>,
    /// Of commands of ours.
    effects: Mutex<Vec<M::Effect>>,
    scribe: Box<dyn Scribe<M>>,
    /// Where its words are kept, if they are.
    annals: Option<Annals>,
    /// Why it follows no more.
    fault: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
struct Saved {
    machine: Option<Vec<u8>>,
    now: Time,
    applied: u64,
    pieces: Option<(Author, u32, Vec<u8>)>,
    told: Head,
}

struct State<M> {
    machine: Option<M>,
    /// The stamp of the last command.
    now: Time,
    /// How many commands were applied.
    applied: u64,
    /// Of a batch that is not complete: whose, how many parts, and their bytes.
    pieces: Option<(Author, u32, Vec<u8>)>,
    /// The end of what the scribe has told.
    told: Head,
}

impl<M: Kept> Replica<M> {
    /// A copy that knows nothing, at a member in one of its lives. What the scribe tells is written to the annals, if there are any.
    pub fn new(name: &NodeName, life: Incarnation, scribe: impl Scribe<M>, annals: Option<Annals>) -> Replica<M> {
        let state = State { machine: None, now: Time::ZERO, applied: 0, pieces: None, told: Head::default() };
        let (me, scribe) = ((Member::number(name), life), Box::new(scribe));
        Replica { me, state, effects: Mutex::default(), scribe, annals, fault: None }
    }

    /// The machine, once it has begun.
    pub fn machine(&self) -> Option<&M> {
        self.state.machine.as_ref()
    }

    /// The stamp of the last command.
    pub fn now(&self) -> Time {
        self.state.now
    }

    /// How many commands were applied.
    pub fn applied(&self) -> u64 {
        self.state.applied
    }

    /// The end of what the scribe has told: how many records, and the value of their chain.
    pub fn told(&self) -> Head {
        self.state.told
    }

    /// Why this copy follows the log no more: it met a command that it does not understand. It is of an older version than the leader.
    pub fn fault(&self) -> Option<&str> {
        self.fault.as_deref()
    }

    /// Of all that the copy knows: FNV-1a over what a snapshot would hold. It takes as long as a snapshot.
    pub fn digest(&self) -> u64 {
        let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        self.save().into_iter().fold(0xcbf2_9ce4_8422_2325, step)
    }

    fn take_effects(&self) -> Vec<M::Effect> {
        mem::take(&mut *self.effects.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn apply_batch(&mut self, author: Author, batch: &[u8]) -> Result<(), DecodeError> {
        let commands: Vec<(Time, Command<M::Event>)> = decode(batch)?;
        let mut effects = Vec::new();
        let State { machine: held, now, applied, told, .. } = &mut self.state;
        for (stamp, command) in commands {
            // Whatever the clocks of leaders say, time never runs back.
            *now = stamp.max(*now);
            *applied += 1;
            let before = effects.len();
            let words = match (command, &mut *held) {
                (Command::Begin(machine), none @ None) => self.scribe.begins(none.insert(decode(&machine)?), *now),
                (Command::Event(event), Some(machine)) => {
                    self.scribe.hears(machine, &event);
                    machine.on(*now, event, &mut effects);
                    self.scribe.tells(machine, *now, &effects[before..])
                }
                (Command::Tick, Some(machine)) => {
                    machine.tick(*now, &mut effects);
                    self.scribe.tells(machine, *now, &effects[before..])
                }
                (Command::Begin(_), Some(_)) | (Command::Event(_) | Command::Tick, None) => continue,
            };
            for record in words {
                match &self.annals {
                    Some(annals) => annals.append(told, record),
                    None => told.passes(&record),
                }
            }
        }
        if (author.member, author.life) == self.me {
            self.effects.lock().unwrap_or_else(PoisonError::into_inner).append(&mut effects);
        }
        Ok(())
    }

    fn apply_piece(&mut self, piece: &[u8]) -> Result<(), DecodeError> {
        let Piece { author, at, last, bytes } = decode(piece)?;
        let whole = match self.state.pieces.take() {
            _ if at == 0 => bytes,
            Some((of, next, mut before)) if of == author && next == at => {
                before.extend_from_slice(&bytes);
                before
            }
            // Its leader was voted out between the parts: nobody was told that it holds.
            _ => return Ok(()),
        };
        if last {
            return self.apply_batch(author, &whole);
        }
        self.state.pieces = Some((author, at + 1, whole));
        Ok(())
    }
}

impl<M: Kept> Replicated for Replica<M> {
    fn apply(&mut self, number: u64, command: &[u8]) -> Result<(), String> {
        self.apply_piece(command).map_err(|error| {
            let why = format!("command {number} cannot be read: {error}. A newer version leads: bring this node up to it");
            self.fault = Some(why.clone());
            why
        })
    }

    fn save(&self) -> Vec<u8> {
        let State { machine, now, applied, pieces, told } = &self.state;
        let (machine, pieces) = (machine.as_ref().map(encode_long), pieces.clone());
        encode_long(&Saved { machine, now: *now, applied: *applied, pieces, told: *told })
    }

    fn load(&mut self, saved: &[u8]) -> Result<(), String> {
        let Saved { machine, now, applied, pieces, told } = decode(saved).map_err(|error| error.to_string())?;
        let machine = machine.map(|machine| decode(&machine)).transpose().map_err(|error: DecodeError| error.to_string())?;
        self.state = State { machine, now, applied, pieces, told };
        self.fault = None;
        Ok(())
    }

    fn recalls(&mut self) {
        if let Some(annals) = &self.annals {
            annals.was_durable(self.state.told.number);
        }
    }

    fn beside(&self) -> Option<Annals> {
        self.annals.clone()
    }
}

impl<M: Kept> Group<Replica<M>> {
    /// Applies stamped commands, in their order, as the leader of this term; gives the effects of all that was applied for this member
    /// since it was last asked. `Ok` means that a majority has them on its disks.
    ///
    /// Not cancel-safe: dropped, the effects of what is applied afterwards come with the next ones.
    ///
    /// # Errors
    /// See [`ProposeError`].
    pub async fn command(&self, term: u64, commands: &[(Time, Command<M::Event>)]) -> Result<Vec<M::Effect>, ProposeError> {
        let (member, life) = self.read(|replica| replica.me);
        let author = Author { member, life, term };
        let whole = encode_long(commands);
        let pieces = whole.len().div_ceil(PIECE_BYTES);
        for (at, bytes) in (0..).zip(whole.chunks(PIECE_BYTES)) {
            let piece = Piece { author, at, last: at as usize + 1 == pieces, bytes: bytes.to_vec() };
            let piece = encode(&piece).unwrap_or_else(|error| unreachable!("a piece is short: {error}"));
            self.propose_in(term, piece.into()).await?;
        }
        Ok(self.read(Replica::take_effects))
    }

    /// Drops the effects of what was applied so far: others are told again what has no answer.
    pub fn forget_effects(&self) {
        drop(self.read(Replica::take_effects));
    }

    /// Why this copy follows the log no more, or why its member takes part no more; `None`: it does, or was told not to.
    pub fn trouble(&self) -> Option<String> {
        self.read(|replica| replica.fault.clone()).or_else(|| self.fault())
    }

    /// Waits until this member does not lead in this term any more, or has stopped. Cancel-safe.
    pub async fn deposed(&self, term: u64) {
        let mut standing = self.standing();
        while standing.leads && standing.term == term {
            let Some(changed) = self.changed(&standing).await else { return };
            standing = changed;
        }
    }

    /// A machine as bytes, for [`Command::Begin`].
    pub fn begin(machine: &M) -> Command<M::Event> {
        Command::Begin(encode_long(machine))
    }
}
