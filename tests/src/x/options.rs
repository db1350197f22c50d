//! What was typed.

use super::steps::STEPS;

pub(super) const HELP: &str = "\
Runs everything that must pass.

usage: cargo x test [--only NAME[,NAME]] [--keep-going] [--verbose] [--json]
       cargo x test --list
       cargo x bench NAME [ARGUMENTS]
       cargo x fuzz

  test            the steps, one after the other, until one fails
    --only        only these steps
    --keep-going  go on after a step that failed
    --verbose     show all that the steps print
    --json        one JSON object as the last line
    --list        name the steps and run none
  bench           figures beside peers: actors, remote or sim
  fuzz            the fuzz targets' bodies over their corpora (without a fuzzer)

examples:
  cargo x test
  cargo x test --only fmt,clippy
  cargo x test --keep-going --json
  cargo x bench actors --json

exit codes: 0 all passed, 1 something failed, 4 bad usage (bench and fuzz: cargo's own)
The last line of `test` is `N passed, N failed`, counted in steps; with --json the object follows it.";

const COMMANDS: &[&str] = &["test", "bench", "fuzz", "help"];
const FLAGS: &[&str] = &["--only", "--keep-going", "--verbose", "--json", "--list", "--help"];

/// What to do.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Command {
    Help,
    List,
    Test(Options),
    Bench(Vec<String>),
    Fuzz,
}

/// How to run the steps.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Options {
    /// Empty: all.
    only: Vec<String>,
    pub(super) keep_going: bool,
    pub(super) verbose: bool,
    pub(super) json: bool,
}

impl Options {
    pub(super) fn chosen(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| only == name)
    }
}

/// Reads the arguments; the error says what is wrong with them.
pub(super) fn parse(arguments: &[String]) -> Result<Command, String> {
    let Some((command, rest)) = arguments.split_first() else { return Err("no command given".to_string()) };
    match command.as_str() {
        "help" | "-h" | "--help" => Ok(Command::Help),
        "test" => test(rest),
        "bench" => match rest.first().map(String::as_str) {
            None => Err("bench wants a name: actors, remote or sim".to_string()),
            Some(_) => Ok(Command::Bench(rest.to_vec())),
        },
        "fuzz" if rest.is_empty() => Ok(Command::Fuzz),
        "fuzz" => Err(format!("fuzz takes no arguments, not {:?}", rest[0])),
        unknown => Err(format!("unknown command {unknown:?}{}", suggestion(unknown, COMMANDS))),
    }
}

fn test(arguments: &[String]) -> Result<Command, String> {
    let mut options = Options::default();
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        let (flag, value) = match argument.split_once('=') {
            Some((flag @ "--only", value)) => (flag, Some(value.to_string())),
            _ => (argument.as_str(), None),
        };
        match flag {
            "--only" => {
                let names = value.or_else(|| arguments.next().cloned()).ok_or("--only wants the names of steps")?;
                for name in names.split(',').map(str::trim).filter(|name| !name.is_empty()) {
                    let known: Vec<&str> = STEPS.iter().map(|step| step.name).collect();
                    if !known.contains(&name) {
                        return Err(format!("no step is called {name:?}{}; --list names them", suggestion(name, &known)));
                    }
                    options.only.push(name.to_string());
                }
                // An empty list would run everything, which is not what was asked for.
                if options.only.is_empty() {
                    return Err("--only wants the names of steps".to_string());
                }
            }
            "--keep-going" => options.keep_going = true,
            "--verbose" | "-v" => options.verbose = true,
            "--json" => options.json = true,
            "--list" => return Ok(Command::List),
            "--help" | "-h" => return Ok(Command::Help),
            unknown => return Err(format!("unknown argument {unknown:?}{}", suggestion(unknown, FLAGS))),
        }
    }
    Ok(Command::Test(options))
}

/// `; did you mean …?` if something is near.
fn suggestion(typed: &str, known: &[&str]) -> String {
    let near = known.iter().map(|name| (distance(typed, name), name)).min();
    match near {
        Some((distance, name)) if distance <= 1 + name.len() / 4 => format!("; did you mean {name:?}?"),
        _ => String::new(),
    }
}

/// How many characters must be put in, left out or changed.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = i;
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let change = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = change.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(line: &str) -> Result<Command, String> {
        parse(&line.split_whitespace().map(str::to_string).collect::<Vec<_>>())
    }

    #[test]
    fn good_lines_are_understood() {
        let only = |names: &[&str]| Options { only: names.iter().map(|n| n.to_string()).collect(), ..Options::default() };
        assert_eq!(typed("test"), Ok(Command::Test(Options::default())));
        assert_eq!(typed("test --only fmt,clippy"), Ok(Command::Test(only(&["fmt", "clippy"]))));
        assert_eq!(typed("test --only=fmt --only test"), Ok(Command::Test(only(&["fmt", "test"]))));
        let all = Options { keep_going: true, verbose: true, json: true, ..Options::default() };
        assert_eq!(typed("test --keep-going -v --json"), Ok(Command::Test(all)));
        assert_eq!(typed("test --list"), Ok(Command::List));
        assert_eq!(typed("bench actors --json"), Ok(Command::Bench(vec!["actors".into(), "--json".into()])));
        assert_eq!(typed("fuzz"), Ok(Command::Fuzz));
        assert_eq!(typed("--help"), Ok(Command::Help));
    }

    #[test]
    fn bad_lines_say_what_is_wrong_and_what_may_be_meant() {
        for (line, part) in [
            ("", "no command"),
            ("tset", "did you mean \"test\"?"),
            ("test --keepgoing", "did you mean \"--keep-going\"?"),
            ("test --only clipy", "did you mean \"clippy\"?"),
            ("test --only ,", "wants the names"),
            ("test --only", "wants the names"),
            ("bench", "wants a name"),
            ("fuzz frames", "no arguments"),
        ] {
            let error = typed(line).unwrap_err();
            assert!(error.contains(part), "{line:?} gives {error:?}, without {part:?}");
        }
        assert!(!typed("quarterly").unwrap_err().contains("did you mean"));
    }

    #[test]
    fn distances() {
        assert_eq!([distance("", "ab"), distance("ab", "ab"), distance("kitten", "sitting")], [2, 0, 3]);
    }
}
