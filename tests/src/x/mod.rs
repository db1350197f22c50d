//! `cargo x`: runs everything that must pass, one named step after the other.
//!
//! The steps are data, in [`steps`]; the rest reads arguments, runs programs and shows how it went.

mod options;
mod process;
mod show;
pub mod steps;

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use options::{Command, Options};
use process::Ended;
use show::Screen;
use steps::{STEPS, Step};

/// What the program gives back to the shell; scripts and CI rely on it.
mod exit {
    pub(super) const PASSED: u8 = 0;
    pub(super) const FAILED: u8 = 1;
    pub(super) const USAGE: u8 = 4;
}

/// The program.
pub fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    ExitCode::from(match options::parse(&arguments) {
        Ok(Command::Help) => {
            say(options::HELP);
            exit::PASSED
        }
        Ok(Command::List) => {
            STEPS.iter().for_each(|step| say(&format!("{:<12} {}", step.name, step.about)));
            exit::PASSED
        }
        Ok(Command::Test(options)) => test(&options),
        Ok(Command::Bench(arguments)) => {
            let fixed = ["run", "--release", "-q", "-p", "playhouse-benches", "--"].map(str::to_string);
            hand_over(&[&fixed[..], &arguments].concat())
        }
        Ok(Command::Fuzz) => hand_over(&["test", "-q", "-p", "playhouse-tests", "--test", "corpus"].map(str::to_string)),
        Err(wrong) => {
            let _ = writeln!(io::stderr(), "cargo x: {wrong}\n\n{}", options::HELP);
            exit::USAGE
        }
    })
}

/// A line on standard output. A reader that has gone away is no reason to stop the steps.
fn say(text: &str) {
    let _ = writeln!(io::stdout(), "{}", text.trim_end());
}

/// Lets cargo do the work in our place, on our terminal.
fn hand_over(arguments: &[String]) -> u8 {
    match process::cargo(arguments, false).status() {
        // A bench or a test says more by its code than we could.
        Ok(status) => status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(exit::FAILED),
        Err(error) => {
            let _ = writeln!(io::stderr(), "cargo x: cargo did not start: {error}");
            exit::FAILED
        }
    }
}

/// How a step ended.
struct Outcome {
    step: &'static Step,
    /// `None`: it was not run, because one before it failed.
    result: Option<Result<String, String>>,
    took: Duration,
}

fn test(options: &Options) -> u8 {
    let mut screen = Screen::new();
    let mut outcomes: Vec<Outcome> = Vec::new();
    let begun = Instant::now();
    let chosen: Vec<&'static Step> = STEPS.iter().filter(|step| options.chosen(step.name)).collect();
    let mut stopped = false;
    for (index, step) in chosen.iter().enumerate() {
        if stopped {
            outcomes.push(Outcome { step, result: None, took: Duration::ZERO });
            continue;
        }
        screen.begin(index + 1, chosen.len(), step.name, step.about);
        let started = Instant::now();
        let (result, tail) = run(step, options.verbose, &mut screen);
        let took = started.elapsed();
        screen.end(step.name, &result, took);
        if result.is_err() {
            screen.tail(&tail, &command_line(step));
            stopped = !options.keep_going;
        }
        outcomes.push(Outcome { step, result: Some(result), took });
    }
    let rows: Vec<_> = outcomes.iter().map(|outcome| (outcome.step.name, outcome.result.as_ref(), outcome.took)).collect();
    screen.table(&rows, begun.elapsed());
    let passed = outcomes.iter().filter(|outcome| matches!(outcome.result, Some(Ok(_)))).count();
    let failed = outcomes.iter().filter(|outcome| matches!(outcome.result, Some(Err(_)))).count();
    say(&format!("{passed} passed, {failed} failed"));
    if options.json {
        say(&json(&outcomes, passed, failed, begun.elapsed()).to_string());
    }
    if failed == 0 { exit::PASSED } else { exit::FAILED }
}

/// Runs a step to its end and judges it; beside the verdict, the last lines that it printed.
fn run(step: &Step, verbose: bool, screen: &mut Screen) -> (Result<String, String>, Vec<String>) {
    let arguments: Vec<String> = step.arguments();
    let ended = match process::run(process::cargo(&arguments, step.simulated), |event| screen.progress(step.name, event, verbose))
    {
        Ok(ended) => ended,
        Err(error) => return (Err(format!("cargo did not start: {error}")), Vec::new()),
    };
    let Ended { status, stdout, tail } = ended;
    let result = if status.success() {
        (step.judge)(&stdout).map_err(|wrong| format!("it ended well, but {wrong}"))
    } else {
        // On Unix the text says `exit status: 101` or `signal: 9 (SIGKILL)`.
        Err(status.to_string())
    };
    (result, tail)
}

/// What a person types to run the step alone.
fn command_line(step: &Step) -> String {
    let quote = |argument: String| if argument.contains([' ', '\'', '(', '[']) { format!("\"{argument}\"") } else { argument };
    format!("cargo {}", step.arguments().into_iter().map(quote).collect::<Vec<_>>().join(" "))
}

fn json(outcomes: &[Outcome], passed: usize, failed: usize, took: Duration) -> serde_json::Value {
    let row = |outcome: &Outcome| {
        let (state, detail) = match &outcome.result {
            None => ("not run", ""),
            Some(Ok(detail)) => ("passed", detail.as_str()),
            Some(Err(detail)) => ("failed", detail.as_str()),
        };
        serde_json::json!({ "name": outcome.step.name, "state": state, "detail": detail, "wall_s": outcome.took.as_secs_f64() })
    };
    let steps: Vec<_> = outcomes.iter().map(row).collect();
    serde_json::json!({ "passed": passed, "failed": failed, "wall_s": took.as_secs_f64(), "steps": steps })
}
