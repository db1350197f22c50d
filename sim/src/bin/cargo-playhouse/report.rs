//! What a run's process gave.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use playhouse_sim::plan::Plan;
use serde_json::Value;

use crate::tests::Test;

/// A run that takes longer is stuck: a task never yields, or virtual time does not pass.
const WALL_LIMIT: Duration = Duration::from_secs(120);

/// So often its watchdog's report is looked for.
const LOOK: Duration = Duration::from_secs(1);

/// As `playhouse_sim::test::talk` has them, which exists only in the simulated world.
mod talk {
    pub(super) const SEED: &str = "PLAYHOUSE_SIM_SEED";
    pub(super) const REPORT: &str = "PLAYHOUSE_SIM_REPORT";
    pub(super) const LEDGER: &str = "PLAYHOUSE_SIM_LEDGER";
    pub(super) const PLAN: &str = "PLAYHOUSE_SIM_PLAN";
    pub(super) const HTML: &str = "PLAYHOUSE_SIM_HTML";
}

/// Between a line of the ledger and whose it is.
pub(crate) const OF: char = '\t';

/// What is to be run.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) test: Test,
    pub(crate) seed: u64,
    /// A saved plan, as a file's text.
    pub(crate) plan: Option<String>,
    /// Also give the ledger's lines.
    pub(crate) ledger: bool,
    /// Where a page goes that shows the run.
    pub(crate) html: Option<PathBuf>,
}

/// What came of it.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    pub(crate) test: String,
    pub(crate) seed: u64,
    /// Why it failed, if it did.
    pub(crate) failure: Option<String>,
    /// It had no end.
    pub(crate) stuck: bool,
    pub(crate) value: Value,
    pub(crate) ledger: String,
}

impl Report {
    /// The faults that the test drew, or was given.
    pub(crate) fn plan(&self) -> Option<Plan> {
        serde_json::from_value(self.value["plan"].clone()).ok()
    }
}

/// Files of one run, gone when it is over.
struct Folder(PathBuf);

impl Folder {
    fn new() -> std::io::Result<Folder> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let name = format!("playhouse-sim-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path)?;
        Ok(Folder(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Runs one test with one seed, in a process of its own.
pub(crate) fn run(request: &Request) -> Report {
    let mut report = Report {
        test: request.test.name.clone(),
        seed: request.seed,
        failure: None,
        stuck: false,
        value: Value::Null,
        ledger: String::new(),
    };
    if let Err(error) = fill(&mut report, request) {
        report.failure = Some(format!("its process: {error}"));
    }
    report
}

fn fill(report: &mut Report, request: &Request) -> std::io::Result<()> {
    let folder = Folder::new()?;
    let file = |name: &str| folder.0.join(name);
    let mut command = request.test.command();
    command.env(talk::SEED, request.seed.to_string()).env(talk::REPORT, file("report"));
    if let Some(plan) = &request.plan {
        std::fs::write(file("plan"), plan)?;
        command.env(talk::PLAN, file("plan"));
    }
    if request.ledger {
        command.env(talk::LEDGER, file("ledger"));
    }
    if let Some(page) = &request.html {
        command.env(talk::HTML, page);
    }
    let ended = wait(command, &file("report"))?;
    report.value = read(&file("report"));
    let seen = report.value["verdict"]["seen"].as_str().map(str::to_string);
    let Some((status, stderr)) = ended else {
        report.stuck = true;
        let late = || format!("it had not ended after {} s of wall time; a task may never yield", WALL_LIMIT.as_secs());
        report.failure = Some(seen.unwrap_or_else(late));
        return Ok(());
    };
    report.ledger = std::fs::read_to_string(file("ledger")).unwrap_or_default();
    if !status.success() {
        report.stuck = report.value["verdict"]["kind"] == "stuck";
        report.failure = Some(seen.unwrap_or_else(|| format!("it ended with {status}\n{}", stderr.trim())));
    } else if report.value.is_null() {
        report.failure = Some("it ended well, and left no report: is it built with this version of playhouse-sim?".into());
    }
    Ok(())
}

/// What is reported so far.
fn read(path: &Path) -> Value {
    std::fs::read_to_string(path).ok().and_then(|text| serde_json::from_str(&text).ok()).unwrap_or(Value::Null)
}

/// The process's end, and what it wrote to its standard error; `None` if it had to be ended: it took too long, or its watchdog has reported that a task
/// never yields.
fn wait(mut command: Command, report: &Path) -> std::io::Result<Option<(ExitStatus, String)>> {
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
    let stderr = child.stderr.take();
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        let text = stderr.map(std::io::read_to_string).transpose();
        drop(tell.send(text));
    });
    let began = Instant::now();
    loop {
        match told.recv_timeout(LOOK) {
            Ok(text) => return Ok(Some((child.wait()?, text?.unwrap_or_default()))),
            Err(_) if began.elapsed() < WALL_LIMIT && read(report)["spinning"] != true => {}
            Err(_) => {
                child.kill()?;
                child.wait()?;
                return Ok(None);
            }
        }
    }
}
