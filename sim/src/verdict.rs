//! How a run ended.

use serde_json::{Value, json};

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Every promise held.
    Held,
    /// A promise was broken.
    Broken {
        /// Which.
        promise: &'static str,
        /// What was seen instead.
        seen: String,
    },
    /// It did not come to its end in time.
    Stuck(String),
    /// The product panicked outside an actor.
    Crashed(String),
}

impl Verdict {
    /// The exit code of a process whose run ended so.
    pub fn exit_code(&self) -> u8 {
        match self {
            Verdict::Held => 0,
            Verdict::Broken { .. } => 1,
            Verdict::Stuck(_) => 2,
            Verdict::Crashed(_) => 3,
        }
    }

    /// As scripts read it: `null` when all held.
    pub fn json(&self) -> Value {
        match self {
            Verdict::Held => Value::Null,
            Verdict::Broken { promise, seen } => json!({ "kind": "broken", "promise": promise, "seen": seen }),
            Verdict::Stuck(seen) => json!({ "kind": "stuck", "seen": seen }),
            Verdict::Crashed(seen) => json!({ "kind": "crashed", "seen": seen }),
        }
    }

    /// `promise` holds if `held`; else the run is broken, as `seen` says.
    ///
    /// # Errors
    /// When it does not hold.
    pub fn check(promise: &'static str, held: bool, seen: impl FnOnce() -> String) -> Result<(), Verdict> {
        if held { Ok(()) } else { Err(Verdict::Broken { promise, seen: seen() }) }
    }
}
