//! `playhouse demo`: the whole at work, in one command.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use playhouse::demo::{self, Found, Index, Manifest, Notes};
use playhouse::rt::{self, Blocking, Host};
use playhouse::{Client, ClusterStatus, EncodeError, Job, JobHandle, JobStatus, Node, NodeConfig, NodeName, Value, WindowResult};
use serde_json::json;

use crate::Trouble;
use crate::cluster::{Cluster, Size};
use crate::text::{Paint, bytes, err, number, out, tame};

/// Runs a real cluster on this machine: an index of words, a stream, and a killed node.
///
/// Starts three coordinators and two worker nodes as processes, joined over QUIC with mutual TLS. Submits a job that counts the words of all
/// text files below a folder, kills one node on the way, and compares what comes out with a plain count. Leaves nothing behind.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  playhouse demo
  playhouse demo --kill leader
  playhouse demo --kill leader --repeat 20 --json | tail -n 1 | jq .failover_ms
  playhouse demo --input ~/notes --kill none

The JSON object has: nodes coordinators workers files bytes tasks_completed tasks_retried result_ok words windows windows_ok killed
replan_ms failover_ms slowest_ms job_ms wall_ms quic_messages quic_bytes mtls remarks remarks_cut; with --repeat: runs all_equal, and
failover_ms and replan_ms as p50, p99 and max.

Exit codes: 0 all was equal, 1 it was not or something failed, 2 wrong arguments, 128+N ended by signal N.")]
pub(crate) struct Args {
    /// Folder with text files
    #[arg(long, value_name = "DIR", default_value = ".")]
    input: PathBuf,
    /// Which node to kill part-way, with SIGKILL
    #[arg(long, value_enum, default_value_t = Kill::Worker)]
    kill: Kill,
    /// Coordinators: with three the cluster survives the loss of any one
    #[arg(long, value_name = "N", default_value = "3", value_parser = ["1", "3", "5", "7"])]
    coordinators: String,
    /// Run it so often, and say how long what took
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    repeat: u32,
    /// Workers in the whole cluster
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=64))]
    workers: u32,
    /// Each counting task takes at least so long, so that a small input is not done before the kill; 0: full speed
    #[arg(long, value_name = "MS", default_value_t = 25, value_parser = clap::value_parser!(u64).range(0..=10_000))]
    pace: u64,
    /// Print one JSON object as the last line
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Kill {
    /// A node with running tasks
    Worker,
    /// The coordinator that leads
    Leader,
    /// No node
    None,
}

/// Nodes that offer workers.
const WORKER_NODES: u32 = 2;

/// How long the cluster may take to come up.
const UP_WITHIN: Duration = Duration::from_secs(30);

/// The job may take no longer than this without a task being done.
const STUCK_AFTER: Duration = Duration::from_secs(60);

/// What came out.
struct Outcome {
    found: Found,
    windows: Vec<WindowResult>,
    job: JobStatus,
    cluster: ClusterStatus,
    killed: Option<(NodeName, u64)>,
    /// From the loss of the coordinator that led to the next submission that was acknowledged.
    failover_ms: Option<u64>,
    job_ms: u64,
    /// A node with the right names and a certificate of another authority found no way in.
    stranger_refused: bool,
}

pub(crate) fn run(args: Args) -> Result<u8, Trouble> {
    rt::run(0, async {
        rt::select! {
            signal = rt::interrupted() => Err(Trouble::interrupted(signal.map_err(Trouble::new)?)),
            result = main(args) => result,
        }
    })
    .map_err(Trouble::new)?
}

async fn main(args: Args) -> Result<u8, Trouble> {
    let began = rt::now();
    let unusable = |error: std::io::Error| Trouble::usage(format!("{}: {error}", args.input.display()));
    let input = std::fs::canonicalize(&args.input).map_err(unusable)?;
    std::fs::read_dir(&input).map_err(unusable)?;
    let bars = Bars::new();
    bars.say(&format!("listing {}", input.display()));
    // Listing and counting block; they run on a thread of their own, so that Ctrl-C is heard meanwhile.
    let reader = Blocking::new(1);
    let disk = Host::os().disk().clone();
    let folder = input.clone();
    let manifest = reader.run(move || demo::scan(&disk, &folder)).await.map_err(Trouble::new)?.map_err(Trouble::usage)?;
    let coordinators = args.coordinators.parse().map_err(Trouble::usage)?;
    let size = Size { coordinators, nodes: WORKER_NODES, workers: args.workers };
    let mut series = Series::default();
    for run in 1..=args.repeat {
        let of = if args.repeat > 1 { format!("run {run} of {}: ", args.repeat) } else { String::new() };
        bars.say(&format!("{of}starting {} nodes", size.coordinators + size.nodes));
        let mut cluster = Cluster::start(size).await?;
        let nodes = cluster.size();
        let result = with_cluster(&args, &manifest, &mut cluster, &bars).await;
        let slow = cluster.stop().await;
        let outcome = result?;
        for name in slow {
            bars.note(&format!("{name} did not stop in time and was killed"));
        }

        bars.say("counting serially, to compare");
        let disk = Host::os().disk().clone();
        let listed = manifest.clone();
        let (index, windows) = reader.run(move || demo::serial(&disk, &listed)).await.map_err(Trouble::new)?;
        let summary = Summary {
            args: &args,
            input: &input,
            manifest: &manifest,
            outcome: &outcome,
            index: &index,
            windows: &windows,
            nodes,
        };
        series.add(&summary);
        if args.repeat == 1 {
            bars.clear();
            out(&summary.text());
            if args.json {
                out(&summary.json(rt::now() - began).to_string());
            }
        } else if !summary.all_equal() {
            bars.note(&format!("run {run}:\n{}", summary.text()));
        }
    }
    if args.repeat > 1 {
        bars.clear();
        out(&series.text(&args));
        if args.json {
            out(&series.json(rt::now() - began).to_string());
        }
    }
    Ok(u8::from(series.unequal > 0))
}

/// What many runs gave.
#[derive(Default)]
struct Series {
    runs: u32,
    unequal: u32,
    failovers: Vec<u64>,
    replans: Vec<u64>,
}

impl Series {
    fn add(&mut self, summary: &Summary<'_>) {
        self.runs += 1;
        self.unequal += u32::from(!summary.all_equal());
        self.failovers.extend(summary.outcome.failover_ms);
        self.replans.extend(summary.replan_ms());
    }

    fn text(&self, args: &Args) -> String {
        let paint = Paint::stdout();
        let mut lines = vec![paint.bold(&format!("{} runs, each checked against a plain count", self.runs))];
        let equal = if self.unequal == 0 { "all equal".to_string() } else { format!("{} NOT EQUAL", self.unequal) };
        lines.push(format!("  {:<20} {}", "results", paint.verdict(self.unequal == 0, &equal)));
        let mut row = |name: &str, values: &[u64]| {
            if let Some([p50, p99, max]) = spread(values) {
                lines.push(format!(
                    "  {name:<20} median {p50} ms, 99th percentile {p99} ms, longest {max} ms, of {}",
                    values.len()
                ));
            }
        };
        row("leader lost", &self.failovers);
        row("node lost", &self.replans);
        if args.kill == Kill::Leader {
            lines.push("  leader lost: from its SIGKILL to the next submission that was acknowledged".into());
        }
        lines.join("\n")
    }

    fn json(&self, wall: Duration) -> serde_json::Value {
        let object = |values: &[u64]| spread(values).map(|[p50, p99, max]| json!({ "p50": p50, "p99": p99, "max": max }));
        json!({
            "runs": self.runs,
            "all_equal": self.unequal == 0,
            "failover_ms": object(&self.failovers),
            "replan_ms": object(&self.replans),
            "wall_ms": wall.as_millis() as u64,
        })
    }
}

/// The median, the 99th percentile and the greatest.
fn spread(values: &[u64]) -> Option<[u64; 3]> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    let at = |percent: usize| sorted.get((sorted.len() * percent).div_ceil(100).saturating_sub(1)).copied();
    Some([at(50)?, at(99)?, *sorted.last()?])
}

async fn with_cluster(args: &Args, manifest: &Manifest, cluster: &mut Cluster, bars: &Bars) -> Result<Outcome, Trouble> {
    let mut config = NodeConfig::new(cluster.identity("client")?, ([127, 0, 0, 1], 0).into(), cluster.coordinators());
    config.threads = 1;
    let node = Node::start(Host::os(), config).await.map_err(Trouble::new)?;
    let result = with_client(args, manifest, cluster, &node.client(), bars).await;
    node.stop(Duration::from_secs(1)).await;
    result
}

async fn with_client(
    args: &Args,
    manifest: &Manifest,
    cluster: &mut Cluster,
    client: &Client,
    bars: &Bars,
) -> Result<Outcome, Trouble> {
    let up = rt::select! {
        lost = cluster.lost() => return Err(Trouble::new(lost)),
        up = rt::timeout(UP_WITHIN, client.workers_up(args.workers as usize)) => up,
    };
    up.map_err(|_| Trouble::new(format!("the workers were not up within {} s", UP_WITHIN.as_secs())))?.map_err(Trouble::new)?;
    let (job, found) = demo::job(manifest, Duration::from_millis(args.pace)).map_err(Trouble::new)?;
    let began = rt::now();
    let job = client.submit(job, found).await.map_err(Trouble::new)?;
    let (killed, failover_ms) = watch(args, cluster, client, &job, bars).await?;
    let found = rt::select! {
        lost = cluster.lost() => return Err(Trouble::new(lost)),
        found = job.wait() => found.map_err(Trouble::new)?,
    };
    let job_ms = (rt::now() - began).as_millis() as u64;
    let windows = job.windows().await.map_err(Trouble::new)?;
    let status = job.progress(0).await.map_err(Trouble::new)?;
    let known = client.status().await.map_err(Trouble::new)?;
    let stranger_refused = stranger_is_refused(cluster, client).await?;
    Ok(Outcome { found, windows, job: status, cluster: known, killed, failover_ms, job_ms, stranger_refused })
}

/// Tries to connect to the coordinator as a stranger would who knows everything but the authority's key: with the right name, trusting
/// the right authority, but with a certificate of another one. It counts only if the coordinator itself refused.
async fn stranger_is_refused(cluster: &Cluster, client: &Client) -> Result<bool, Trouble> {
    // The one that leads: its counts are in the status.
    let status = client.status().await.map_err(Trouble::new)?;
    let before = status.traffic.refused;
    let elsewhere = playhouse::Authority::new("demo", Host::os().wall_clock()).map_err(Trouble::new)?;
    let name = NodeName::new("client").map_err(Trouble::new)?;
    let identity = elsewhere.issue(&name, Host::os().wall_clock(), UP_WITHIN).map_err(Trouble::new)?;
    let identity = identity.trusting(&cluster.identity("client")?);
    let mut config = NodeConfig::new(identity, ([127, 0, 0, 1], 0).into(), cluster.coordinators());
    config.threads = 1;
    let node = Node::start(Host::os(), config).await.map_err(Trouble::new)?;
    let leader = cluster.coordinators().into_iter().find(|(name, _)| *name == status.coordinator.name);
    let Some((head, address)) = leader else { return Err(Trouble::new("an unknown coordinator leads")) };
    let refused = rt::timeout(UP_WITHIN, node.dial(head, address)).await;
    node.stop(Duration::from_secs(1)).await;
    let after = client.status().await.map_err(Trouble::new)?.traffic.refused;
    Ok(matches!(refused, Ok(Err(_))) && after > before)
}

/// Shows progress until the job has ended, and kills a node on the way. Gives the node, and when: milliseconds since the epoch.
async fn watch(
    args: &Args,
    cluster: &mut Cluster,
    client: &Client,
    job: &JobHandle<Found>,
    bars: &Bars,
) -> Result<(Option<(NodeName, u64)>, Option<u64>), Trouble> {
    let (mut killed, mut failover) = (None, None);
    let mut seen = 0;
    loop {
        let status = rt::select! {
            lost = cluster.lost() => return Err(Trouble::new(lost)),
            status = rt::timeout(STUCK_AFTER, job.progress(seen)) => status,
        };
        let status = status.map_err(|_| Trouble::new(format!("no task was done for {} s", STUCK_AFTER.as_secs())))?;
        let status = status.map_err(Trouble::new)?;
        bars.show(&status);
        if status.state.is_some() {
            return Ok((killed, failover));
        }
        seen = status.done;
        if args.kill == Kill::None || killed.is_some() || status.done * 3 < status.tasks {
            continue;
        }
        let known = client.status().await.map_err(Trouble::new)?;
        let victim = match args.kill {
            Kill::Leader => Some(known.coordinator.name),
            _ => known.workers.into_iter().find(|worker| worker.task.is_some()).map(|worker| worker.id.node),
        };
        if let Some(victim) = victim {
            let at = Host::os().wall_clock().as_millis() as u64;
            let began = rt::now();
            cluster.kill(&victim).map_err(Trouble::new)?;
            bars.note(&format!("killed {victim} with SIGKILL after {} of {} tasks", status.done, status.tasks));
            killed = Some((victim, at));
            if args.kill == Kill::Leader {
                let (nothing, unit) = empty_job().map_err(Trouble::new)?;
                client.submit(nothing, unit).await.map_err(Trouble::new)?;
                failover = Some((rt::now() - began).as_millis() as u64);
            }
        }
    }
}

/// A job that is done when it is accepted.
fn empty_job() -> Result<(Job, Value<()>), EncodeError> {
    let job = Job::new("default");
    let unit = job.value(&())?;
    Ok((job, unit))
}

/// Progress bars on a terminal, lines elsewhere; all on standard error.
struct Bars {
    all: MultiProgress,
    tasks: ProgressBar,
    windows: ProgressBar,
    lines: bool,
}

impl Bars {
    fn new() -> Bars {
        let lines = !std::io::stderr().is_terminal();
        let all =
            MultiProgress::with_draw_target(if lines { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() });
        let style = |template| ProgressStyle::with_template(template).expect("a template");
        let tasks = all.add(ProgressBar::new(0));
        tasks.set_style(style("{prefix:8} [{bar:40}] {pos}/{len} {msg}").progress_chars("=> "));
        tasks.set_prefix("tasks");
        let windows = all.add(ProgressBar::new(0));
        windows.set_style(style("{prefix:8} {pos} closed {msg}"));
        windows.set_prefix("windows");
        Bars { all, tasks, windows, lines }
    }

    /// What happens now.
    fn say(&self, text: &str) {
        if self.lines {
            err(&format!("playhouse: {text}"));
        }
        self.tasks.set_message(text.to_string());
    }

    /// What happened, to stay above the bars.
    fn note(&self, text: &str) {
        if self.lines {
            err(&format!("playhouse: {text}"));
        } else {
            // A terminal that cannot be written to shows nothing else either.
            let _ = self.all.println(text);
        }
    }

    fn show(&self, status: &JobStatus) {
        self.tasks.set_length(status.tasks.into());
        self.tasks.set_position(status.done.into());
        self.tasks.set_message(format!("{} running, {} tried again", status.running, status.retries));
        if let Some(stream) = &status.stream {
            self.windows.set_position(stream.windows);
        }
    }

    fn clear(&self) {
        self.tasks.finish_and_clear();
        self.windows.finish_and_clear();
    }
}

struct Summary<'a> {
    args: &'a Args,
    input: &'a Path,
    manifest: &'a Manifest,
    outcome: &'a Outcome,
    index: &'a Index,
    windows: &'a [WindowResult],
    nodes: usize,
}

/// Notes that are shown; the others are counted.
const NOTES_SHOWN: usize = 8;

impl Summary<'_> {
    fn result_ok(&self) -> bool {
        let found = &self.outcome.found;
        found.index == *self.index
            && found.top == self.index.top(found.top.len())
            && found.top.len() == self.index.words.len().min(10)
    }

    fn windows_ok(&self) -> bool {
        self.outcome.windows == self.windows
    }

    fn all_equal(&self) -> bool {
        self.result_ok() && self.windows_ok() && self.outcome.stranger_refused
    }

    /// From the kill to the moment when the coordinator had planned the node's work anew.
    fn replan_ms(&self) -> Option<u64> {
        let (node, at) = self.outcome.killed.as_ref()?;
        let replan = self.outcome.cluster.replans.iter().find(|replan| replan.node == *node)?;
        Some(replan.unix_ms.saturating_sub(*at))
    }

    fn notes(&self) -> Vec<(&str, &str)> {
        let all = [&self.manifest.notes, &self.outcome.found.index.notes];
        all.iter().flat_map(|notes| notes.list.iter().map(|(path, remark)| (path.as_str(), remark.as_str()))).collect()
    }

    fn notes_cut(&self) -> bool {
        let cut = |notes: &Notes| notes.cut;
        cut(&self.manifest.notes) || cut(&self.outcome.found.index.notes)
    }

    fn text(&self) -> String {
        let paint = Paint::stdout();
        let mut lines = vec![paint.bold("Word index on a cluster, checked against a plain count")];
        let Outcome { job, cluster, killed, found, .. } = self.outcome;
        let mut row = |name: &str, value: String| lines.push(format!("  {name:<20} {value}"));
        row(
            "input",
            format!(
                "{}: {} files, {}",
                tame(&self.input.to_string_lossy()),
                number(found.index.files),
                bytes(self.manifest.bytes())
            ),
        );
        let tls = if self.outcome.stranger_refused { "a stranger was refused" } else { "A STRANGER CAME IN" };
        row("cluster", format!("{} nodes as processes, {} workers, QUIC with mutual TLS: {tls}", self.nodes, self.args.workers));
        row(
            "tasks",
            format!("{} done, {} tried again, in {} ms", number(job.done.into()), job.retries, number(self.outcome.job_ms)),
        );
        if let Some(slowest) = &job.slowest {
            row("slowest task", format!("{} (task {}), {} ms", slowest.function, slowest.task, slowest.nanos / 1_000_000));
        }
        if let (Some((node, _)), Some(ms)) = (killed, self.outcome.failover_ms) {
            row("killed", format!("{node}, which led, with SIGKILL; the next job was acknowledged after {} ms", number(ms)));
        }
        match (killed, self.replan_ms()) {
            _ if self.args.kill == Kill::Leader => {}
            (Some((node, _)), Some(ms)) => {
                row("killed", format!("{node} with SIGKILL; its work was planned anew after {} ms", number(ms)))
            }
            (Some((node, _)), None) => row("killed", format!("{node} with SIGKILL; nothing had to be planned anew")),
            (None, _) if self.args.kill != Kill::None => row("killed", "nothing: the job was done before".into()),
            (None, _) => {}
        }
        row("over QUIC", format!("{} messages, {}", number(cluster.traffic.messages), bytes(cluster.traffic.bytes)));
        let top: Vec<String> =
            found.top.iter().take(5).map(|(word, count)| format!("{} {}", tame(word), number(*count))).collect();
        row("most frequent", top.join(", "));
        let words = format!("{} different words", number(found.index.words.len() as u64));
        row(
            "result",
            format!("{words}: {}", paint.verdict(self.result_ok(), if self.result_ok() { "equal" } else { "NOT EQUAL" })),
        );
        let windows = format!("{} windows of a second", number(self.windows.len() as u64));
        row(
            "stream",
            format!("{windows}: {}", paint.verdict(self.windows_ok(), if self.windows_ok() { "equal" } else { "NOT EQUAL" })),
        );
        let notes = self.notes();
        if !notes.is_empty() {
            let cut = if self.notes_cut() { ", and more that were not kept" } else { "" };
            row("remarks", format!("{}{cut}", number(notes.len() as u64)));
            for (path, remark) in notes.iter().take(NOTES_SHOWN) {
                lines.push(format!("    {}: {remark}", self.short(path)));
            }
            if notes.len() > NOTES_SHOWN {
                lines.push(format!("    and {} more", number((notes.len() - NOTES_SHOWN) as u64)));
            }
        }
        let changed = self.changed();
        if !changed.is_empty() {
            lines
                .push("  these files were not the same when the cluster read them and when they were counted to compare:".into());
            for (path, remark) in changed.iter().take(NOTES_SHOWN) {
                lines.push(format!("    {}: {remark}", self.short(path)));
            }
        }
        lines.join("\n")
    }

    fn short(&self, path: &str) -> String {
        let path = Path::new(path);
        tame(&path.strip_prefix(self.input).unwrap_or(path).to_string_lossy())
    }

    /// Remarks that only one of the two counts made: files that changed in between.
    fn changed(&self) -> Vec<&(String, String)> {
        self.outcome.found.index.notes.list.symmetric_difference(&self.index.notes.list).collect()
    }

    fn json(&self, wall: Duration) -> serde_json::Value {
        let Outcome { job, cluster, killed, found, job_ms, .. } = self.outcome;
        let notes: Vec<_> = self.notes().into_iter().map(|(path, remark)| json!({ "path": path, "remark": remark })).collect();
        json!({
            "nodes": self.nodes,
            "coordinators": cluster.coordinator.voters.len(),
            "workers": self.args.workers,
            "files": found.index.files,
            "bytes": self.manifest.bytes(),
            "tasks_completed": job.done,
            "tasks_retried": job.retries,
            "result_ok": self.result_ok(),
            "words": found.index.words.len(),
            "windows": self.outcome.windows.len(),
            "windows_ok": self.windows_ok(),
            "killed": killed.as_ref().map(|(node, _)| node.as_str()),
            "replan_ms": self.replan_ms(),
            "failover_ms": self.outcome.failover_ms,
            "slowest_ms": job.slowest.as_ref().map(|slowest| slowest.nanos / 1_000_000),
            "job_ms": job_ms,
            "wall_ms": wall.as_millis() as u64,
            "quic_messages": cluster.traffic.messages,
            "quic_bytes": cluster.traffic.bytes,
            "mtls": self.outcome.stranger_refused,
            "remarks_cut": self.notes_cut(),
            "remarks": notes,
        })
    }
}
