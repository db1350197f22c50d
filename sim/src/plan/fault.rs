//! The kinds of faults.

use serde::{Deserialize, Serialize};

/// One fault: a small value with one verb. It ends by itself after its time, so that a plan needs no pairs.
///
/// Times are virtual milliseconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Fault {
    /// A node loses its power. What it did not make durable is lost, torn or kept.
    Crash {
        /// Which.
        node: String,
        /// It comes back after so long; `null`: when the load is over, or never, as the scenario says.
        down_ms: Option<u64>,
        /// Its disk is gone with it.
        lose_disk: bool,
    },
    /// A node is stopped in good order.
    Stop {
        /// Which.
        node: String,
        /// It comes back after so long; `null`: as for a crash.
        down_ms: Option<u64>,
    },
    /// A node's process stands still, as in a long collection of garbage or under a debugger.
    Pause {
        /// Which.
        node: String,
        /// For so long.
        ms: u64,
    },
    /// No datagram passes between two nodes.
    Cut {
        /// From here...
        from: String,
        /// ...to there...
        to: String,
        /// ...and not back, if `false`.
        one_way: bool,
        /// For so long.
        ms: u64,
    },
    /// A node reaches nobody, and nobody it.
    Isolate {
        /// Which.
        node: String,
        /// For so long.
        ms: u64,
    },
    /// Nodes are cut off from everybody one after the other, and reach everybody again one after the other in another order: so a part of the
    /// cluster sees another part with ever other members missing. In the first half of the time they go, in the second they come back.
    Swizzle {
        /// Which, in the order in which they go.
        nodes: Vec<String>,
        /// The same ones, in the order in which they come back.
        back: Vec<String>,
        /// For so long.
        ms: u64,
    },
    /// The way from one node to another is worse than the climate, in one direction.
    Link {
        /// From here...
        from: String,
        /// ...to there.
        to: String,
        /// More latency, in milliseconds.
        latency_ms: u64,
        /// Datagrams lost, parts per million.
        loss_ppm: u32,
        /// Datagrams that arrive twice, parts per million.
        #[serde(default, skip_serializing_if = "is_zero")]
        duplication_ppm: u32,
        /// What may come on top of the latency of each datagram, in milliseconds, so that later ones overtake it.
        #[serde(default, skip_serializing_if = "is_zero")]
        jitter_ms: u32,
        /// Copies with a flipped bit, parts per million.
        corruption_ppm: u32,
        /// Longer datagrams are lost; 0: none is too long.
        mtu: u64,
        /// Bytes per second; 0: without bound.
        bandwidth: u64,
        /// For so long.
        ms: u64,
    },
    /// A node's address changes; its sockets stay open.
    Move {
        /// Which.
        node: String,
    },
    /// A node's wall clock is wrong: at once by `jump_ms`, then by more and more.
    Clock {
        /// Which.
        node: String,
        /// Forwards, or backwards.
        jump_ms: i64,
        /// Parts per million by which it is fast, or slow.
        drift_ppm: i64,
        /// Until it is right again.
        ms: u64,
    },
    /// A node's disk misbehaves.
    Disk {
        /// Which node's.
        node: String,
        /// How...
        trouble: DiskTrouble,
        /// ...and how hard: of errors and lost syncs parts per million, of a full disk the bytes that there is room for, of a slow one
        /// the microseconds that each call takes.
        hard: u64,
        /// With what is in this folder, or this file; empty: with all.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        under: String,
        /// For so long.
        ms: u64,
    },
    /// A node's tasks run late, as under pressure of memory: each turn is put off.
    SlowPolls {
        /// Which.
        node: String,
        /// By at most so many microseconds a turn.
        us: u64,
        /// For so long.
        ms: u64,
    },
    /// Something that only the scenario knows.
    Own {
        /// What.
        name: String,
        /// What it is about, as the scenario counts.
        numbers: Vec<u64>,
        /// For so long.
        ms: u64,
    },
}

/// How a disk misbehaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DiskTrouble {
    /// A sync says that all is well, and makes nothing durable.
    LostSync,
    /// A bit of a file flips.
    BitRot,
    /// Reads fail.
    ReadError,
    /// Writes fail.
    WriteError,
    /// There is no room for more.
    Full,
    /// Each call takes long.
    Slow,
}

impl Fault {
    /// Its kind, as it is counted: a word for each variant, and for each trouble of a disk.
    pub fn kind(&self) -> &'static str {
        match self {
            Fault::Crash { lose_disk: true, .. } => "lose-disk",
            Fault::Crash { .. } => "crash",
            Fault::Stop { .. } => "stop",
            Fault::Pause { .. } => "pause",
            Fault::Cut { one_way: true, .. } => "one-way",
            Fault::Cut { .. } => "cut",
            Fault::Isolate { .. } => "isolate",
            Fault::Swizzle { .. } => "swizzle",
            Fault::Link { .. } => "link",
            Fault::Move { .. } => "move",
            Fault::Clock { .. } => "clock",
            Fault::Disk { trouble, .. } => trouble.kind(),
            Fault::SlowPolls { .. } => "slow-polls",
            Fault::Own { .. } => "own",
        }
    }

    /// For how long it is at work; `None`: it happens at once, or without an end of its own.
    pub fn lasts_ms(&self) -> Option<u64> {
        match self {
            Fault::Crash { down_ms, .. } | Fault::Stop { down_ms, .. } => *down_ms,
            Fault::Move { .. } => None,
            Fault::Pause { ms, .. }
            | Fault::Cut { ms, .. }
            | Fault::Isolate { ms, .. }
            | Fault::Swizzle { ms, .. }
            | Fault::Link { ms, .. }
            | Fault::Clock { ms, .. }
            | Fault::Disk { ms, .. }
            | Fault::SlowPolls { ms, .. }
            | Fault::Own { ms, .. } => Some(*ms),
        }
    }

    /// The nodes that it befalls.
    pub fn nodes(&self) -> Vec<&str> {
        match self {
            Fault::Cut { from, to, .. } | Fault::Link { from, to, .. } => vec![from, to],
            Fault::Crash { node, .. }
            | Fault::Stop { node, .. }
            | Fault::Pause { node, .. }
            | Fault::Isolate { node, .. }
            | Fault::Move { node }
            | Fault::Clock { node, .. }
            | Fault::Disk { node, .. }
            | Fault::SlowPolls { node, .. } => vec![node],
            // Those who come back and never went would be a mistake, too.
            Fault::Swizzle { nodes, back, .. } => {
                nodes.iter().chain(back.iter().filter(|node| !nodes.contains(node))).map(String::as_str).collect()
            }
            Fault::Own { .. } => Vec::new(),
        }
    }

    /// What is left of it when a node does not take part; `None` when nothing is.
    pub fn sparing(&self, node: &str) -> Option<Fault> {
        match self {
            Fault::Swizzle { nodes, back, ms } => {
                let others = |names: &[String]| names.iter().filter(|name| *name != node).cloned().collect::<Vec<_>>();
                let (nodes, back) = (others(nodes), others(back));
                (!nodes.is_empty()).then_some(Fault::Swizzle { nodes, back, ms: *ms })
            }
            _ => (!self.nodes().contains(&node)).then(|| self.clone()),
        }
    }

    /// Weaker forms of it, the weakest first: shorter, and less of each hardness.
    pub fn weaker(&self) -> Vec<Fault> {
        let mut forms = Vec::new();
        let mut push = |change: &dyn Fn(&mut Fault)| {
            let mut form = self.clone();
            change(&mut form);
            if form != *self && !forms.contains(&form) {
                forms.push(form);
            }
        };
        for divisor in [16, 4, 2] {
            push(&|form| {
                if let Some(ms) = form.ms_mut() {
                    *ms = round(*ms / divisor);
                }
            });
        }
        match self {
            Fault::Crash { .. } => push(&|form| {
                if let Fault::Crash { lose_disk, .. } = form {
                    *lose_disk = false;
                }
            }),
            Fault::Cut { .. } => push(&|form| {
                if let Fault::Cut { one_way, .. } = form {
                    *one_way = true;
                }
            }),
            Fault::Swizzle { nodes, .. } => {
                for gone in nodes {
                    push(&|form| {
                        if let Fault::Swizzle { nodes, back, .. } = form {
                            nodes.retain(|node| node != gone);
                            back.retain(|node| node != gone);
                        }
                    });
                }
            }
            Fault::Link { .. } => {
                for part in 0..7 {
                    push(&|form| {
                        if let Fault::Link {
                            latency_ms,
                            loss_ppm,
                            duplication_ppm,
                            jitter_ms,
                            corruption_ppm,
                            mtu,
                            bandwidth,
                            ..
                        } = form
                        {
                            match part {
                                0 => *latency_ms = 0,
                                1 => *loss_ppm = 0,
                                2 => *corruption_ppm = 0,
                                3 => *mtu = 0,
                                4 => *duplication_ppm = 0,
                                5 => *jitter_ms = 0,
                                _ => *bandwidth = 0,
                            }
                        }
                    });
                }
            }
            Fault::Clock { .. } => {
                push(&|form| {
                    if let Fault::Clock { drift_ppm, .. } = form {
                        *drift_ppm = 0;
                    }
                });
                push(&|form| {
                    if let Fault::Clock { jump_ms, .. } = form {
                        *jump_ms /= 2;
                    }
                });
            }
            _ => {}
        }
        forms
    }

    fn ms_mut(&mut self) -> Option<&mut u64> {
        match self {
            Fault::Crash { down_ms, .. } | Fault::Stop { down_ms, .. } => down_ms.as_mut(),
            Fault::Move { .. } => None,
            Fault::Pause { ms, .. }
            | Fault::Cut { ms, .. }
            | Fault::Isolate { ms, .. }
            | Fault::Swizzle { ms, .. }
            | Fault::Link { ms, .. }
            | Fault::Clock { ms, .. }
            | Fault::Disk { ms, .. }
            | Fault::SlowPolls { ms, .. }
            | Fault::Own { ms, .. } => Some(ms),
        }
    }
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// A number that people read easily, not above `ms`: two leading digits.
pub(crate) fn round(ms: u64) -> u64 {
    let unit = 10u64.pow(ms.checked_ilog10().unwrap_or(0).saturating_sub(1));
    ms / unit * unit
}

impl DiskTrouble {
    fn kind(self) -> &'static str {
        match self {
            DiskTrouble::LostSync => "lost-sync",
            DiskTrouble::BitRot => "bit-rot",
            DiskTrouble::ReadError => "read-error",
            DiskTrouble::WriteError => "write-error",
            DiskTrouble::Full => "disk-full",
            DiskTrouble::Slow => "slow-disk",
        }
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let back = |ms: &Option<u64>| ms.map_or_else(String::new, |ms| format!(", back after {ms} ms"));
        match self {
            Fault::Crash { node, down_ms, lose_disk } => {
                write!(f, "{node} loses its power{}{}", if *lose_disk { " and its disk" } else { "" }, back(down_ms))
            }
            Fault::Stop { node, down_ms } => write!(f, "{node} is stopped{}", back(down_ms)),
            Fault::Pause { node, ms } => write!(f, "{node} stands still for {ms} ms"),
            Fault::Cut { from, to, one_way: true, ms } => write!(f, "nothing passes from {from} to {to} for {ms} ms"),
            Fault::Cut { from, to, one_way: false, ms } => write!(f, "{from} and {to} are cut off from each other for {ms} ms"),
            Fault::Isolate { node, ms } => write!(f, "{node} is cut off from everybody for {ms} ms"),
            Fault::Swizzle { nodes, back, ms } => {
                write!(f, "{} go one after the other and come back as {}, within {ms} ms", nodes.join(", "), back.join(", "))
            }
            Fault::Link { from, to, latency_ms, loss_ppm, duplication_ppm, jitter_ms, corruption_ppm, mtu, bandwidth, ms } => {
                write!(f, "from {from} to {to} for {ms} ms:")?;
                let parts = [
                    (*latency_ms, format!(" {latency_ms} ms more")),
                    (u64::from(*jitter_ms), format!(" up to {jitter_ms} ms more")),
                    (u64::from(*loss_ppm), format!(" {} lost", percent(*loss_ppm))),
                    (u64::from(*duplication_ppm), format!(" {} doubled", percent(*duplication_ppm))),
                    (u64::from(*corruption_ppm), format!(" {} corrupted", percent(*corruption_ppm))),
                    (*mtu, format!(" at most {mtu} bytes a datagram")),
                    (*bandwidth, format!(" {bandwidth} bytes a second")),
                ];
                parts.iter().filter(|(amount, _)| *amount > 0).try_for_each(|(_, text)| f.write_str(text))
            }
            Fault::Move { node } => write!(f, "{node} has another address"),
            Fault::Clock { node, jump_ms, drift_ppm, ms } => {
                write!(f, "{node}'s clock jumps by {jump_ms} ms and drifts by {drift_ppm} ppm, for {ms} ms")
            }
            Fault::Disk { node, trouble, hard, under, ms } => {
                let under = if under.is_empty() { String::new() } else { format!(" under {under}") };
                write!(f, "{node}'s disk{under}: {} ({hard}) for {ms} ms", trouble.kind())
            }
            Fault::SlowPolls { node, us, ms } => write!(f, "{node}'s tasks run up to {us} us late for {ms} ms"),
            Fault::Own { name, numbers, ms } => write!(f, "{name} {numbers:?} for {ms} ms"),
        }
    }
}

/// Parts per million, for people.
pub(crate) fn percent(ppm: u32) -> String {
    format!("{} %", f64::from(ppm) / 10_000.0)
}
