//! `playhouse log`: what became of tasks, as a coordinator has written it down, and whether anybody has changed that since.

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use playhouse::rt::Host;
use playhouse::task_log::{self, Broken, Found, Line, Told, What};
use serde_json::{Value, json};

use crate::Trouble;
use crate::text::{Paint, number, out, sentence, tame};

/// Shows or verifies the task log of a coordinator.
///
/// Each coordinator writes beside its journal what became of jobs and tasks, as all of them have agreed on it: in DATA/tasks, with a hash chain.
/// Both commands only read, also while the coordinator runs.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Verify(Verify),
    Show(Show),
}

/// Checks that the task log is as it was written: one changed byte is found, and the file, record and place are named.
///
/// What is missing from the very end cannot be found within the folder: compare the number of the last record, the chain's value and the gaps
/// with those of another coordinator.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  playhouse log verify /var/lib/playhouse
  playhouse log verify /var/lib/playhouse --json | jq -r .chain

The JSON object has whole folder segments records first last chain gaps; or, if it is not whole: whole folder file record offset error.

Exit codes: 0 it is whole, 1 it is not, or cannot be read, 2 wrong arguments.")]
struct Verify {
    /// The folder of a coordinator (its --data), or a copy of it
    #[arg(value_name = "DIR")]
    data: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Shows what became of jobs and tasks, oldest first.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  playhouse log show /var/lib/playhouse
  playhouse log show /var/lib/playhouse --job 1765439000123000
  playhouse log show /var/lib/playhouse --json | jq 'select(.event == \"failed\")'

TIME is the plane's: seconds since the cluster began, without what passed while nobody led. A TASK is JOB/TASK#ATTEMPT. With --json, each line is one
object with number seconds event, and what belongs to that event.

Exit codes: 0 all was shown, 1 the log is damaged (what comes before the damage was shown) or cannot be read, 2 wrong arguments.")]
struct Show {
    /// The folder of a coordinator (its --data), or a copy of it
    #[arg(value_name = "DIR")]
    data: PathBuf,
    /// Only what is about this job
    #[arg(long, value_name = "N")]
    job: Option<u64>,
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: Args) -> Result<u8, Trouble> {
    match args.command {
        Command::Verify(args) => verify(&args),
        Command::Show(args) => show(&args),
    }
}

/// Where the log is.
fn folder(data: &Path) -> Result<PathBuf, Trouble> {
    let folder = task_log::folder(data);
    if folder.is_dir() {
        return Ok(folder);
    }
    let why = "holds no task log: give the folder of a coordinator (its --data)";
    Err(Trouble::usage(format!("{} {why}", data.display())))
}

fn verify(args: &Verify) -> Result<u8, Trouble> {
    let folder = folder(&args.data)?;
    let found = task_log::read(Host::os().disk(), &folder, |_| ());
    if args.json {
        out(&verdict(&folder, &found).to_string());
        return Ok(u8::from(found.is_err()));
    }
    let found = found.map_err(Trouble::new)?;
    out(&as_text(&folder, &found));
    Ok(0)
}

fn verdict(folder: &Path, found: &Result<Found, Broken>) -> Value {
    let folder = folder.display().to_string();
    match found {
        Ok(found) => json!({
            "whole": true,
            "folder": folder,
            "segments": found.segments,
            "records": found.records,
            "first": found.first,
            "last": found.last,
            "chain": found.link.to_string(),
            "gaps": found.gaps,
        }),
        Err(broken) => {
            let (record, offset) = match broken {
                Broken::Record { number, offset, .. } => (Some(number), Some(offset)),
                Broken::Disk { .. } | Broken::Segment { .. } => (None, None),
            };
            let (file, error) = (broken.file().display().to_string(), broken.to_string());
            json!({ "whole": false, "folder": folder, "file": file, "record": record, "offset": offset, "error": error })
        }
    }
}

fn as_text(folder: &Path, found: &Found) -> String {
    let whole = Paint::stdout().verdict(true, "is whole");
    let mut lines = vec![format!("{} {whole}", tame(&folder.display().to_string()))];
    let mut line = |what: &str, is: String| lines.push(format!("  {what:<14} {is}"));
    line("segments", number(found.segments as u64));
    line("records", number(found.records));
    if found.records > 0 {
        line("from, to", format!("{}, {}", found.first, found.last));
    }
    line("chain", found.link.to_string());
    for (from, to) in &found.gaps {
        line("gap", format!("{from} to {to}: not here. This coordinator was behind, or they were lost"));
    }
    lines.join("\n")
}

fn show(args: &Show) -> Result<u8, Trouble> {
    let folder = folder(&args.data)?;
    let mut stdout = BufWriter::new(std::io::stdout().lock());
    if !args.json {
        let _ = writeln!(stdout, "{:>8} {:>12} {:<11} WHAT", "NUMBER", "TIME", "EVENT");
    }
    let found = task_log::read(Host::os().disk(), &folder, |line| {
        let is_wanted = match (&line, args.job) {
            (_, None) => true,
            (Line::Told(_, told), Some(job)) => told.what.job().is_some_and(|of| of.0 == job),
            (Line::Gap(..) | Line::Unknown(_), Some(_)) => false,
        };
        if is_wanted {
            let text = if args.json { line_as_json(&line).to_string() } else { line_as_text(&line) };
            // Whoever reads it may have gone away; that changes nothing of what is found.
            let _ = writeln!(stdout, "{text}");
        }
    });
    let _ = stdout.flush();
    found.map(|_| 0).map_err(Trouble::new)
}

fn seconds(told: &Told) -> f64 {
    told.time.as_nanos() as f64 / 1e9
}

fn line_as_text(line: &Line) -> String {
    match line {
        Line::Gap(from, to) => {
            format!("{from:>8} {:>12} {:<11} to {to}: not here. This coordinator was behind, or they were lost", "", "gap")
        }
        Line::Unknown(number) => format!("{number:>8} {:>12} {:<11} written by a newer version", "", "?"),
        Line::Told(number, told) => {
            let (time, kind) = (seconds(told), told.what.kind());
            format!("{number:>8} {time:>12.3} {kind:<11} {}", sentence(&words(&told.what)))
        }
    }
}

fn words(what: &What) -> String {
    match what {
        What::Began { first_job } => format!("a cluster, whose first job is {first_job}"),
        What::Submitted { job, key, tenant, tasks: 1 } => format!("job {job} of {tenant}, 1 task, by {key}"),
        What::Submitted { job, key, tenant, tasks } => format!("job {job} of {tenant}, {tasks} tasks, by {key}"),
        What::Dispatched { fence, function, worker } => format!("{fence} {function} to {worker}"),
        What::Done { fence, worker, digest } => format!("{fence} by {worker}, SHA-256 {digest}"),
        What::Failed { fence, worker, reason } | What::Again { fence, worker, reason } => {
            format!("{fence} by {worker}: {reason}")
        }
        What::Stale { fence, worker } => format!("{fence} by {worker}, too late to count"),
        What::Ended { job, failed: None } => format!("job {job}"),
        What::Ended { job, failed: Some(reason) } => format!("job {job} failed: {reason}"),
        What::NodeLost { node, incarnation, tasks, shards } => {
            format!("{node}{incarnation}: {tasks} tasks run again, {shards} shards open elsewhere")
        }
    }
}

fn line_as_json(line: &Line) -> Value {
    let (number, told) = match line {
        Line::Gap(from, to) => return json!({ "number": from, "event": "gap", "to": to }),
        Line::Unknown(number) => return json!({ "number": number, "event": "unknown" }),
        Line::Told(number, told) => (number, told),
    };
    let mut object = match &told.what {
        What::Began { first_job } => json!({ "first_job": first_job }),
        What::Submitted { job, key, tenant, tasks } => {
            json!({ "job": job, "client": key.client, "client_number": key.number, "tenant": tenant, "tasks": tasks })
        }
        What::Dispatched { fence, function, worker } => {
            json!({ "task": fence.to_string(), "function": function, "worker": worker.to_string() })
        }
        What::Done { fence, worker, digest } => {
            json!({ "task": fence.to_string(), "worker": worker.to_string(), "sha256": digest.to_string() })
        }
        What::Failed { fence, worker, reason } | What::Again { fence, worker, reason } => {
            json!({ "task": fence.to_string(), "worker": worker.to_string(), "reason": reason })
        }
        What::Stale { fence, worker } => json!({ "task": fence.to_string(), "worker": worker.to_string() }),
        What::Ended { job, failed } => json!({ "job": job, "failed": failed }),
        What::NodeLost { node, incarnation, tasks, shards } => {
            json!({ "node": node.as_str(), "life": incarnation, "tasks": tasks, "shards": shards })
        }
    };
    object["number"] = json!(number);
    object["seconds"] = json!(seconds(told));
    object["event"] = json!(told.what.kind());
    object
}
