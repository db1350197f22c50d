//! Finding the simulated tests of executables.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use playhouse_sim::talk;

use super::{Build, build};

/// A simulated test.
#[derive(Clone, Debug)]
pub(crate) struct Test {
    executable: PathBuf,
    /// Its package's, where cargo runs tests.
    folder: Option<PathBuf>,
    /// As the executable calls it.
    full: String,
    /// As people call it.
    pub(crate) name: String,
    /// The seeds that stand at it.
    pub(crate) seeds: Range<u64>,
    /// It must fail for one of them.
    pub(crate) canary: bool,
}

/// What `#[playhouse::sim]` adds to a test's name.
const MARK: &str = "::simulated";

/// The simulated tests whose names contain `filter`.
pub(crate) fn find(build: &Build, filter: Option<&str>) -> Result<Vec<Test>, String> {
    let mut tests = Vec::new();
    for (executable, folder) in build::tests(build)? {
        let list = Command::new(&executable).args(["--list", "--ignored", "--format", "terse"]).stdin(Stdio::null()).output();
        let list = list.map_err(|error| format!("{}: {error}", executable.display()))?;
        for line in String::from_utf8_lossy(&list.stdout).lines() {
            let Some(full) = line.strip_suffix(": test").filter(|full| full.ends_with(MARK)) else { continue };
            let name = full.trim_end_matches(MARK).to_string();
            if filter.is_none_or(|filter| name.contains(filter)) {
                let (executable, folder) = (executable.clone(), folder.clone());
                let mut test = Test { executable, folder, full: full.into(), name, seeds: 0..0, canary: false };
                (test.seeds, test.canary) = seeds(&test)?;
                tests.push(test);
            }
        }
    }
    if tests.is_empty() {
        let named = filter.map(|filter| format!(" whose name contains {filter:?}")).unwrap_or_default();
        return Err(format!("there is no simulated test{named}; write #[playhouse::sim] at an `async fn(world: World)`"));
    }
    Ok(tests)
}

/// The one test that is meant.
pub(crate) fn one(build: &Build, name: &str) -> Result<Test, String> {
    let tests = find(build, Some(name))?;
    let exact = tests.iter().find(|test| test.name == name || short(&test.name) == name);
    match (exact, tests.as_slice()) {
        (Some(test), _) | (None, [test]) => Ok(test.clone()),
        (None, several) => {
            let names: Vec<&str> = several.iter().map(|test| &*test.name).collect();
            Err(format!("{name:?} may be each of: {}", names.join(", ")))
        }
    }
}

/// The last part of a test's name.
pub(crate) fn short(test: &str) -> &str {
    test.rsplit("::").next().unwrap_or(test)
}

fn seeds(test: &Test) -> Result<(Range<u64>, bool), String> {
    let output =
        test.command().env(talk::ASK, "1").stdin(Stdio::null()).output().map_err(|error| format!("{}: {error}", test.name))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let range = text.lines().find_map(|line| line.split_once(talk::SEEDS)).and_then(|(_, range)| {
        let (range, canary) = range.strip_suffix(" canary").map_or((range, false), |range| (range, true));
        let (from, to) = range.split_once("..")?;
        Some((from.parse().ok()?..to.parse().ok()?, canary))
    });
    range.ok_or_else(|| format!("{}: it does not say its seeds; is it built with this version of playhouse-sim?", test.name))
}

impl Test {
    /// Runs this test and no other.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(&self.executable);
        command.args(["--exact", &self.full, "--ignored", "--nocapture", "--test-threads", "1"]);
        if let Some(folder) = &self.folder {
            command.current_dir(folder);
        }
        // What this program was started with is for one run: a test that starts another one must not pass it on.
        for variable in [talk::ASK, talk::SEED, talk::PLAN, talk::LEDGER, talk::HTML, talk::COMMAND] {
            command.env_remove(variable);
        }
        command
    }

    /// The folder of its package, if it is known.
    pub(crate) fn folder(&self) -> Option<&Path> {
        self.folder.as_deref()
    }
}
