//! How long a heartbeat is on its way, while nothing else is sent and beside a flow of 1 MiB messages.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use playhouse::prelude::*;
use playhouse_rt::interval;

use super::{FAR, Wire, ours};

pub(crate) const BESIDE_NOTE: &str = "one way, by the machine's clock, from the tell to the handler, as a datagram of 32 bytes; beside tells of 1 MiB on the bulk lane, as fast as they are taken";
pub(crate) const IDLE_NOTE: &str = "the same connection with nothing else on it";

const BEATS: &str = "beats";
/// Another actor: what waits in its mailbox is not what the beats wait for.
const FLOW: &str = "flow";
const BULK: usize = 1024 * 1024;
/// Slower than what a peer takes of datagrams.
const EVERY: Duration = Duration::from_millis(5);
/// The first beats take the lane.
const WARM_UP: usize = 20;

/// Notes how long beats were on their way.
#[derive(Default)]
pub(crate) struct Pulses {
    took: Vec<u64>,
    bulk: u64,
}

#[actor(remote)]
impl Pulses {
    #[message(id = 1, lane = System, unreliable)]
    fn beat(&mut self, sent: u64, _rest: [u8; 24]) {
        self.took.push(now().saturating_sub(sent));
    }

    #[message(id = 2, lane = Bulk)]
    fn bulk(&mut self, bytes: Bytes) {
        self.bulk += bytes.len() as u64;
    }

    /// Nanoseconds of each beat since the last question, and the bytes of bulk.
    #[message(id = 3)]
    fn took(&mut self) -> (Vec<u64>, u64) {
        (std::mem::take(&mut self.took), std::mem::take(&mut self.bulk))
    }
}

/// One clock for both processes, in nanoseconds.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_nanos() as u64)
}

/// On the far side.
pub(super) fn serve(node: &Node) -> Result<[Ref<Pulses>; 2], String> {
    let actor = |name| {
        let name = ActorName::new(name).map_err(|e| e.to_string())?;
        node.system().spawn_remote(name, SpawnOptions::default(), Pulses::default).map_err(|e| e.to_string())
    };
    Ok([actor(BEATS)?, actor(FLOW)?])
}

/// What one round measured, in microseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Beats {
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    /// MB of the flow in a second.
    pub(crate) bulk: f64,
}

/// Sends so many beats, alone or beside a flow.
pub(super) fn measure(wire: Wire, beats: usize, beside: bool) -> Result<Beats, String> {
    ours::with_node(wire, move |node| async move {
        let far = NodeName::new(FAR).map_err(|e| e.to_string())?;
        let actor = |name| node.actor::<Pulses>(&far, name).ok_or("the far actor should be elsewhere");
        let (pulses, flow) = (actor(BEATS)?, actor(FLOW)?);
        let sent = || node.peers().first().map_or(0, |peer| peer.datagrams.sent);
        let mut ticks = interval(EVERY);
        for _ in 0..WARM_UP {
            pulses.tell_beat(now(), [0; 24]).map_err(|e| e.to_string())?;
            ticks.tick().await;
        }
        let flowing = beside.then(|| {
            let flow = flow.clone();
            playhouse_rt::spawn(async move {
                let bytes = Bytes::from(vec![7; BULK]);
                while flow.send_bulk(bytes.clone()).await.is_ok() {}
            })
        });
        // The flow finds its pace.
        for _ in 0..WARM_UP {
            ticks.tick().await;
        }
        drop((pulses.took().await, flow.took().await));
        let (before, since) = (sent(), Instant::now());
        for _ in 0..beats {
            pulses.tell_beat(now(), [0; 24]).map_err(|e| e.to_string())?;
            ticks.tick().await;
        }
        let datagrams = sent() - before;
        let (mut took, _) = pulses.took().await.map_err(|e| e.to_string())?;
        let (_, bulk) = flow.took().await.map_err(|e| e.to_string())?;
        if let Some(flowing) = flowing {
            flowing.abort();
        }
        if datagrams * 10 < beats as u64 * 9 || took.len() * 10 < beats * 9 {
            return Err(format!("{datagrams} of {beats} beats were datagrams, and {} arrived", took.len()));
        }
        if beside != (bulk > 0) {
            return Err(format!("{bulk} bytes of bulk came"));
        }
        took.sort_unstable();
        let at = |part: usize| took[(took.len() * part / 100).min(took.len() - 1)] as f64 / 1e3;
        Ok(Beats { p50: at(50), p99: at(99), bulk: bulk as f64 / 1e6 / since.elapsed().as_secs_f64() })
    })
}
