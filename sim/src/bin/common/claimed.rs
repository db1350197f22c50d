//! What the seeds of a range claimed together.

use std::collections::BTreeMap;

use serde_json::Value;

use super::out;

/// The claims of a range of seeds.
pub(crate) struct Claimed {
    /// How many seeds met each thing that should happen sometimes.
    pub(crate) sometimes: BTreeMap<String, u64>,
    /// How often each `buggify!` has fired.
    pub(crate) buggify: BTreeMap<String, u64>,
}

impl Claimed {
    /// Of no seed yet; `expected` is known even if no seed ever passes it.
    pub(crate) fn new(expected: &[&str]) -> Claimed {
        Claimed { sometimes: expected.iter().map(|what| (what.to_string(), 0)).collect(), buggify: BTreeMap::new() }
    }

    /// Adds a seed's report.
    pub(crate) fn add(&mut self, report: &Value) {
        let counts =
            |key: &str| report[key].as_object().into_iter().flatten().map(|(name, count)| (name.clone(), count.as_u64()));
        for (what, times) in counts("sometimes") {
            *self.sometimes.entry(what).or_default() += u64::from(times > Some(0));
        }
        for (site, fired) in counts("buggify") {
            *self.buggify.entry(site).or_default() += fired.unwrap_or(0);
        }
    }

    /// What happened with no seed.
    pub(crate) fn never(&self) -> Vec<&str> {
        self.sometimes.iter().filter(|(_, seeds)| **seeds == 0).map(|(what, _)| what.as_str()).collect()
    }

    /// For a person.
    pub(crate) fn show(&self) {
        let list =
            |counts: &BTreeMap<String, u64>| counts.iter().map(|(name, count)| format!("{name} {count}")).collect::<Vec<_>>();
        if !self.buggify.is_empty() {
            out(&format!("  buggify: {}", list(&self.buggify).join(", ")));
        }
        out(&format!("  seeds that reached: {}", list(&self.sometimes).join(", ")));
        for what in self.never() {
            out(&format!("  no seed of this range reached: {what}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn seeds_are_counted_and_what_never_happened_is_named() {
        let mut claimed = Claimed::new(&["cut", "unheard"]);
        claimed.add(&json!({ "sometimes": { "cut": 3, "huge": 0 }, "buggify": { "short": 4 } }));
        claimed.add(&json!({ "sometimes": { "cut": 1 }, "buggify": { "short": 1, "slow": 0 } }));
        // A process that gave no report.
        claimed.add(&json!({ "seed": 7 }));
        assert_eq!(
            claimed.sometimes.iter().map(|(what, seeds)| (what.as_str(), *seeds)).collect::<Vec<_>>(),
            [("cut", 2), ("huge", 0), ("unheard", 0)]
        );
        assert_eq!(claimed.never(), ["huge", "unheard"]);
        assert_eq!((claimed.buggify["short"], claimed.buggify["slow"]), (5, 0));
    }
}
