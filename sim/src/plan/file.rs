//! Plans in files: what a failure needs, and what it was found with.

use std::fmt;
use std::path::Path;
use std::process::Command;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Plan;

/// The form of a plan's file.
pub const FORMAT: &str = "playhouse-plan-1";

/// A saved plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanFile {
    /// [`FORMAT`].
    pub format: String,
    /// The scenario that it is for.
    pub scenario: String,
    /// The seed that drew it; it is not needed to run it again.
    pub seed: u64,
    /// The bug that was put in on purpose, if one was.
    pub bug: Option<String>,
    /// The depth of probabilistic concurrency testing, if tasks were ordered by priorities.
    #[serde(default)]
    pub pct: Option<u32>,
    /// How the run ended when the plan was saved: as [`crate::verdict::Verdict::json`] gives it; `null` when all promises held.
    pub verdict: Value,
    /// What it was found with.
    pub built: Built,
    /// What befalls the run.
    pub plan: Plan,
}

/// What a simulator was built from. A seed means the same history only to the same build; a plan survives longer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Built {
    /// The commit of the checkout, with a `+` if it was changed since; empty when there is no repository.
    pub commit: String,
    /// The compiler.
    pub rustc: String,
    /// FNV-1a of the lock file, in hexadecimal digits; empty when there is none.
    pub lock: String,
}

impl Built {
    /// Of this program, whose sources lie at `root`.
    pub fn of(root: &Path) -> Built {
        let git = |arguments: &[&str]| {
            let output = Command::new("git").arg("-C").arg(root).args(arguments).output().ok()?;
            output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_string())
        };
        let commit = git(&["rev-parse", "--short=12", "HEAD"]).unwrap_or_default();
        let changed = git(&["status", "--porcelain", "--untracked-files=no"]).is_some_and(|status| !status.is_empty());
        let lock = std::fs::read(root.join("Cargo.lock")).map(|bytes| format!("{:016x}", fnv1a(&bytes))).unwrap_or_default();
        Built { commit: format!("{commit}{}", if changed { "+" } else { "" }), rustc: env!("PLAYHOUSE_RUSTC").into(), lock }
    }
}

/// FNV-1a with 64 bits, http://www.isthe.com/chongo/tech/comp/fnv/
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325u64, |h, b| (h ^ u64::from(*b)).wrapping_mul(0x0000_0100_0000_01b3))
}

impl PlanFile {
    /// Reads what [`PlanFile::text`] wrote.
    ///
    /// # Errors
    /// When it is something else, or of a form that this program does not know.
    pub fn parse(text: &str) -> Result<PlanFile, FileError> {
        let value: Value = serde_json::from_str(text).map_err(|error| FileError(format!("it is no JSON: {error}")))?;
        match value["format"].as_str() {
            Some(FORMAT) => {}
            Some(other) => return Err(FileError(format!("its format is {other:?}; this program reads {FORMAT:?}"))),
            None => return Err(FileError(format!("it has no \"format\"; a plan's file says {FORMAT:?} there"))),
        }
        serde_json::from_value(value).map_err(|error| FileError(format!("it is not a whole plan: {error}")))
    }

    /// As a file: JSON for people, one line a fault.
    pub fn text(&self) -> String {
        // Faults on lines of their own read better than serde_json's one line a field.
        let mut shell = self.clone();
        let faults = std::mem::take(&mut shell.plan.faults);
        let text = serde_json::to_string_pretty(&shell).unwrap_or_default();
        let lines: Vec<String> =
            faults.iter().map(|fault| format!("      {}", serde_json::to_string(fault).unwrap_or_default())).collect();
        let list = if lines.is_empty() { "[]".to_string() } else { format!("[\n{}\n    ]", lines.join(",\n")) };
        // The last one: what was seen may say so, too.
        const EMPTY: &str = "\"faults\": []";
        let at = text.rfind(EMPTY).unwrap_or(text.len());
        let after = text.get(at + EMPTY.len()..).unwrap_or_default();
        format!("{}\"faults\": {list}{after}\n", &text[..at])
    }
}

/// Why a text is no plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileError(String);

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for FileError {}

#[cfg(test)]
mod tests {
    use super::super::{Draw, Fault, Offer};
    use super::*;

    fn file(seed: u64) -> PlanFile {
        let mut draw = Draw::new(seed);
        draw.dial("files", 8, (150, 300));
        draw.swarm(500, &[Offer::new(90, 5, |random| Fault::Pause { node: "a".into(), ms: random.between(1, 900) })]);
        let built = Built { commit: "0123".into(), rustc: "rustc".into(), lock: "89ab".into() };
        let verdict = serde_json::json!({ "kind": "broken", "promise": "p", "seen": "\"faults\": [] was seen" });
        PlanFile {
            format: FORMAT.into(),
            scenario: "demo".into(),
            seed,
            bug: None,
            pct: Some(3),
            verdict,
            built,
            plan: draw.finish(),
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        for seed in 0..50 {
            let file = file(seed);
            let text = file.text();
            assert_eq!(PlanFile::parse(&text), Ok(file), "{text}");
        }
    }

    #[test]
    fn what_is_no_plan_is_refused_with_the_reason() {
        let refused = |text: &str| PlanFile::parse(text).unwrap_err().to_string();
        let text = file(1).text();
        assert!(refused("not json").contains("no JSON"));
        assert!(refused("{}").contains("\"format\""));
        assert!(refused(&text.replace(FORMAT, "playhouse-plan-9")).contains("playhouse-plan-9"));
        assert!(refused(&text.replace("\"dice\"", "\"mice\"")).contains("not a whole plan"));
        let turns = serde_json::json!(vec![super::super::Turn { at_us: 1, dice: 2 }; 65]);
        let many = refused(&text.replace("\"dice\"", &format!("\"turns\": {turns}, \"dice\"")));
        assert!(many.contains("65 turns") && many.contains("64 is the most"), "{many}");
        assert!(refused(&text.replace("\"kind\":\"pause\"", "\"kind\":\"meteor\"")).contains("meteor"), "{text}");
    }

    #[test]
    fn a_seed_draws_one_plan_and_faults_come_in_the_order_of_time() {
        let plans: Vec<Plan> = (0..50).map(|seed| file(seed).plan).collect();
        assert_eq!(plans, (0..50).map(|seed| file(seed).plan).collect::<Vec<_>>());
        assert!(plans.iter().all(|plan| plan.faults.is_sorted_by_key(|timed| timed.at_ms)));
        // Some runs lack the kind altogether, others have several.
        assert!(plans.iter().any(|plan| plan.faults.is_empty()) && plans.iter().any(|plan| plan.faults.len() > 3));
    }
}
