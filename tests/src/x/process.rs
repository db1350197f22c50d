//! Programs that x starts. They stay in its process group, so that Ctrl-C ends them together with x.

use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

/// How many of a program's last lines are kept to be shown if it fails.
const TAIL_LINES: usize = 60;

/// Lines that tell of a failure, and the few after each, are kept even if many others come after them: so many, the first ones.
const TOLD_LINES: usize = 40;

/// How many lines after one that tells of a failure belong to it.
const TOLD_AFTER: usize = 3;

/// How many bytes of its standard output are kept to be judged: the last ones.
const STDOUT_MAX: usize = 4 * 1024 * 1024;

/// How often progress is shown at least.
const TICK: Duration = Duration::from_millis(200);

/// How long what a program left running may still print, after the program itself has ended.
const GRACE: Duration = Duration::from_secs(2);

/// What happens while a program runs.
pub(super) enum Event<'a> {
    /// It printed a line.
    Line(&'a str),
    /// Nothing new; time passes.
    Tick,
}

/// How a program ended.
pub(super) struct Ended {
    pub(super) status: ExitStatus,
    /// What it printed on standard output.
    pub(super) stdout: String,
    /// The last lines that it printed, on both outputs, in the order in which they came; before them what earlier ones told of failures.
    pub(super) tail: Vec<String>,
}

/// Cargo, at the top of the repository, as if a person had typed it.
pub(super) fn cargo(arguments: &[String], simulated: bool) -> Command {
    let mut command = Command::new("cargo");
    command.args(arguments).current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new(".")));
    // We were started by cargo, which tells us about our own package. Some build scripts (ring's) look at these variables, and would
    // build again and again, once for `cargo x test` and once for `cargo test`.
    for (name, _) in std::env::vars_os() {
        let of_our_package = name.to_str().is_some_and(|name| {
            ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_", "CARGO_PRIMARY_"]
                .iter()
                .any(|prefix| name.starts_with(prefix))
        });
        if of_our_package {
            command.env_remove(name);
        }
    }
    if simulated {
        // They would replace the flag that makes the simulated world, and the steps would quietly test the real one.
        command.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
    }
    command
}

/// Runs `command` to its end and tells `watch` what happens meanwhile.
pub(super) fn run(mut command: Command, mut watch: impl FnMut(Event<'_>)) -> io::Result<Ended> {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let (lines, inbox) = channel();
    if let Some(stdout) = child.stdout.take() {
        forward(stdout, true, lines.clone());
    }
    if let Some(stderr) = child.stderr.take() {
        forward(stderr, false, lines);
    }
    let mut output = Output::default();
    let mut status = None;
    let mut deadline: Option<Instant> = None;
    loop {
        let open = output.receive(&inbox, &mut watch);
        if status.is_none() {
            status = child.try_wait()?;
            deadline = status.map(|_| Instant::now() + GRACE);
        }
        match status {
            Some(status) if !open || deadline.is_some_and(|deadline| Instant::now() >= deadline) => {
                let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
                return Ok(Ended { status, stdout, tail: output.told.into_iter().chain(output.tail).collect() });
            }
            // Both outputs are closed and the program runs on: `receive` no longer waits for us.
            None if !open => status = Some(child.wait()?),
            _ => {}
        }
    }
}

#[derive(Default)]
struct Output {
    stdout: Vec<u8>,
    tail: VecDeque<String>,
    /// What told of failures and is in the tail no more.
    told: Vec<String>,
    /// So many more lines belong to that.
    after: usize,
}

impl Output {
    /// This line leaves the tail.
    fn leaves(&mut self, line: String) {
        if line.contains("panicked at") || line.ends_with("... FAILED") || line.starts_with("error") {
            self.after = TOLD_AFTER + 1;
        }
        if self.after > 0 && self.told.len() < TOLD_LINES {
            self.told.push(line);
        }
        self.after = self.after.saturating_sub(1);
    }

    /// Takes what has been printed, or waits a tick for it. `false` when nothing can come any more.
    fn receive(&mut self, inbox: &Receiver<(bool, String)>, watch: &mut impl FnMut(Event<'_>)) -> bool {
        match inbox.recv_timeout(TICK) {
            Ok((is_stdout, line)) => {
                watch(Event::Line(&line));
                if is_stdout {
                    self.stdout.extend_from_slice(line.as_bytes());
                    self.stdout.push(b'\n');
                    // The end counts: half is dropped at once, so that the rest is not moved for each line.
                    if self.stdout.len() > STDOUT_MAX {
                        self.stdout.drain(..STDOUT_MAX / 2);
                    }
                }
                if self.tail.len() == TAIL_LINES
                    && let Some(line) = self.tail.pop_front()
                {
                    self.leaves(line);
                }
                self.tail.push_back(line);
                true
            }
            Err(RecvTimeoutError::Timeout) => {
                watch(Event::Tick);
                true
            }
            Err(RecvTimeoutError::Disconnected) => false,
        }
    }
}

/// Sends each line of `from`, until it ends or nobody listens.
fn forward(from: impl Read + Send + 'static, is_stdout: bool, to: Sender<(bool, String)>) {
    thread::spawn(move || {
        let mut reader = BufReader::new(from);
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line).is_ok_and(|count| count > 0) {
            // A program may print what is no text; that is no reason to lose its other lines.
            let text = String::from_utf8_lossy(&line).trim_end_matches(['\n', '\r']).to_string();
            if to.send((is_stdout, text)).is_err() {
                return;
            }
            line.clear();
        }
    });
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn shell(script: &str) -> Ended {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        run(command, |_| {}).unwrap()
    }

    #[test]
    fn code_output_and_last_lines_are_kept() {
        let ended = shell("echo out; echo err >&2; for i in $(seq 100); do echo $i >&2; done; exit 7");
        assert_eq!(ended.status.code(), Some(7));
        assert_eq!(ended.stdout, "out\n");
        assert_eq!(ended.tail.len(), TAIL_LINES);
        assert_eq!(ended.tail.last().map(String::as_str), Some("100"));
    }

    #[test]
    fn what_failed_is_shown_however_much_comes_after_it() {
        let ended = shell(
            "echo before; echo 'test a ... FAILED'; echo \"thread 'a' panicked at b.rs:1:1:\"; for i in $(seq 100); do echo $i; done",
        );
        assert_eq!(ended.tail[..5], ["test a ... FAILED", "thread 'a' panicked at b.rs:1:1:", "1", "2", "3"]);
        assert_eq!((ended.tail.len(), ended.tail[5].as_str()), (TAIL_LINES + 5, "41"));
    }

    #[test]
    fn death_by_a_signal_and_bytes_that_are_no_text_are_told() {
        let ended = shell("printf '\\377ok\\n'; kill -9 $$");
        assert!(ended.stdout.ends_with("ok\n"));
        assert!(ended.status.code().is_none() && ended.status.to_string().contains('9'), "{}", ended.status);
    }

    #[test]
    fn what_a_program_leaves_running_does_not_hold_us() {
        let begun = Instant::now();
        let ended = shell("sleep 30 & echo $!");
        assert!(begun.elapsed() < Duration::from_secs(20));
        let _ = Command::new("kill").arg(ended.stdout.trim()).status();
    }

    #[test]
    fn the_simulated_world_keeps_its_flag() {
        let removed = |simulated| cargo(&[], simulated).get_envs().any(|(name, value)| name == "RUSTFLAGS" && value.is_none());
        assert!(removed(true) && !removed(false));
    }
}
