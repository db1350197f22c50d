//! A handler on one node that streams its answer to another: read to the end, and given up half-way. The producer waits for its reader,
//! and ends with it.
//!
//! Run it: `cargo run --release -p playhouse --example stream`
#![allow(clippy::print_stdout, reason = "examples talk to people")]

use std::sync::Arc;

use playhouse::prelude::*;

const RECORDS: u64 = 20_000;

/// How many streams are open: one more each time that this is cloned.
#[derive(Clone, Default)]
struct Open(Arc<()>);

#[derive(Default)]
struct Archive(Open);

#[actor(remote)]
impl Archive {
    /// All records from number `from` on; at most `most`, if that is said.
    #[message(id = 1)]
    fn records(&self, from: u64, most: Option<u64>) -> Streamed<(u64, String)> {
        let open = self.0.clone();
        Streamed::new(async move |mut sink: Sink<(u64, String)>| {
            let _open = open;
            let end = most.map_or(u64::MAX, |most| from + most);
            for number in from..end {
                if sink.send((number, format!("what happened at {number}"))).await.is_err() {
                    return;
                }
            }
        })
    }

    #[message(id = 2)]
    fn open(&self) -> usize {
        Arc::strong_count(&self.0.0) - 1
    }
}

async fn start(authority: &Authority, name: &str) -> Result<Node, Box<dyn std::error::Error>> {
    let host = Host::os();
    let identity = authority.issue(&NodeName::new(name)?, host.wall_clock(), Duration::from_secs(3600))?;
    Ok(Node::start(host, NodeConfig::actors(identity, "127.0.0.1:0".parse()?)).await?)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    rt::run(2, async {
        let authority = Authority::new("archives", Host::os().wall_clock())?;
        let (cellar, desk) = (start(&authority, "cellar").await?, start(&authority, "desk").await?);
        cellar.system().spawn_remote(ActorName::new("archive")?, SpawnOptions::default(), Archive::default)?;
        desk.dial(cellar.name().clone(), cellar.address()).await?;
        let archive = desk.actor::<Archive>(cellar.name(), "archive").ok_or("desk is not cellar")?;

        let (began, mut next) = (rt::now(), 7);
        let mut records = archive.records(next, Some(RECORDS)).await?;
        while let Some((number, _)) = records.next().await? {
            assert_eq!(number, next, "they come in order");
            next += 1;
        }
        println!("{} records came in {:.0?}", next - 7, began.elapsed());

        let mut endless = archive.records(0, None).await?;
        while let Some((number, text)) = endless.next().await? {
            println!("{text}");
            if number == 2 {
                break;
            }
        }
        drop(endless);
        // Over there the producer hears that nobody reads any more.
        while archive.open().await? > 0 {
            rt::sleep(Duration::from_millis(1)).await;
        }
        desk.stop(Duration::from_secs(1)).await;
        cellar.stop(Duration::from_secs(1)).await;
        println!("stream: {} records came in order, and the endless stream was stopped", next - 7);
        Ok(())
    })?
}
