//! Runs in processes of their own: one seed is one process.

use std::io::{Read, Write};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// A run that takes longer is stuck: a task never yields, or virtual time does not pass.
const WALL_LIMIT: Duration = Duration::from_secs(120);

/// The most of a process's standard error that is shown.
const STDERR_MAX: usize = 4_000;

/// What a process left behind.
pub(crate) struct Ended {
    /// None if it had to be ended: it took too long.
    pub(crate) status: Option<ExitStatus>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    /// What is to be said when the process gave no report: the verdict's kind, and the words.
    pub(crate) fn without_report(&self) -> (&'static str, String) {
        match self.status {
            None => ("stuck", format!("it had not ended after {} s of wall time; a task may never yield", WALL_LIMIT.as_secs())),
            Some(status) => ("crashed", format!("it ended with {status} and no report\n{}", self.stderr.trim()).trim().into()),
        }
    }
}

/// Runs a process to its end, and gives it `line` on its standard input, which stays open for as long as this process lives: its end is the
/// child's.
pub(crate) fn run(mut command: Command, line: Option<&str>) -> std::io::Result<Ended> {
    // Nothing of the caller's surroundings may reach a history.
    command.env_remove("RUST_LOG").env_remove("MADSIM_TEST_SEED").env_remove("MADSIM_TEST_NUM");
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let stdout = read(child.stdout.take());
    let stderr = read(child.stderr.take());
    if let (Some(line), Some(stdin)) = (line, &mut child.stdin) {
        // A child that is gone already says more by its end.
        let _ = stdin.write_all(format!("{line}\n").as_bytes());
    }
    let began = Instant::now();
    let mut told = stdout.recv_timeout(WALL_LIMIT);
    let status = if told.is_ok() {
        Some(child.wait()?)
    } else {
        child.kill()?;
        child.wait()?;
        told = stdout.recv_timeout(WALL_LIMIT.saturating_sub(began.elapsed()).max(Duration::from_secs(1)));
        None
    };
    let mut stderr = stderr.recv_timeout(Duration::from_secs(1)).unwrap_or_default();
    if let Some((at, _)) = stderr.char_indices().nth_back(STDERR_MAX) {
        stderr.replace_range(..at, "(…) ");
    }
    Ok(Ended { status, stdout: told.unwrap_or_default(), stderr })
}

/// Reads to the end, on a thread: a child that prints much must not wait for who reads something else.
fn read(from: Option<impl Read + Send + 'static>) -> mpsc::Receiver<String> {
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = from.map(|mut from| from.read_to_end(&mut bytes));
        // Whoever waited may have given up.
        let _ = tell.send(String::from_utf8_lossy(&bytes).into_owned());
    });
    told
}

/// Does `run` with all `requests`, `jobs` at once, and gives each report to `done` as it comes. Stops asking for more when `done` says so.
pub(crate) fn all<Request, Report>(
    requests: impl Iterator<Item = Request>,
    jobs: usize,
    run: fn(&Request) -> Report,
    mut done: impl FnMut(Report) -> bool,
) where
    Request: Send + 'static,
    Report: Send + 'static,
{
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_given_its_line_and_the_end_of_its_input_only_with_this_one() {
        let mut command = Command::new("sh");
        // A second read would wait for the end of its input, which does not come.
        command.args(["-c", "read line; echo \"got $line\"; echo trouble >&2; exit 3"]);
        let ended = run(command, Some("a plan")).unwrap();
        assert_eq!((ended.stdout.as_str(), ended.stderr.trim()), ("got a plan\n", "trouble"));
        assert_eq!(ended.status.and_then(|status| status.code()), Some(3));
        let (kind, words) = ended.without_report();
        assert!(kind == "crashed" && words.contains("trouble"), "{words}");
    }

    #[test]
    fn no_more_are_run_when_enough_are_done() {
        let mut reports = Vec::new();
        all(
            0..1_000_u64,
            2,
            |number| number * 2,
            |report| {
                reports.push(report);
                reports.len() < 3
            },
        );
        assert!((3..=4).contains(&reports.len()), "those that were under way are heard: {reports:?}");
    }
}
