//! A node's supervisors, and the actors that nobody supervises, as text.

use std::collections::BTreeSet;
use std::fmt;

use playhouse_actors::supervise::Report;
use playhouse_actors::{ActorStatus, System};
use playhouse_wire::ActorName;

use crate::limits::{ACTORS_LOOKED_AT, TREE_ACTORS, TREE_SUPERVISORS, TREE_WITHIN};

/// The supervisors of a node with all below them, then the actors that nobody supervises; see [`crate::Node::tree`]. Its `Display` is
/// the tree.
#[derive(Clone, Debug)]
pub struct Tree {
    /// Each top-level supervisor, or why it has no report.
    supervisors: Vec<Result<Report, (ActorName, String)>>,
    supervisors_left_out: usize,
    actors: Vec<ActorStatus>,
    actors_left_out: usize,
}

pub(crate) async fn tree(system: &System) -> Tree {
    let mut top = system.supervisors();
    let supervisors_left_out = top.len().saturating_sub(TREE_SUPERVISORS);
    top.truncate(TREE_SUPERVISORS);
    let deadline = playhouse_rt::now() + TREE_WITHIN;
    let mut below = BTreeSet::new();
    let mut supervisors = Vec::new();
    for supervisor in top {
        below.insert(supervisor.name().to_string());
        let left = deadline.saturating_duration_since(playhouse_rt::now());
        supervisors.push(match playhouse_rt::timeout(left, supervisor.report()).await {
            Ok(Ok(report)) => {
                names(&report, &mut below);
                Ok(report)
            }
            Ok(Err(error)) => Err((supervisor.name().clone(), error.to_string())),
            Err(_) => Err((supervisor.name().clone(), "it did not report in time".into())),
        });
    }
    // A child is named after its supervisor, also under one that did not report.
    let silent: Vec<String> =
        supervisors.iter().filter_map(|one| one.as_ref().err()).map(|(name, _)| format!("{name}/")).collect();
    let mut actors = system.actors(ACTORS_LOOKED_AT);
    actors.retain(|actor| {
        let name = actor.name.as_str();
        !below.contains(name) && !silent.iter().any(|silent| name.starts_with(silent.as_str()))
    });
    let actors_left_out = actors.len().saturating_sub(TREE_ACTORS);
    actors.truncate(TREE_ACTORS);
    Tree { supervisors, supervisors_left_out, actors, actors_left_out }
}

/// The names of all below a supervisor.
fn names(report: &Report, below: &mut BTreeSet<String>) {
    for child in &report.children {
        below.insert(format!("{}/{}", report.name, child.name));
        if let Some(report) = &child.below {
            names(report, below);
        }
    }
}

impl fmt::Display for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for supervisor in &self.supervisors {
            match supervisor {
                Ok(report) => write!(f, "{report}")?,
                Err((name, why)) => writeln!(f, "{name}: {why}")?,
            }
        }
        if self.supervisors_left_out > 0 {
            writeln!(f, "and {} more supervisors", self.supervisors_left_out)?;
        }
        if self.actors.is_empty() {
            return Ok(());
        }
        writeln!(f, "under no supervisor:")?;
        for ActorStatus { name, kind, depth, bound, restarts, .. } in &self.actors {
            write!(f, "  {name}: {kind}, {depth} of {bound} messages wait")?;
            match restarts {
                0 => writeln!(f)?,
                1 => writeln!(f, ", 1 restart")?,
                n => writeln!(f, ", {n} restarts")?,
            }
        }
        if self.actors_left_out > 0 {
            writeln!(f, "  and {} more", self.actors_left_out)?;
        }
        Ok(())
    }
}
