//! A chat room on one node, its members on another: real QUIC with mutual TLS between the two. The members hand out references to
//! themselves in a message, and the room watches them, so that it notices who leaves.
//!
//! Run it: `cargo run -p playhouse --example chat`
#![allow(clippy::print_stdout, reason = "examples talk to people")]

use std::collections::BTreeMap;

use playhouse::prelude::*;

#[derive(Default)]
struct Room(BTreeMap<String, Ref<Member>>);

#[actor(remote)]
impl Room {
    #[message(id = 1)]
    fn join(&mut self, ctx: &mut Ctx<Self>, name: String, member: Ref<Member>) {
        let leaver = name.clone();
        ctx.watch(&member, move |room, down, ctx| {
            println!("(room) {leaver} is gone: {}", down.exit);
            room.0.remove(&leaver);
            room.say("room".into(), format!("{leaver} has left"));
            if room.0.is_empty() {
                ctx.stop();
            }
        });
        self.0.insert(name, member);
    }

    #[message(id = 2)]
    fn say(&mut self, who: String, text: String) {
        let alone = self.0.len() == 1;
        for member in self.0.values() {
            // One that does not listen must not hold up the others.
            if let Err(error) = member.tell_hear(who.clone(), text.clone(), alone) {
                println!("(room) {} missed it: {error}", member.name());
            }
        }
    }
}

struct Member(&'static str);

#[actor(remote)]
impl Member {
    #[message(id = 1)]
    fn hear(&mut self, ctx: &mut Ctx<Self>, who: String, text: String, alone: bool) {
        println!("({}) {who}: {text}", self.0);
        if alone && who == "room" {
            println!("({}) nobody to talk to, so I leave as well", self.0);
            ctx.stop();
        }
    }
}

async fn start(authority: &Authority, name: &str) -> Result<Node, Box<dyn std::error::Error>> {
    let host = Host::os();
    let identity = authority.issue(&NodeName::new(name)?, host.wall_clock(), Duration::from_secs(3600))?;
    Ok(Node::start(host, NodeConfig::actors(identity, "127.0.0.1:0".parse()?)).await?)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    rt::run(2, async {
        let authority = Authority::new("chat", Host::os().wall_clock())?;
        let (hall, den) = (start(&authority, "hall").await?, start(&authority, "den").await?);
        let opened = hall.system().spawn_remote(ActorName::new("room")?, SpawnOptions::default(), Room::default)?;

        den.dial(hall.name().clone(), hall.address()).await?;
        let room = den.actor::<Room>(hall.name(), "room").ok_or("den is not hall")?;
        let (ada, grace) = (den.system().spawn(|| Member("ada")), den.system().spawn(|| Member("grace")));
        room.join("ada".into(), ada).await?;
        room.join("grace".into(), grace.clone()).await?;
        room.say("ada".into(), "Is anybody here?".into()).await?;
        room.say("grace".into(), "Yes, but I have to go.".into()).await?;
        grace.drain();

        let exit = opened.ended().await;
        den.stop(Duration::from_secs(1)).await;
        hall.stop(Duration::from_secs(1)).await;
        println!("chat: everybody has left, and the room closed: {exit}");
        Ok(())
    })?
}
