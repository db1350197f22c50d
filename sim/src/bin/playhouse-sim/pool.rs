//! Runs in processes of their own: one seed is one process.

use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use playhouse_sim::plan::Plan;
use serde_json::{Value, json};

use crate::one::Trap;

/// A run that takes longer is stuck: a task never yields, or virtual time does not pass.
const WALL_LIMIT: Duration = Duration::from_secs(120);

/// What a run is asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Request {
    pub(crate) scenario: &'static str,
    pub(crate) seed: u64,
    /// What befalls the run; drawn from the seed, if not given.
    pub(crate) plan: Option<Plan>,
    pub(crate) bug: Option<&'static str>,
    /// The depth of probabilistic concurrency testing, instead of a random order.
    pub(crate) pct: Option<u32>,
    /// What no run may do, put in to see whether it is found.
    pub(crate) trap: Option<Trap>,
    /// Also give the ledger's lines.
    pub(crate) ledger: bool,
}

/// What came of it: the child's report, or one made here when it could not give one.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    pub(crate) seed: u64,
    pub(crate) value: Value,
    /// The ledger's lines, if they were asked for.
    pub(crate) ledger: String,
}

impl Report {
    /// Why it failed, if it did.
    pub(crate) fn failure(&self) -> Option<&Value> {
        Some(&self.value["verdict"]).filter(|verdict| !verdict.is_null())
    }

    /// The exit code of its failure.
    pub(crate) fn exit_code(&self) -> u8 {
        match self.failure().and_then(|verdict| verdict["kind"].as_str()) {
            None => 0,
            Some("broken") => 1,
            Some("stuck") => 2,
            Some(_) => 3,
        }
    }
}

/// Runs all `requests`, `jobs` at once, and gives each report to `done` as it comes. Stops asking for more when `done` says so.
pub(crate) fn run_all(requests: impl Iterator<Item = Request>, jobs: usize, mut done: impl FnMut(Report) -> bool) {
    let mut requests = requests.fuse();
    let (tell, reports) = mpsc::channel();
    let mut running = 0;
    let mut more = true;
    loop {
        while more && running < jobs.max(1) {
            let Some(request) = requests.next() else { break };
            let tell = tell.clone();
            running += 1;
            thread::spawn(move || drop(tell.send(run(&request))));
        }
        if running == 0 {
            return;
        }
        // Every thread sends one report before it ends.
        let Ok(report) = reports.recv() else { return };
        running -= 1;
        more &= done(report);
    }
}

/// Runs one request in a process of its own.
pub(crate) fn run(request: &Request) -> Report {
    let (value, ledger) = spawn(request).and_then(|child| wait(child, request)).unwrap_or_else(|error| {
        let seen = format!("the run's process: {error}");
        (json!({ "seed": request.seed, "verdict": { "kind": "crashed", "seen": seen } }), String::new())
    });
    Report { seed: request.seed, value, ledger }
}

fn spawn(request: &Request) -> std::io::Result<Child> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("one").arg(request.scenario).arg("--seed").arg(request.seed.to_string());
    command.arg("--with-parent");
    if request.plan.is_some() {
        command.arg("--plan-from-stdin");
    }
    if let Some(bug) = request.bug {
        command.arg("--bug").arg(bug);
    }
    if let Some(depth) = request.pct {
        command.arg("--pct").arg(depth.to_string());
    }
    if let Some(trap) = request.trap.as_ref().and_then(clap::ValueEnum::to_possible_value) {
        command.arg("--trap").arg(trap.get_name());
    }
    if request.ledger {
        command.arg("--ledger");
    }
    // Nothing of the caller's surroundings may reach a history.
    command.env_remove("RUST_LOG").env_remove("MADSIM_TEST_SEED").env_remove("MADSIM_TEST_NUM");
    // Its standard input stays open for as long as this process lives: its end is the child's.
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    if let (Some(plan), Some(stdin)) = (&request.plan, &mut child.stdin) {
        let mut line = serde_json::to_vec(plan)?;
        line.push(b'\n');
        stdin.write_all(&line)?;
    }
    Ok(child)
}

fn wait(mut child: Child, request: &Request) -> std::io::Result<(Value, String)> {
    let Some(mut stdout) = child.stdout.take() else { return Err(std::io::Error::other("no standard output")) };
    let (tell, output) = mpsc::channel();
    thread::spawn(move || {
        let mut text = String::new();
        let read = stdout.read_to_string(&mut text).map(|_| text);
        drop(tell.send(read));
    });
    let began = Instant::now();
    let text = match output.recv_timeout(WALL_LIMIT) {
        Ok(text) => text?,
        Err(_) => {
            child.kill()?;
            child.wait()?;
            let seen = format!("it had not ended after {} s of wall time; a task may never yield", began.elapsed().as_secs());
            return Ok((json!({ "seed": request.seed, "verdict": { "kind": "stuck", "seen": seen } }), String::new()));
        }
    };
    let status = child.wait()?;
    let (ledger, last) = text.trim_end().rsplit_once('\n').unwrap_or(("", text.trim_end()));
    let value = serde_json::from_str(last).map_err(|_| std::io::Error::other(format!("it ended with {status} and no report")))?;
    Ok((value, ledger.to_string()))
}
