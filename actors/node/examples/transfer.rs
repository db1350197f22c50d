//! A large transfer from one process to another, over mutual TLS: `cargo run --release -p playhouse --example transfer -- 10GiB [64KiB]`.
//!
//! The far process makes the bytes and gives them as a stream of items (1 MiB each, or as long as the second argument says); this one
//! reads them. At the end both have the same hash, and each says how much memory it ever used.

use std::error::Error;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Instant;

use bytes::Bytes;
use playhouse::prelude::*;
use playhouse::rt::{self, Host};
use playhouse::{Authority, Identity, IdentityPem};
use serde::{Deserialize, Serialize};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const FAR_SIDE: &str = "far-side";

/// Gives bytes, and remembers the hash of all that it gave.
#[derive(Default)]
struct Archive(std::sync::Arc<std::sync::Mutex<Hash>>);

impl Actor for Archive {
    type Context = Ctx<Self>;
}

#[derive(Serialize, Deserialize)]
struct Fetch {
    bytes: u64,
    item: usize,
}

impl Message for Fetch {
    type Result = Streaming<Bytes>;
}

impl Handler<Fetch> for Archive {
    type Result = Streamed<Bytes>;

    fn handle(&mut self, fetch: Fetch, _: &mut Ctx<Self>) -> Streamed<Bytes> {
        let hash = self.0.clone();
        Streamed::new(async move |mut sink: Sink<Bytes>| {
            let (mut left, mut state) = (fetch.bytes, 1u64);
            while left > 0 {
                let length = left.min(fetch.item as u64) as usize;
                let mut item = Vec::with_capacity(length + 8);
                while item.len() < length {
                    // xorshift: bytes that no codec could guess.
                    state ^= state << 13;
                    state ^= state >> 7;
                    state ^= state << 17;
                    item.extend_from_slice(&state.to_le_bytes());
                }
                item.truncate(length);
                if let Ok(mut hash) = hash.lock() {
                    hash.add(&item);
                }
                if sink.send(item.into()).await.is_err() {
                    return;
                }
                left -= length as u64;
            }
        })
    }
}

/// Asks for the hash of what was given, and the most memory that the process ever used.
#[derive(Serialize, Deserialize)]
struct Summary;

impl Message for Summary {
    type Result = (u64, u64);
}

impl Handler<Summary> for Archive {
    type Result = MessageResult<Summary>;

    fn handle(&mut self, _: Summary, _: &mut Ctx<Self>) -> MessageResult<Summary> {
        MessageResult((self.0.lock().map_or(0, |hash| hash.0), peak_memory()))
    }
}

impl Remote for Archive {
    fn protocol(protocol: &mut Protocol<Self>) {
        protocol.stream::<Fetch, Bytes>(1).message::<Summary>(2);
    }
}

/// Not one for secrets: it shows what was lost, doubled or swapped.
#[derive(Clone, Copy, Default)]
struct Hash(u64);

impl Hash {
    fn add(&mut self, bytes: &[u8]) {
        let mut words = bytes.chunks_exact(8);
        for word in &mut words {
            let word = word.iter().rev().fold(0u64, |word, byte| word << 8 | u64::from(*byte));
            self.0 = (self.0 ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
        }
        for byte in words.remainder() {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

/// In KiB; 0 where the system does not say.
fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}

fn size(text: &str) -> Result<u64> {
    let at = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let unit = match &text[at..] {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        other => return Err(format!("{other:?} is no unit: B, KiB, MiB or GiB").into()),
    };
    Ok(text[..at].parse::<u64>()? * unit)
}

fn identity(pem: &IdentityPem) -> Result<Identity> {
    Ok(Identity::from_pem(&pem.cert, &pem.key, &pem.ca)?)
}

async fn node(identity: Identity) -> Result<Node> {
    let mut config = NodeConfig::actors(identity, "127.0.0.1:0".parse()?);
    config.threads = 1;
    Ok(Node::start(Host::os(), config).await?)
}

/// The process that has the bytes. Its orders are three texts on its standard input, and it ends with it.
fn far_side() -> Result<()> {
    let part = || -> Result<String> {
        let mut text = Vec::new();
        std::io::stdin().lock().read_until(0, &mut text)?;
        text.pop();
        Ok(String::from_utf8(text)?)
    };
    let pem = IdentityPem { cert: part()?, key: part()?, ca: part()? };
    rt::run(2, async {
        let node = node(identity(&pem)?).await?;
        node.system().spawn_remote(ActorName::new("archive")?, SpawnOptions::default(), Archive::default)?;
        writeln!(std::io::stdout(), "{}", node.address())?;
        rt::Blocking::new(1).run(|| std::io::stdin().read_to_end(&mut Vec::new())).await??;
        node.stop(Duration::from_secs(5)).await;
        Ok(())
    })?
}

/// Ends with its standard input, which is closed when this is dropped.
struct Far(Child, Option<ChildStdin>);

impl Drop for Far {
    fn drop(&mut self) {
        drop(self.1.take());
        let _ = self.0.wait();
    }
}

fn near_side(bytes: u64, item: usize) -> Result<()> {
    let now = Host::os().wall_clock();
    let authority = Authority::new("transfer", now)?;
    let (near, far) = (NodeName::new("near")?, NodeName::new("far")?);
    let issue = |name| authority.issue(name, now, Duration::from_secs(86_400));
    let pem = issue(&far)?.to_pem();

    let mut child = Command::new(std::env::current_exe()?).arg(FAR_SIDE).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    let mut process = Far(child, stdin);
    for text in [pem.cert, pem.key, pem.ca] {
        let stdin = process.1.as_mut().ok_or("the far process has an input")?;
        write!(stdin, "{text}\0")?;
        stdin.flush()?;
    }
    let mut address = String::new();
    BufReader::new(stdout.ok_or("the far process has an output")?).read_line(&mut address)?;

    rt::run(2, async {
        let node = node(issue(&near)?).await?;
        node.dial(far.clone(), address.trim().parse()?).await?;
        let archive = node.actor::<Archive>(&far, "archive").ok_or("it is elsewhere")?;
        let since = Instant::now();
        let mut items = archive.ask(Fetch { bytes, item }).await?;
        let (mut got, mut hash) = (0, Hash::default());
        while let Some(item) = items.next().await? {
            got += item.len() as u64;
            hash.add(&item);
        }
        let seconds = since.elapsed().as_secs_f64();
        let (theirs, their_peak) = archive.ask(Summary).await?;
        let mut out = std::io::stdout();
        writeln!(out, "{got} of {bytes} bytes in {seconds:.1} s, {:.0} MiB/s", got as f64 / seconds / f64::from(1 << 20))?;
        writeln!(out, "hash {}: {:016x} here, {theirs:016x} there", if hash.0 == theirs { "equal" } else { "DIFFERS" }, hash.0)?;
        writeln!(out, "peak memory {} MiB here, {} MiB there", peak_memory() >> 10, their_peak >> 10)?;
        node.stop(Duration::from_secs(5)).await;
        if got == bytes && hash.0 == theirs { Ok(()) } else { Err("what arrived is not what was sent".into()) }
    })?
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        [FAR_SIDE] => far_side(),
        [] => near_side(1 << 30, 1 << 20),
        [bytes] => near_side(size(bytes)?, 1 << 20),
        [bytes, item, ..] => near_side(size(bytes)?, size(item)?.try_into()?),
    }
}
