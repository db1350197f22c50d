//! The actors: each makes work for the others, does what it is told, and enters it all into the book.

use std::collections::BTreeMap;
use std::sync::Arc;

use playhouse::rt::{self, Random};
use playhouse::{Node, NodeName};
use playhouse_actors::prelude::*;
use serde::{Deserialize, Serialize};

use super::book::{Index, Told, enter};
use super::plan::{Cast, NAMES, PLACES};

/// What a message makes its actor do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Deed {
    Nothing,
    /// Has the actor for itself for so many milliseconds.
    Nap(u32),
    Panic,
    Fail,
    Leave,
}

impl Deed {
    fn draw(random: &mut Random) -> Deed {
        match random.below(200) {
            0..60 => Deed::Nap(random.between(1, 12) as u32),
            60 => Deed::Nap(400),
            61 => Deed::Panic,
            62 => Deed::Fail,
            63 => Deed::Leave,
            _ => Deed::Nothing,
        }
    }
}

/// A message that is told. Whether it was handled or dropped shows when it goes.
#[derive(Serialize, Deserialize)]
#[serde(from = "Written")]
pub(super) struct Note {
    id: u64,
    seq: u64,
    deed: Deed,
    /// Makes it long.
    pad: Vec<u8>,
    /// It is the sender's, or was handled: its end says nothing.
    #[serde(skip)]
    spent: bool,
}

#[derive(Deserialize)]
struct Written {
    id: u64,
    seq: u64,
    deed: Deed,
    pad: Vec<u8>,
}

impl From<Written> for Note {
    fn from(Written { id, seq, deed, pad }: Written) -> Note {
        enter(|book| book.arrived(id));
        Note { id, seq, deed, pad, spent: false }
    }
}

impl Drop for Note {
    fn drop(&mut self) {
        if !self.spent {
            enter(|book| book.dropped(self.id));
        }
    }
}

impl Message for Note {
    type Result = ();
}

/// A message that is asked; the answer is its number.
#[derive(Serialize, Deserialize)]
pub(super) struct Query {
    pub(super) id: u64,
    pub(super) deed: Deed,
}

impl Message for Query {
    type Result = u64;
}

/// One reference with one priority, and how it is used: what goes this way keeps its order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Way {
    place: usize,
    name: usize,
    priority: usize,
    waits: bool,
}

const PRIORITIES: [Priority; 3] = [Priority::Low, Priority::Normal, Priority::High];

/// An actor.
pub(super) struct Player {
    node: Node,
    at: Index,
    place: usize,
    name: usize,
    life: Index,
    random: Random,
    cast: Arc<Cast>,
    ways: BTreeMap<Way, (Ref<Player>, Index)>,
    watching: Option<(SpawnHandle, Index)>,
    waits: bool,
}

impl Player {
    pub(super) fn new(
        (node, at, place): (&Node, Index, usize),
        name: usize,
        rank: [u32; 3],
        supervisor: Option<Index>,
        (seed, cast): (u64, &Arc<Cast>),
    ) -> Player {
        let life = enter(|book| book.born(at, name, rank, supervisor)).unwrap_or_default();
        let random = Random::new(seed ^ (life as u64) << 20, "player");
        let (ways, cast) = (BTreeMap::new(), cast.clone());
        Player { node: node.clone(), at, place, name, life, random, cast, ways, watching: None, waits: false }
    }

    fn tick_later(&mut self, ctx: &mut Ctx<Self>) {
        let most = self.cast.pause.as_micros() as u64;
        let pause = self.random.between(most / 10, most);
        // When there is nothing to be done: to show that it lives.
        let idle = enter(|book| {
            if book.calm {
                1_000_000
            } else if book.load {
                pause
            } else {
                50_000
            }
        });
        let pause = Duration::from_micros(idle.unwrap_or(pause));
        ctx.run_later(pause, |player, ctx| {
            let load = enter(|book| {
                book.ticks(player.life);
                book.load
            });
            if load == Some(true) {
                player.act(ctx);
            }
            if enter(|book| book.is_out(player.life)) == Some(true) {
                ctx.fail("its props are gone");
            }
            player.tick_later(ctx);
        });
    }

    fn act(&mut self, ctx: &mut Ctx<Self>) {
        let random = &mut self.random;
        let priority = [1, 1, 1, 1, 1, 1, 1, 0, 2, 2][random.below(10) as usize];
        let place = if random.chance(0.4) { self.place } else { random.below(3) as usize };
        let way = Way { place, name: random.below(NAMES.len() as u64) as usize, priority, waits: false };
        match random.below(100) {
            // Several at once, so that mailboxes fill.
            0..50 => {
                for _ in 0..1 + self.random.below(4) {
                    self.tell(way);
                }
            }
            50..68 => self.ask(way),
            68..80 => self.tell_and_wait(Way { waits: true, ..way }, ctx),
            80..95 => self.watch(way, ctx),
            95 => {
                if let Some((to, _)) = self.way(way) {
                    enter(|book| book.asked_to_stop(way.place, way.name));
                    to.stop();
                }
            }
            96.. if self.cast.links => self.link(way, ctx),
            _ => {
                if let Some((watching, watch)) = self.watching.take()
                    && ctx.cancel_future(watching)
                {
                    enter(|book| book.watches[watch].cancelled = true);
                }
            }
        }
    }

    /// The reference for this way, and its stream.
    fn way(&mut self, way: Way) -> Option<(Ref<Player>, Index)> {
        if let Some(known) = self.ways.get(&way) {
            return Some(known.clone());
        }
        let node = NodeName::new(PLACES[way.place]).ok()?;
        let to = self.node.actor::<Player>(&node, NAMES[way.name])?.with_priority(PRIORITIES[way.priority]);
        let here = (way.place == self.place).then_some(&to);
        let stream = enter(|book| book.stream(self.life, (way.place, way.name), way.priority, here))?;
        self.ways.insert(way, (to.clone(), stream));
        Some((to, stream))
    }

    fn note(&mut self, stream: Index, long: bool) -> Option<Note> {
        let (id, seq) = enter(|book| book.note(stream))?;
        let long = self.cast.heavy && long && self.random.chance(0.3);
        let pad = vec![0; if long { self.random.between(50_000, 200_000) as usize } else { 0 }];
        Some(Note { id, seq, deed: Deed::draw(&mut self.random), pad, spent: false })
    }

    fn tell(&mut self, way: Way) {
        let Some((to, stream)) = self.way(way) else { return };
        let Some(mut note) = self.note(stream, way.name == 0) else { return };
        // For another node a copy is made; what is here then has done its part.
        note.spent = way.place != self.place;
        let id = note.id;
        if !settle(id, way.place != self.place, to.tell(note)) {
            // Whoever has the name now is somebody else.
            self.ways.remove(&way);
        }
    }

    fn tell_and_wait(&mut self, way: Way, ctx: &mut Ctx<Self>) {
        if self.waits {
            return;
        }
        let Some((to, stream)) = self.way(way) else { return };
        let Some(mut note) = self.note(stream, way.name == 0) else { return };
        note.spent = way.place != self.place;
        self.waits = true;
        let id = note.id;
        let far = way.place != self.place;
        let work = async move { settle(id, far, to.tell_when_ready(note).await) }.into_actor(self);
        ctx.spawn(work.map(move |lives, player: &mut Player, _: &mut Ctx<Player>| {
            player.waits = false;
            if !lives {
                player.ways.remove(&way);
            }
        }));
    }

    fn ask(&mut self, way: Way) {
        let Some((to, stream)) = self.way(way) else { return };
        let within = Duration::from_millis(self.random.between(2, 1_000));
        let Some(id) = enter(|book| book.asks(self.at, Some(stream), within)) else { return };
        let answer = to.ask_within(Query { id, deed: Deed::draw(&mut self.random) }, within);
        // Beside the actor: it may be busy with something else when the answer comes.
        rt::spawn(async move {
            let answer = answer.await;
            enter(|book| book.answered(id, &answer));
        });
    }

    fn watch(&mut self, way: Way, ctx: &mut Ctx<Self>) {
        let Some((to, _)) = self.way(way) else { return };
        let watch = enter(|book| {
            let whom = book.whom(self.at, (way.place, way.name), (way.place == self.place).then_some(&to));
            book.watches(self.life, whom)
        });
        let Some(watch) = watch else { return };
        let handle = ctx.watch(&to, move |_, down, _| {
            rt::reachable!("down");
            rt::ledger::record("down", || down.to_string());
            enter(|book| book.down(watch, &down.exit));
        });
        self.watching = Some((handle, watch));
    }

    fn link(&mut self, way: Way, ctx: &mut Ctx<Self>) {
        let Some((to, _)) = self.way(way) else { return };
        rt::ledger::record("link-to", || format!("{}: {to:?}", NAMES[self.name]));
        enter(|book| {
            let whom = book.whom(self.at, (way.place, way.name), (way.place == self.place).then_some(&to));
            book.links(self.life, whom);
        });
        ctx.link(&to);
    }

    /// Does it, as far as it does not take time.
    fn perform(&mut self, deed: Deed, ctx: &mut Ctx<Self>) -> Option<Duration> {
        if matches!(deed, Deed::Panic | Deed::Fail | Deed::Leave) {
            enter(|book| book.doom(self.life));
        }
        match deed {
            Deed::Nothing => return None,
            Deed::Nap(ms) => return Some(Duration::from_millis(u64::from(ms))),
            Deed::Panic => panic!("{}", crate::scenario::WANTED),
            Deed::Fail => ctx.fail("as it was told"),
            Deed::Leave => ctx.stop(),
        }
        None
    }

    fn look(&self, ctx: &Ctx<Self>) {
        let depth = ctx.me().depth();
        enter(|book| book.depth(self.at, self.name, depth));
    }
}

/// Enters what became of a tell; false when the actor is no more.
fn settle(id: u64, far: bool, result: Result<(), TellError<Note>>) -> bool {
    let told = if result.is_ok() { Told::Ok } else { Told::Refused };
    let gone = matches!(result, Err(TellError::Gone(_)));
    if let Err(error) = result {
        let kind = if matches!(error, TellError::Full(_)) && far { "no-credit" } else { "refused" };
        rt::sometimes!(kind == "refused", "refused");
        rt::ledger::record(kind, || error.to_string());
        error.into_message().spent = true;
    }
    enter(|book| book.told(id, told));
    !gone
}

impl Actor for Player {
    type Context = Ctx<Self>;

    fn started(&mut self, ctx: &mut Ctx<Self>) {
        let me = ctx.me();
        enter(|book| book.begins(self.life, &me));
        self.tick_later(ctx);
    }
}

impl Drop for Player {
    fn drop(&mut self) {
        enter(|book| book.dies(self.life));
    }
}

impl Remote for Player {
    fn protocol(protocol: &mut Protocol<Self>) {
        protocol.message::<Note>(1).message::<Query>(2);
    }
}

impl Handler<Note> for Player {
    type Result = ();

    fn handle(&mut self, mut note: Note, ctx: &mut Ctx<Self>) {
        note.spent = true;
        enter(|book| book.handled(note.id, note.seq, self.life));
        self.look(ctx);
        if let Some(nap) = self.perform(note.deed, ctx) {
            ctx.exclusively(async move |_, _| rt::sleep(nap).await);
        }
    }
}

impl Handler<Query> for Player {
    type Result = Exclusive<Self, u64>;

    fn handle(&mut self, query: Query, ctx: &mut Ctx<Self>) -> Exclusive<Self, u64> {
        enter(|book| book.asked(query.id, self.life));
        self.look(ctx);
        let nap = self.perform(query.deed, ctx);
        Exclusive::new(async move |_, _| {
            if let Some(nap) = nap {
                rt::sleep(nap).await;
            }
            query.id
        })
    }
}
