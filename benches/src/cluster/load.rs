//! The load, the same for all: clients that put, and how long each put took.

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::Members;
use crate::options::Plan;

/// Bytes of a command: its key and its value.
const KEY: usize = 16;
const VALUE: usize = 48;

/// After so long without an answer another member is asked.
const PATIENCE: Duration = Duration::from_millis(200);
/// Something that takes longer than this is stuck.
const STUCK: Duration = Duration::from_secs(60);

/// A key and its value.
pub(super) type Put = (Bytes, Bytes);

/// So many clients, each with one batch under way, until so many are acknowledged.
#[derive(Clone, Copy)]
pub(super) struct Load {
    pub(super) flights: usize,
    pub(super) commands: usize,
    pub(super) batches: usize,
    /// A power of two. When there are fewer than commands, they are written over: the store stays small, the log does not.
    pub(super) keys: u64,
}

impl Load {
    pub(super) fn sized(self, plan: &Plan) -> Load {
        Load { batches: plan.size(self.batches).max(self.flights), ..self }
    }
}

/// Speaks to three members. Clones share their connections.
pub(super) trait Client: Clone + Send + Sync + 'static {
    /// Has the commands applied, all or none: acknowledged, they are on the disks of a majority.
    fn put(&self, member: usize, puts: Vec<Put>) -> impl Future<Output = Result<(), String>> + Send;

    /// Who leads, as this member knows it.
    fn leader(&self, member: usize) -> impl Future<Output = Option<usize>> + Send;

    /// Connections to all members, for as long as it and its clones live.
    fn connect(self) -> impl Future<Output = Result<Self, String>> + Send;
}

/// What came of a load.
pub(super) struct Told {
    took: Duration,
    commands: usize,
    /// Of each batch, sorted.
    times: Vec<Duration>,
}

impl Told {
    /// Commands a second.
    pub(super) fn rate(&self) -> f64 {
        self.commands as f64 / self.took.as_secs_f64()
    }

    pub(super) fn percentile(&self, percent: usize) -> Duration {
        let at = (self.times.len() * percent).div_ceil(100).saturating_sub(1);
        self.times.get(at).copied().unwrap_or_default()
    }
}

/// A batch whose keys depend on its number alone. Each key comes once before one comes again.
fn batch(number: usize, commands: usize, keys: u64) -> Vec<Put> {
    let key = |at: usize| ((number * commands + at) as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) & (keys - 1);
    let put = |at| (Bytes::from(format!("{:0KEY$}", key(at))), Bytes::from(vec![b'v'; VALUE]));
    (0..commands).map(put).collect()
}

pub(super) fn run<C: Client>(client: C, load: Load) -> Result<Told, String> {
    let all = async move {
        let client = client.connect().await?;
        let leader = leader(&client).await?;
        let began = Instant::now();
        let flights: Vec<_> = (0..load.flights)
            .map(|flight| {
                let client = client.clone();
                playhouse_rt::spawn(async move {
                    let mut times = Vec::new();
                    for number in (flight..load.batches).step_by(load.flights) {
                        let puts = batch(number, load.commands, load.keys);
                        let since = Instant::now();
                        client.put(leader, puts).await?;
                        times.push(since.elapsed());
                    }
                    Ok::<_, String>(times)
                })
            })
            .collect();
        let mut times = Vec::new();
        for flight in flights {
            times.extend(flight.await.map_err(|lost| lost.to_string())??);
        }
        let took = began.elapsed();
        times.sort();
        Ok(Told { took, commands: load.batches * load.commands, times })
    };
    playhouse_rt::run(0, async { playhouse_rt::timeout(STUCK, all).await })
        .map_err(|e| e.to_string())?
        .map_err(|e| e.to_string())?
}

/// Who leads, once all say the same.
async fn leader<C: Client>(client: &C) -> Result<usize, String> {
    let agreed = async {
        loop {
            let mut said = Vec::new();
            for member in 0..3 {
                said.push(client.leader(member).await);
            }
            match said[0] {
                Some(leader) if said.iter().all(|one| *one == Some(leader)) => return leader,
                // Nobody tells when all know it.
                _ => playhouse_rt::sleep(Duration::from_millis(20)).await,
            }
        }
    };
    playhouse_rt::timeout(STUCK, agreed).await.map_err(|_| format!("no leader within {STUCK:?}"))
}

/// Kills the leader: how long until a put is acknowledged that began after it. Starts it again, and waits until it follows.
pub(super) fn kill<M: Members>(members: &mut M) -> Result<Duration, String> {
    let client = members.client();
    let all = async {
        let client = client.connect().await?;
        let leader = leader(&client).await?;
        client.put(leader, batch(0, 1, 1)).await?;
        let since = Instant::now();
        members.kill(leader)?;
        let mut others = (0..3).filter(|member| *member != leader).cycle();
        let acknowledged = async {
            loop {
                let Some(member) = others.next() else { return };
                let put = playhouse_rt::timeout(PATIENCE, client.put(member, batch(0, 1, 1))).await;
                if matches!(put, Ok(Ok(()))) {
                    return;
                }
                // Who does not know a leader says so at once.
                playhouse_rt::sleep(Duration::from_millis(5)).await;
            }
        };
        playhouse_rt::timeout(STUCK, acknowledged).await.map_err(|_| format!("no acknowledgement within {STUCK:?}"))?;
        let took = since.elapsed();
        members.start(leader)?;
        Ok::<_, String>(took)
    };
    let took = playhouse_rt::run(0, all).map_err(|error| error.to_string())??;
    // With connections of its own: all three know who leads before the next one is killed.
    let client = members.client();
    let settled = async { leader(&client.connect().await?).await };
    playhouse_rt::run(0, settled).map_err(|error| error.to_string())??;
    Ok(took)
}
