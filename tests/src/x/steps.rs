//! Everything that must pass, as data. To add a step, add a row; the cheap ones stand first.

use serde_json::Value;

/// Something that must pass.
pub struct Step {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it shows, in a few words.
    pub about: &'static str,
    /// Whether it belongs to the simulated world, which is built with flags of its own.
    pub simulated: bool,
    /// What cargo is asked; [`SIMULATED_WORLD`] and [`SIMULATED_PACKAGES`] are expanded.
    command: &'static [&'static str],
    /// Looks at what it printed, when it ended well: a remark for the table, or what is wrong.
    pub judge: fn(&str) -> Result<String, String>,
}

/// Stands for [`WORLD`] within a command.
const SIMULATED_WORLD: &str = "<simulated world>";

/// Stands for [`PACKAGES`] within a command.
const SIMULATED_PACKAGES: &str = "<simulated packages>";

/// The packages with tests of the simulated world.
const PACKAGES: &[&str] = &[
    "-p",
    "playhouse-rt",
    "-p",
    "playhouse-store",
    "-p",
    "playhouse-net",
    "-p",
    "playhouse-cluster",
    "-p",
    "playhouse-actors",
    "-p",
    "playhouse",
    "-p",
    "playhouse-sim",
];

/// What makes cargo build the simulated world; the alias `cargo sim` in .cargo/config.toml does the same.
const WORLD: &[&str] =
    &["--profile", "sim", "--target-dir", "target/sim", "--config", "target.'cfg(all())'.rustflags=['--cfg=madsim']"];

/// All steps, in the order in which they run.
pub const STEPS: &[Step] = &[
    Step {
        name: "fmt",
        about: "the sources are formatted",
        simulated: false,
        command: &["fmt", "--all", "--check"],
        judge: nothing,
    },
    Step {
        name: "clippy",
        about: "no lint complains",
        simulated: false,
        command: &["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"],
        judge: nothing,
    },
    Step {
        name: "test",
        about: "all tests, on the real runtime, disk and network",
        simulated: false,
        command: &["test", "--workspace", "--no-fail-fast"],
        judge: tests,
    },
    Step {
        name: "examples",
        about: "the examples of the crate that people add end well, with the line that they should",
        simulated: false,
        // The executables' paths come with the artifacts; what rustc says is for people, as ever.
        command: &["build", "-q", "-p", "playhouse", "--examples", "--message-format", "json-render-diagnostics"],
        judge: examples,
    },
    Step {
        name: "outside-s3",
        about: "checkpoints in an S3, over HTTP, keep what they promise, and outlive their node's disk",
        simulated: false,
        // Outside of the workspace, so that its server, and the client of S3, are built by nothing else.
        command: &["test", "--manifest-path", "tests/s3/Cargo.toml", "--locked", "--target-dir", "target", "--no-fail-fast"],
        judge: tests,
    },
    Step {
        name: "clippy-sim",
        about: "no lint complains in the simulated world",
        simulated: true,
        // Not the examples: they start real nodes.
        command: &["clippy", SIMULATED_WORLD, SIMULATED_PACKAGES, "--lib", "--bins", "--tests", "--", "-D", "warnings"],
        judge: nothing,
    },
    Step {
        name: "test-sim",
        about: "the tests of the simulated world",
        simulated: true,
        // Not the examples in documentation: rustdoc does not get the flag.
        command: &["test", SIMULATED_WORLD, SIMULATED_PACKAGES, "--lib", "--bins", "--tests", "--no-fail-fast"],
        judge: tests,
    },
    Step {
        name: "sim",
        about: "200 simulated histories of the demo keep every promise",
        simulated: true,
        command: &["sim", "run", "demo", "--seeds", "0..200", "--json"],
        judge: seeds,
    },
    Step {
        name: "amnesia",
        about: "50 simulated histories of a coordinator that forgets everything",
        simulated: true,
        command: &["sim", "run", "amnesia", "--seeds", "0..50", "--json"],
        judge: seeds,
    },
    Step {
        name: "actors",
        about: "100 simulated histories of actors that load each other while their nodes fail",
        simulated: true,
        command: &["sim", "run", "actors", "--seeds", "0..100", "--json"],
        judge: seeds,
    },
    Step {
        name: "streams",
        about: "40 simulated histories of streams of answers, some with a sink that is slow for a minute",
        simulated: true,
        command: &["sim", "run", "streams", "--seeds", "0..40", "--json"],
        judge: seeds,
    },
    Step {
        name: "groups",
        about: "100 simulated histories of groups, drains, children that come and go, offloaded work and timers",
        simulated: true,
        command: &["sim", "run", "groups", "--seeds", "0..100", "--json"],
        judge: seeds,
    },
    Step {
        name: "brief",
        about: "100 simulated histories of a cluster that has nothing to do",
        simulated: true,
        command: &["sim", "run", "brief", "--seeds", "0..100", "--json"],
        judge: seeds,
    },
    Step {
        name: "work",
        about: "100 simulated histories of a job whose tasks take a while and whose nodes go",
        simulated: true,
        command: &["sim", "run", "work", "--seeds", "0..100", "--json"],
        judge: seeds,
    },
    Step {
        name: "calls",
        about: "100 simulated histories of calls that a node alone acknowledges, and of nodes that go",
        simulated: true,
        command: &["sim", "run", "calls", "--seeds", "0..100", "--json"],
        judge: seeds,
    },
    Step {
        name: "leader-kill",
        about: "100 simulated histories of three coordinators, of which the one that leads loses its power",
        simulated: true,
        command: &["sim", "run", "leader-kill", "--seeds", "0..100", "--json"],
        judge: seeds,
    },
    Step {
        name: "partition",
        about: "100 simulated histories of three coordinators that are cut off from each other",
        simulated: true,
        command: &["sim", "run", "partition", "--seeds", "0..100", "--json"],
        judge: seeds,
    },
    Step {
        name: "disk",
        about: "100 simulated histories of three coordinators with sick disks",
        simulated: true,
        command: &["sim", "run", "disk", "--seeds", "0..100", "--json"],
        judge: seeds,
    },
    Step {
        name: "membership",
        about: "40 simulated histories of coordinators that join, are dismissed, forget and move",
        simulated: true,
        command: &["sim", "run", "membership", "--seeds", "0..40", "--json"],
        judge: seeds,
    },
    Step {
        name: "rolling",
        about: "40 simulated histories of a rolling restart of all coordinators and worker nodes",
        simulated: true,
        command: &["sim", "run", "rolling", "--seeds", "0..40", "--json"],
        judge: seeds,
    },
    Step {
        name: "entities",
        about: "25 simulated histories of entities that move between hosts",
        simulated: true,
        command: &["sim", "run", "entities", "--seeds", "0..25", "--json"],
        judge: seeds,
    },
    Step {
        name: "persist",
        about: "60 simulated histories of persistent actors that are taken over, and of tasks that resume",
        simulated: true,
        command: &["sim", "run", "persist", "--seeds", "0..60", "--json"],
        judge: seeds,
    },
    Step {
        name: "twice-membership",
        about: "the same seed is the same history when coordinators come and go",
        simulated: true,
        command: &["sim", "twice", "membership", "--seeds", "0..5"],
        judge: nothing,
    },
    Step {
        name: "twice-leader-kill",
        about: "the same with three coordinators and their journals",
        simulated: true,
        command: &["sim", "twice", "leader-kill", "--seeds", "0..10"],
        judge: nothing,
    },
    Step {
        name: "certificates",
        about: "40 simulated histories of a certificate that ends while its node runs",
        simulated: true,
        command: &["sim", "run", "certificates", "--seeds", "0..40", "--json"],
        judge: seeds,
    },
    Step {
        name: "twice",
        about: "the same seed is the same history, in two processes",
        simulated: true,
        command: &["sim", "twice", "demo", "--seeds", "0..50"],
        judge: nothing,
    },
    Step {
        name: "twice-actors",
        about: "so is that of actors",
        simulated: true,
        command: &["sim", "twice", "actors", "--seeds", "0..20"],
        judge: nothing,
    },
    Step {
        name: "planted",
        about: "the simulator finds the bugs that were put back",
        simulated: true,
        command: &["sim", "planted", "--json"],
        judge: planted,
    },
    Step {
        name: "plans",
        about: "each saved plan ends as it did when it was saved",
        simulated: true,
        command: &["sim", "plans", "--json"],
        judge: plans,
    },
    Step {
        name: "outside",
        about: "an application outside of the workspace rehearses its own actors",
        simulated: true,
        command: &[
            "run",
            "-q",
            "-p",
            "playhouse-sim",
            "--bin",
            "cargo-playhouse",
            "--",
            "sim",
            "--manifest-path",
            "tests/outside/Cargo.toml",
            "--locked",
            "--target-dir",
            "target/sim",
            "--json",
        ],
        judge: outside,
    },
    Step {
        name: "outside-doctor",
        about: "each of its tests is the same history twice",
        simulated: true,
        command: &[
            "run",
            "-q",
            "-p",
            "playhouse-sim",
            "--bin",
            "cargo-playhouse",
            "--",
            "doctor",
            "--manifest-path",
            "tests/outside/Cargo.toml",
            "--locked",
            "--target-dir",
            "target/sim",
        ],
        judge: nothing,
    },
    Step {
        name: "outside-page",
        about: "and can be looked at",
        simulated: true,
        command: &[
            "run",
            "-q",
            "-p",
            "playhouse-sim",
            "--bin",
            "cargo-playhouse",
            "--",
            "replay",
            "each_coin_counts_once",
            "--seed",
            "7",
            "--html",
            "target/outside.html",
            "--manifest-path",
            "tests/outside/Cargo.toml",
            "--locked",
            "--target-dir",
            "target/sim",
        ],
        judge: nothing,
    },
    Step { name: "release", about: "the release build", simulated: false, command: &["build", "--release"], judge: nothing },
    Step {
        name: "demo",
        about: "the demo gives the right results, over mutual TLS",
        simulated: false,
        command: &["run", "--release", "-q", "--", "demo", "--json"],
        judge: demo,
    },
    Step {
        name: "bench-smoke",
        about: "the actors' bench gives all its rows",
        simulated: false,
        command: &["run", "--release", "-q", "-p", "playhouse-benches", "--", "actors", "--quick", "--json"],
        judge: bench,
    },
];

impl Step {
    /// What cargo is asked.
    pub fn arguments(&self) -> Vec<String> {
        let expand = |argument: &&'static str| match *argument {
            SIMULATED_WORLD => WORLD.to_vec(),
            SIMULATED_PACKAGES => PACKAGES.to_vec(),
            argument => vec![argument],
        };
        self.command.iter().flat_map(expand).map(str::to_string).collect()
    }
}

/// The exit code has said it all.
fn nothing(_: &str) -> Result<String, String> {
    Ok(String::new())
}

/// Adds up `test result: ok. 3 passed; 0 failed; 1 ignored; …`.
fn tests(stdout: &str) -> Result<String, String> {
    let mut counts = [0u64; 2];
    for line in stdout.lines().filter_map(|line| line.strip_prefix("test result: ")) {
        for (count, word) in counts.iter_mut().zip(["passed", "ignored"]) {
            let part = line.split(['.', ';']).find_map(|part| part.trim().strip_suffix(word));
            *count += part.and_then(|number| number.trim().parse::<u64>().ok()).unwrap_or(0);
        }
    }
    match counts {
        [0, _] => Err("no test ran".to_string()),
        [passed, 0] => Ok(format!("{passed} tests")),
        [passed, ignored] => Ok(format!("{passed} tests, {ignored} ignored")),
    }
}

/// The JSON object on the last line.
fn last_line(stdout: &str) -> Result<Value, String> {
    let line = stdout.lines().rfind(|line| !line.trim().is_empty()).ok_or("it printed nothing")?;
    let value: Value = serde_json::from_str(line).map_err(|error| format!("its last line is no JSON ({error}): {line}"))?;
    if value.is_object() { Ok(value) } else { Err(format!("its last line is no JSON object: {line}")) }
}

fn number(value: &Value, key: &str) -> Result<u64, String> {
    value[key].as_u64().ok_or_else(|| format!("its last line has no number {key:?}"))
}

fn seeds(stdout: &str) -> Result<String, String> {
    let value = last_line(stdout)?;
    let (seeds, passed) = (number(&value, "seeds")?, number(&value, "passed")?);
    if seeds == 0 || passed != seeds {
        return Err(format!("{passed} of {seeds} seeds passed"));
    }
    Ok(format!("{seeds} seeds, {:.0} s simulated", value["virtual_s"].as_f64().unwrap_or(0.0)))
}

fn plans(stdout: &str) -> Result<String, String> {
    let value = last_line(stdout)?;
    let (plans, right) = (number(&value, "plans")?, number(&value, "right")?);
    if plans == 0 || right != plans {
        Err(format!("{right} of {plans} plans ended as they should"))
    } else {
        Ok(format!("{plans} plans"))
    }
}

fn outside(stdout: &str) -> Result<String, String> {
    let value = last_line(stdout)?;
    let (tests, seeds) = (number(&value, "tests")?, number(&value, "seeds")?);
    let none = |key: &str| value[key].as_array().is_some_and(Vec::is_empty);
    if tests < 2 || seeds == 0 || !none("failed") || !none("blind") {
        return Err(format!("its tests failed, or its canary lives: {value}"));
    }
    Ok(format!("{tests} tests, {seeds} runs"))
}

fn planted(stdout: &str) -> Result<String, String> {
    let value = last_line(stdout)?;
    let (planted, found) = (number(&value, "planted")?, number(&value, "found")?);
    // How many may be missed is the simulator's to say, by its exit code; finding none is never right.
    if found == 0 || found > planted {
        return Err(format!("{found} of {planted} planted bugs were found"));
    }
    Ok(format!("{found} of {planted} bugs found"))
}

fn demo(stdout: &str) -> Result<String, String> {
    let value = last_line(stdout)?;
    for key in ["result_ok", "windows_ok", "mtls"] {
        if value[key] != Value::Bool(true) {
            return Err(format!("{key} is {}, not true", value[key]));
        }
    }
    Ok("results and windows right, mutual TLS".to_string())
}

/// The examples that must be there: what each is given, and how its last line begins, or the last but one. Another one is given nothing,
/// and names itself there.
const EXAMPLES: &[(&str, &[&str], &str)] = &[
    ("hello", &[], "hello: 3 guests were greeted"),
    ("chat", &[], "chat: everybody has left, and the room closed: it was stopped"),
    ("pool", &[], "pool: 100 of 100 jobs were done, in 3142 steps"),
    ("pipeline", &[], "pipeline: 40 of 40 acknowledged records are in the ledger"),
    ("stream", &[], "stream: 20000 records came in order, and the endless stream was stopped"),
    ("transfer", &["4MiB"], "hash equal: "),
    ("million", &["1000"], "million: all stopped after "),
];

/// Runs each example that cargo says it has built.
fn examples(stdout: &str) -> Result<String, String> {
    let artifacts = stdout.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut built: Vec<(String, String)> = artifacts
        .filter(|artifact| artifact["target"]["kind"][0] == "example")
        .filter_map(|artifact| Some((artifact["target"]["name"].as_str()?.into(), artifact["executable"].as_str()?.into())))
        .collect();
    built.sort();
    if let Some((lost, ..)) = EXAMPLES.iter().find(|(name, ..)| !built.iter().any(|(other, _)| other == name)) {
        return Err(format!("there is no example {lost}"));
    }
    for (name, program) in &built {
        let arguments = EXAMPLES.iter().find(|(example, ..)| example == name).map_or(&[][..], |(_, arguments, _)| arguments);
        let output = std::process::Command::new(program)
            .args(arguments)
            .output()
            .map_err(|error| format!("{name} did not start: {error}"))?;
        let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        if !output.status.success() {
            return Err(format!("{name} ended with {}\n{stdout}{stderr}", output.status));
        }
        ends_well(name, &stdout)?;
    }
    Ok(format!("{} examples", built.len()))
}

fn ends_well(name: &str, stdout: &str) -> Result<(), String> {
    let itself = format!("{name}: ");
    let begins = EXAMPLES.iter().find(|(example, ..)| *example == name).map_or(&*itself, |(.., line)| line);
    if stdout.lines().rev().take(2).any(|line| line.starts_with(begins)) {
        return Ok(());
    }
    Err(format!("{name} does not end with {begins:?}, but with {:?}", stdout.lines().last().unwrap_or_default()))
}

/// The rows that the bench of actors must have: each metric beside each peer.
const METRICS: &[&str] = &["local_tell", "local_ask", "spawn_ask", "bytes_per_actor"];
const PEERS: &[&str] = &["actix", "ractor", "kameo"];

fn bench(stdout: &str) -> Result<String, String> {
    let value = last_line(stdout)?;
    let rows = value["rows"].as_array().ok_or("its last line has no rows")?;
    for (metric, peer) in METRICS.iter().flat_map(|metric| PEERS.iter().map(move |peer| (*metric, *peer))) {
        let row = rows.iter().find(|row| row["metric"] == metric && row["peer"] == peer);
        let row = row.ok_or_else(|| format!("there is no row of {metric} beside {peer}"))?;
        if !["ours", "theirs", "ratio"].iter().all(|key| row[key].as_f64().is_some_and(|figure| figure > 0.0)) {
            return Err(format!("the row of {metric} beside {peer} lacks a figure: {row}"));
        }
    }
    Ok(format!("{} rows", rows.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_world_is_that_of_the_alias() {
        let config = include_str!("../../../.cargo/config.toml");
        for flag in WORLD {
            assert!(config.contains(flag), "{flag} is not in the alias `sim`");
        }
    }

    #[test]
    fn names_are_distinct() {
        let names: std::collections::BTreeSet<_> = STEPS.iter().map(|step| step.name).collect();
        assert_eq!(names.len(), STEPS.len());
    }

    #[test]
    fn test_results_are_added_up() {
        let text = "running\ntest result: ok. 3 passed; 0 failed; 1 ignored; 0 measured\nx\ntest result: ok. 4 passed; 0 failed; 0 ignored";
        assert_eq!(tests(text), Ok("7 tests, 1 ignored".to_string()));
        assert!(tests("test result: ok. 0 passed; 0 failed; 0 ignored").is_err());
    }

    #[test]
    fn an_exit_code_of_0_alone_is_not_believed() {
        let lines = |value: Value| format!("chat\n{value}\n");
        assert!(seeds(&lines(json!({ "seeds": 50, "passed": 50, "virtual_s": 812.4 }))).is_ok());
        assert!(seeds(&lines(json!({ "seeds": 50, "passed": 49 }))).is_err());
        assert!(seeds(&lines(json!({ "seeds": 0, "passed": 0 }))).is_err());
        assert!(plans(&lines(json!({ "plans": 2, "right": 2 }))).is_ok());
        assert!(
            plans(&lines(json!({ "plans": 2, "right": 1 }))).is_err()
                && plans(&lines(json!({ "plans": 0, "right": 0 }))).is_err()
        );
        assert!(outside(&lines(json!({ "tests": 2, "seeds": 60, "failed": [], "blind": [] }))).is_ok());
        assert!(outside(&lines(json!({ "tests": 2, "seeds": 60, "failed": [], "blind": ["canary"] }))).is_err());
        assert!(outside(&lines(json!({ "tests": 2, "seeds": 60, "failed": [{}], "blind": [] }))).is_err());
        assert!(planted(&lines(json!({ "planted": 20, "found": 19 }))).is_ok());
        assert!(planted(&lines(json!({ "planted": 20, "found": 0 }))).is_err());
        assert!(demo(&lines(json!({ "result_ok": true, "windows_ok": true, "mtls": true }))).is_ok());
        assert!(demo(&lines(json!({ "result_ok": true, "windows_ok": true }))).unwrap_err().contains("mtls"));
        assert!(demo("").is_err() && demo("no json").is_err() && demo("[]").is_err());
    }

    #[test]
    fn an_example_is_judged_by_its_last_line() {
        assert!(ends_well("hello", "Hello\nhello: 3 guests were greeted\n").is_ok());
        assert!(ends_well("hello", "hello: 2 guests were greeted\n").unwrap_err().contains("hello: 2 guests"));
        assert!(ends_well("hello", "hello: 3 guests were greeted\nand\nso on\n").is_err());
        assert!(ends_well("new", "new: all is well\n").is_ok() && ends_well("new", "").is_err());
        assert!(examples("no artifact\n").unwrap_err().contains("no example hello"));
    }

    #[test]
    fn a_bench_wants_every_metric_beside_every_peer() {
        let row = |metric: &str, peer: &str| json!({ "metric": metric, "peer": peer, "ours": 1.0, "theirs": 2.0, "ratio": 0.5 });
        let mut rows: Vec<Value> = METRICS.iter().flat_map(|metric| PEERS.iter().map(move |peer| row(metric, peer))).collect();
        assert_eq!(bench(&json!({ "rows": rows }).to_string()), Ok("12 rows".to_string()));
        rows[3]["ratio"] = Value::Null;
        assert!(bench(&json!({ "rows": rows }).to_string()).unwrap_err().contains("local_ask beside actix"));
        rows.pop();
        assert!(bench(&json!({ "rows": rows }).to_string()).is_err());
    }
}
