//! What all actors of a system share, and what a reference to one may keep alive after the system is gone: no threads.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use playhouse_wire::{Incarnation, NodeName, Trace};
use tracing::level_filters::LevelFilter;

use crate::counters::Totals;
use crate::doors::Doors;
use crate::letters::Letters;
use crate::planted::Planted;

pub(crate) struct Common {
    pub(crate) node: NodeName,
    pub(crate) life: Incarnation,
    pub(crate) totals: Totals,
    pub(crate) letters: Letters,
    pub(crate) doors: Doors,
    /// Somebody wants to know how long messages wait and are handled.
    pub(crate) timed: AtomicBool,
    /// When the system began.
    pub(crate) began: Instant,
    spans: AtomicU64,
    pub(crate) bugs: OnceLock<Planted>,
}

impl Common {
    pub(crate) fn new(node: NodeName, life: Incarnation) -> Common {
        Common {
            node,
            life,
            totals: Totals::default(),
            letters: Letters::default(),
            doors: Doors::default(),
            timed: AtomicBool::new(false),
            began: playhouse_rt::now(),
            spans: AtomicU64::new(1),
            bugs: OnceLock::new(),
        }
    }

    /// The bugs that were put in on purpose.
    #[inline]
    pub(crate) fn planted(&self) -> Planted {
        self.bugs.get().copied().unwrap_or_default()
    }

    #[inline]
    pub(crate) fn timed(&self) -> bool {
        self.timed.load(Ordering::Relaxed)
    }

    /// The trace that a message sent now is part of: that of the message being handled, or a new one if somebody listens.
    #[inline]
    pub(crate) fn trace(&self, current: Option<Trace>) -> Option<Trace> {
        if current.is_some()
            || LevelFilter::current() < LevelFilter::DEBUG
            || !tracing::enabled!(target: "playhouse::message", tracing::Level::DEBUG)
        {
            return current;
        }
        let span = self.span();
        Some(Trace { id: u128::from(self.life.0) << 64 | u128::from(span), span })
    }

    /// A number for a span: unlike those of other nodes with near certainty, and the same in each run of a simulation.
    pub(crate) fn span(&self) -> u64 {
        let count = self.spans.fetch_add(1, Ordering::Relaxed);
        // FNV-1a: any spread does, and this one needs no table.
        let node =
            self.node.as_str().bytes().fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
        node ^ self.life.0.rotate_left(32) ^ count
    }
}
