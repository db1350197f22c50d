//! The command line.

use crate::{BENCHES, Bench};

/// How much of everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) json: bool,
    /// Just enough to see that it works; the figures mean little.
    pub(crate) quick: bool,
    pub(crate) rounds: usize,
}

impl Plan {
    /// `full`, or a small part of it when quick.
    pub(crate) fn size(&self, full: usize) -> usize {
        if self.quick { (full / 20).max(1) } else { full }
    }
}

pub(crate) enum Command {
    Help,
    Run(&'static Bench, Plan),
}

const ROUNDS: usize = 7;
const ROUNDS_QUICK: usize = 1;
const ROUNDS_MAX: usize = 1000;

/// What can be typed.
pub(crate) fn usage() -> String {
    let mut text =
        format!("playhouse-benches NAME [--json] [--quick] [--rounds N]\n\nN rounds (1 to {ROUNDS_MAX}, usually {ROUNDS}) of:\n");
    for bench in BENCHES {
        text.push_str(&format!("  {:<8} {}\n", bench.name, bench.about));
    }
    text.push_str("\n--json prints one JSON object as the last line of standard output, and the table to standard error.");
    text
}

pub(crate) fn parse(arguments: &[String]) -> Result<Command, String> {
    let mut plan = Plan { json: false, quick: false, rounds: 0 };
    let mut bench: Option<&'static Bench> = None;
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        let (flag, value) = match argument.split_once('=') {
            Some((flag @ "--rounds", value)) => (flag, Some(value.to_string())),
            _ => (argument.as_str(), None),
        };
        match flag {
            "--json" => plan.json = true,
            "--quick" => plan.quick = true,
            "--rounds" => {
                let value = value.or_else(|| arguments.next().cloned()).unwrap_or_default();
                let rounds = value.parse().ok().filter(|rounds| (1..=ROUNDS_MAX).contains(rounds));
                plan.rounds = rounds.ok_or(format!("--rounds wants a number from 1 to {ROUNDS_MAX}, not {value:?}"))?;
            }
            "--help" | "-h" => return Ok(Command::Help),
            flag if flag.starts_with('-') => return Err(format!("unknown argument {flag:?}\n\n{}", usage())),
            name if bench.is_some() => return Err(format!("one bench at a time; {name:?} is one too many\n\n{}", usage())),
            name => match BENCHES.iter().find(|bench| bench.name == name) {
                Some(found) => bench = Some(found),
                None => return Err(format!("no bench is called {name:?}\n\n{}", usage())),
            },
        }
    }
    if plan.rounds == 0 {
        plan.rounds = if plan.quick { ROUNDS_QUICK } else { ROUNDS };
    }
    match bench {
        Some(bench) => Ok(Command::Run(bench, plan)),
        None => Err(format!("which bench?\n\n{}", usage())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(line: &str) -> Result<(&'static str, Plan), String> {
        match parse(&line.split_whitespace().map(str::to_string).collect::<Vec<_>>())? {
            Command::Help => Err("help".into()),
            Command::Run(bench, plan) => Ok((bench.name, plan)),
        }
    }

    #[test]
    fn lines_are_understood_or_refused_with_a_reason() {
        let plan = Plan { json: false, quick: false, rounds: ROUNDS };
        assert_eq!(typed("actors"), Ok(("actors", plan)));
        assert_eq!(typed("--rounds=3 remote --json"), Ok(("remote", Plan { json: true, rounds: 3, ..plan })));
        assert_eq!(typed("actors --quick"), Ok(("actors", Plan { quick: true, rounds: ROUNDS_QUICK, ..plan })));
        for (line, part) in [
            ("", "which bench?"),
            ("actress", "no bench is called \"actress\""),
            ("actress", "remote"),
            ("actors remote", "one bench at a time"),
            ("actors --fast", "unknown argument"),
            ("actors --rounds", "wants a number"),
            ("actors --rounds 0", "wants a number"),
        ] {
            let error = typed(line).unwrap_err();
            assert!(error.contains(part), "{line:?} gives {error:?}, without {part:?}");
        }
    }
}
