//! What is run: a seed of a scenario, or a saved plan. And the saved plans of a folder, as a suite.

use std::path::{Path, PathBuf};

use playhouse_sim::plan::{Built, FORMAT, Plan, PlanFile};
use playhouse_sim::scenario::{Scenario, find, find_bug};
use serde_json::{Value, json};

use crate::common::{BAD_USAGE, out};
use crate::pool::{self, Request};
use crate::table::print;

/// The greatest depth of probabilistic concurrency testing.
pub(crate) const DEPTH_MAX: u32 = 20;

/// A run that can be named: what befalls it is drawn from a seed or read from a file.
pub(crate) struct Case {
    scenario: &'static Scenario,
    bug: Option<&'static str>,
    seed: u64,
    pct: Option<u32>,
    /// As it was saved; else it is drawn from the seed.
    saved: Option<PlanFile>,
}

impl Case {
    pub(crate) fn drawn(scenario: &'static Scenario, seed: u64, bug: Option<&'static str>) -> Case {
        Case { scenario, bug, seed, pct: None, saved: None }
    }

    /// The same with tasks ordered by priorities.
    pub(crate) fn with_pct(mut self, pct: Option<u32>) -> Case {
        self.pct = pct;
        self
    }

    /// What a file says.
    pub(crate) fn read(path: &Path) -> Result<Case, String> {
        let text = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let text = String::from_utf8(text).map_err(|_| format!("{}: it is no text, so no plan", path.display()))?;
        let file = PlanFile::parse(&text).map_err(|error| format!("{}: {error}", path.display()))?;
        let scenario = find(&file.scenario)
            .ok_or_else(|| format!("{}: it is for the scenario {:?}, which does not exist", path.display(), file.scenario))?;
        scenario.takes(&file.plan).map_err(|error| format!("{}: {error}", path.display()))?;
        if let Some(depth) = file.pct.filter(|depth| !(1..=DEPTH_MAX).contains(depth)) {
            return Err(format!("{}: its depth (\"pct\") is {depth}; it is from 1 to {DEPTH_MAX}", path.display()));
        }
        let bug = match &file.bug {
            None => None,
            Some(name) => {
                let known = find_bug(name).filter(|bug| bug.scenario == scenario.name).map(|bug| bug.name);
                let why = || format!("{}: {} has no bug {name:?} to put in", path.display(), scenario.name);
                Some(known.ok_or_else(why)?)
            }
        };
        Ok(Case { scenario, bug, seed: file.seed, pct: file.pct, saved: Some(file) })
    }

    pub(crate) fn scenario(&self) -> &'static Scenario {
        self.scenario
    }

    pub(crate) fn bug(&self) -> Option<&'static str> {
        self.bug
    }

    pub(crate) fn pct(&self) -> Option<u32> {
        self.pct
    }

    pub(crate) fn seed(&self) -> u64 {
        self.seed
    }

    pub(crate) fn plan(&self) -> Plan {
        self.saved.as_ref().map_or_else(|| (self.scenario.draw)(self.seed), |file| file.plan.clone())
    }

    /// For people.
    pub(crate) fn title(&self) -> String {
        let bug = self.bug.map(|bug| format!(" with {bug}")).unwrap_or_default();
        let from = if self.saved.is_some() { " (from a file)" } else { "" };
        format!("{} seed {}{bug}{from}", self.scenario.name, self.seed)
    }

    /// What runs it again. A plan from a file is where it was.
    pub(crate) fn command(&self) -> String {
        let bug = self.bug.map(|bug| format!(" --bug {bug}")).unwrap_or_default();
        if self.saved.is_some() {
            return "cargo sim replay --plan FILE".into();
        }
        let pct = self.pct.map(|depth| format!(" --pct {depth}")).unwrap_or_default();
        format!("cargo sim replay {} --seed {}{pct}{bug}", self.scenario.name, self.seed)
    }

    /// For names of files.
    pub(crate) fn slug(&self) -> String {
        let bug = self.bug.map(|bug| format!("-{bug}")).unwrap_or_default();
        let pct = self.pct.map(|depth| format!("-pct{depth}")).unwrap_or_default();
        format!("{}-{}{pct}{bug}", self.scenario.name, self.seed)
    }

    pub(crate) fn request(&self) -> Request {
        let plan = self.saved.as_ref().map(|file| file.plan.clone());
        Request { scenario: self.scenario.name, seed: self.seed, plan, bug: self.bug, pct: self.pct, ..Request::default() }
    }

    /// As a file, with another plan and no verdict yet.
    pub(crate) fn file(&self, plan: Plan) -> PlanFile {
        PlanFile {
            format: FORMAT.into(),
            scenario: self.scenario.name.into(),
            seed: self.seed,
            bug: self.bug.map(str::to_string),
            pct: self.pct,
            verdict: Value::Null,
            built: Built::of(root()),
            plan,
        }
    }
}

/// The folder of the sources, as it was when the simulator was built.
fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// Where plans of failing runs go.
pub(crate) fn folder() -> PathBuf {
    PathBuf::from("target/rehearsals")
}

/// Runs every plan of a folder, each with a few dice. One that was saved with a bug must still find it; one without must hold: the bug that it
/// once found is mended.
pub(crate) fn all(folder: &Path, jobs: usize, as_json: bool) -> u8 {
    let files = std::fs::read_dir(folder).map(|entries| {
        let mut files: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
        files.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
        files.sort();
        files
    });
    let files = match files {
        Ok(files) if !files.is_empty() => files,
        Ok(_) => return bad(&format!("{}: there is no plan in it", folder.display())),
        Err(error) => return bad(&format!("{}: {error}", folder.display())),
    };
    let (mut rows, mut right) = (Vec::new(), 0);
    for path in &files {
        let case = match Case::read(path) {
            Ok(case) => case,
            Err(error) => return bad(&error),
        };
        // Of what was seen, the words may differ; the kind and the promise may not.
        let aim =
            |verdict: &Value| [&verdict["kind"], &verdict["promise"]].map(|part| part.as_str().unwrap_or_default().to_string());
        let wanted = case.saved.as_ref().filter(|_| case.bug.is_some()).map(|file| aim(&file.verdict));
        let plan = case.plan();
        let requests = plan.thrown().map(|plan| Request { plan: Some(plan), ..case.request() });
        let mut found = None;
        pool::run_all(requests, jobs, |report| {
            found = found.take().or(report.failure().map(aim));
            found.is_none()
        });
        let is_right = found == wanted;
        right += usize::from(is_right);
        let name = path.file_stem().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let shown = found.map_or_else(|| "held".into(), |[kind, promise]| format!("{kind}: {promise}"));
        rows.push(vec![name, if is_right { "as it should".into() } else { "NOT AS IT SHOULD".into() }, shown]);
    }
    print(&["plan", "", "ended"], &rows);
    if as_json {
        out(&json!({ "plans": files.len(), "right": right }).to_string());
    }
    u8::from(right < files.len())
}

fn bad(text: &str) -> u8 {
    eprintln!("{text}");
    BAD_USAGE
}
