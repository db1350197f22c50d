//! `replay`: one seed, to be read, seen or taken apart.

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use playhouse_rt::sim::capture::{self, Captured};
use playhouse_rt::sim::ledger::Line;
use playhouse_sim::pcap::{Datagram, Pcap, key_line};
use playhouse_sim::talk;
use playhouse_sim::timeline::{EVENTS_MAX, Entry, Run, Timeline, page};
use playhouse_sim::why::{self, Why};
use serde_json::json;

use crate::common::{files, out};
use crate::one;
use crate::plans::Case;

/// A file could not be written.
const NO_FILE: u8 = 4;

/// Where a replay goes, beside the exit code.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Outputs {
    /// Write a page that shows the run: lanes, arrows, faults, the broken promise
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Print what led from the faults to the broken promise, instead of all that happened
    #[arg(long)]
    why: bool,
    /// Write all datagrams as a capture for packet analysers (pcapng, with virtual times)
    #[arg(long, value_name = "FILE")]
    pcap: Option<PathBuf>,
    /// Write the TLS secrets that decrypt the capture (NSS key log format)
    #[arg(long, value_name = "FILE")]
    keylog: Option<PathBuf>,
}

impl Outputs {
    fn is_empty(&self) -> bool {
        !self.why && self.html.is_none() && self.pcap.is_none() && self.keylog.is_none()
    }
}

/// Runs a seed. Prints what happened if nothing else is wanted, or all if `all`; the last line as JSON if `as_json`.
pub(crate) fn replay(case: &Case, all: bool, outputs: &Outputs, as_json: bool) -> u8 {
    let plan = case.plan();
    out(plan.to_string().trim_end());
    if let Some(Err(error)) = outputs.html.as_ref().map(|path| files::writable(path)) {
        return failed(&error);
    }
    let printed = all || outputs.is_empty();
    let timeline = Rc::new(RefCell::new(outputs.html.is_some().then(Timeline::new)));
    let packets = match Packets::open(outputs) {
        Ok(packets) => packets,
        Err(error) => return failed(&error),
    };
    let whys = Rc::new(RefCell::new(outputs.why.then(Why::new)));
    let asked = whys.clone();
    let mut text = BufWriter::new(io::stdout());
    let seen = timeline.clone();
    let sink = move |line: &Line<'_>| {
        if printed && (all || !talk::FINE.contains(&line.kind)) {
            // A closed pipe (`| head`) is no reason to stop the run half-way.
            let _ = writeln!(text, "{line}");
            let _ = text.flush();
        }
        if let Some(timeline) = &mut *seen.borrow_mut()
            && !talk::UNSEEN.contains(&line.kind)
        {
            let Line { at, node, actor, kind, detail, .. } = *line;
            timeline.add(&Entry { at, node, actor, kind, detail });
        }
        if let Some(why) = &mut *asked.borrow_mut() {
            let Line { number, at, node, task, actor, kind, detail, .. } = *line;
            why.add(&why::Entry { number, at, node, task, actor, kind, detail });
        }
    };
    let (scenario, seed, bug) = (case.scenario(), case.seed(), case.bug());
    let pct = case.pct();
    let order = one::Order { scenario, seed, plan, bug, pct, unrecorded: false, to_people: true, trap: None };
    let (verdict, report) = one::run(order, Some(Box::new(sink)));
    capture::close();
    let what = match report["verdict"].as_object() {
        None => "all promises held".to_string(),
        Some(_) => format!("{}", report["verdict"]),
    };
    let hash = report["hash"].as_str().unwrap_or("?");
    let virtual_s = report["virtual_s"].as_f64().unwrap_or(0.0);
    out(&format!(
        "{}{}: {what}\n{} events, ledger {hash}, {virtual_s:.1} virtual seconds",
        if printed { "\n" } else { "" },
        case.title(),
        report["events"],
    ));
    for (n, row) in report["waiting"].as_array().into_iter().flatten().enumerate() {
        let title = if n == 0 { "\nwho waits, actors first:\n" } else { "" };
        out(&format!("{title}  {}", row["text"].as_str().unwrap_or("?")));
    }
    let slice = whys.take().and_then(|why| why.slice(&report["verdict"]));
    if outputs.why {
        match &slice {
            Some(slice) => out(&format!("\nwhy, in {} events:\n{}", slice.events.len(), slice.to_string().trim_end())),
            None => out("\nno promise is broken, so there is nothing to explain"),
        }
    }
    if let (Some(path), Some(timeline)) = (&outputs.html, timeline.take()) {
        let command = case.command();
        let run = Run { scenario: scenario.name.into(), seed, command, hash: hash.into() };
        if let Err(error) = write_page(path, timeline, run, report["verdict"].clone()) {
            return failed(&error);
        }
    }
    if let Err(error) = packets.finish() {
        return failed(&error);
    }
    if as_json {
        let mut value = report;
        value["why"] = json!(slice.map(|slice| slice.json()));
        out(&value.to_string());
    }
    verdict.exit_code()
}

fn write_page(path: &Path, timeline: Timeline, run: Run, verdict: serde_json::Value) -> Result<(), String> {
    let (total, left_out) = (timeline.total(), timeline.left_out());
    let page = page(&timeline.finish(run, verdict));
    std::fs::write(path, &page).map_err(|error| format!("{}: {error}", path.display()))?;
    out(&format!("{}: {} events, {:.1} MiB", path.display(), total - left_out, page.len() as f64 / f64::from(1 << 20)));
    if left_out > 0 {
        out(&format!("  a page shows {EVENTS_MAX} events at the most: the last {left_out} of {total} are not in it"));
    }
    Ok(())
}

fn failed(error: &str) -> u8 {
    out(&format!("the file could not be written: {error}"));
    NO_FILE
}

/// What becomes of captured datagrams and secrets.
#[derive(Default)]
struct Packets(Rc<RefCell<Sinks>>, Vec<String>);

#[derive(Default)]
struct Sinks {
    pcap: Option<Pcap<BufWriter<File>>>,
    keys: Option<BufWriter<File>>,
    secrets: u64,
    /// The first thing that went wrong.
    error: Option<String>,
}

impl Packets {
    fn open(outputs: &Outputs) -> Result<Packets, String> {
        if outputs.pcap.is_none() && outputs.keylog.is_none() {
            return Ok(Packets::default());
        }
        let text = |path: &Path, error: io::Error| format!("{}: {error}", path.display());
        let create = |path: &PathBuf| File::create(path).map(BufWriter::new).map_err(|error| text(path, error));
        let pcap = outputs.pcap.as_ref().map(|path| Pcap::new(create(path)?).map_err(|error| text(path, error))).transpose()?;
        let keys = outputs.keylog.as_ref().map(create).transpose()?;
        let sinks = Rc::new(RefCell::new(Sinks { pcap, keys, ..Sinks::default() }));
        let given = sinks.clone();
        capture::open(move |captured| given.borrow_mut().take(captured));
        let name = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string()).unwrap_or_default();
        Ok(Packets(sinks, vec![name(&outputs.pcap), name(&outputs.keylog)]))
    }

    fn finish(self) -> Result<(), String> {
        let Sinks { pcap, keys, secrets, error } = self.0.take();
        if let Some(error) = error {
            return Err(error);
        }
        if let Some(pcap) = pcap {
            let packets = pcap.finish().map_err(|error| format!("{}: {error}", self.1[0]))?;
            out(&format!("{}: {packets} datagrams", self.1[0]));
        }
        if let Some(mut keys) = keys {
            keys.flush().map_err(|error| format!("{}: {error}", self.1[1]))?;
            out(&format!("{}: {secrets} secrets", self.1[1]));
        }
        Ok(())
    }
}

impl Sinks {
    fn take(&mut self, captured: &Captured<'_>) {
        let done = match *captured {
            Captured::Datagram { number, at, from, to, ecn, bytes, copies } => self.pcap.as_mut().map(|pcap| {
                let times: Vec<String> = copies.iter().map(|copy| format!("arrives after {:?}", copy.after)).collect();
                let fate = if times.is_empty() { "lost".to_string() } else { times.join(", again ") };
                let comment = format!("#{number}: {fate}");
                pcap.add(&Datagram { at, from, to, ecn: ecn.unwrap_or(0), bytes, comment: &comment })
            }),
            Captured::Secret { label, client_random, secret } => self.keys.as_mut().map(|keys| {
                self.secrets += 1;
                writeln!(keys, "{}", key_line(label, client_random, secret))
            }),
        };
        if let (Some(Err(error)), None) = (done, &self.error) {
            self.error = Some(error.to_string());
        }
    }
}
