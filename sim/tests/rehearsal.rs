//! `cargo playhouse`, and the simulated tests that it runs: those of this file.
#![cfg(madsim)]
#![allow(missing_docs)]

use std::io::{BufRead, BufReader, Read};
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use playhouse_sim::plan::{Fault, PlanFile};
use serde_json::Value;

/// What Ctrl-C sends.
const SIGINT: i32 = 2;

/// Says to a test where it tells that it runs.
const SOCKET: &str = "PLAYHOUSE_REHEARSAL_SOCKET";

/// What `cargo playhouse` runs. To `cargo test` they are ignored: most of them fail, as they should.
mod trial {
    use std::io::Write;
    use std::os::unix::net::UnixStream;
    use std::time::Duration;

    use playhouse_rt as rt;
    use playhouse_sim::prelude::*;

    /// A pause of a node that nobody has: what befalls it harms nothing.
    fn pauses<'a>() -> [Offer<'a>; 1] {
        [Offer::new(100, 6, |random| Fault::Pause { node: "a".into(), ms: random.between(1, 900) })]
    }

    #[playhouse::sim(seeds = 0..3)]
    async fn holds(world: World) {
        let plan = world.draw(1_000, &pauses());
        world.play(&plan).await;
    }

    /// The time of the breach is another one with each plan and seed.
    #[playhouse::sim(seeds = 0..3)]
    async fn breaks_its_promise(world: World) {
        world.play(&world.draw(1_000, &pauses())).await;
        rt::always!(false, "nobody is paused", "{} were", 3);
    }

    #[playhouse::sim(seeds = 0..2, canary)]
    async fn canary_that_asserts(_: World) {
        assert_eq!(1 + 1, 3);
    }

    #[playhouse::sim(seeds = 0..2, canary)]
    async fn canary_that_breaks_a_promise(_: World) {
        rt::always!(false, "it never sings");
    }

    #[playhouse::sim(seeds = 0..2, canary)]
    async fn canary_whose_world_crashes(world: World) {
        world.back("nobody");
    }

    #[playhouse::sim(seeds = 0..2, canary)]
    async fn canary_that_waits_forever(_: World) {
        std::future::pending().await
    }

    #[playhouse::sim(seeds = 0..2)]
    async fn waits_forever(_: World) {
        std::future::pending().await
    }

    /// Tells that it runs, and has no end.
    async fn linger() {
        let path = std::env::var(super::SOCKET).expect("who wants this says where");
        let mut stream = UnixStream::connect(path).expect("somebody listens");
        writeln!(stream, "it runs").expect("somebody listens");
        loop {
            rt::sleep(Duration::from_millis(1)).await;
        }
    }

    #[playhouse::sim(seeds = 0..1)]
    async fn never_ends(_: World) {
        linger().await;
    }

    /// Four faults break it, and two; one is never the end of it.
    #[playhouse::sim(seeds = 0..1)]
    async fn lingers_with_one_fault(world: World) {
        let pause =
            || Offer::new(100, 1, |random: &mut rt::Random| Fault::Pause { node: "a".into(), ms: random.between(1, 900) });
        let plan = world.draw(1_000, &[pause(), pause(), pause(), pause()]);
        if plan.faults.len() == 1 {
            linger().await;
        }
        rt::always!(plan.faults.is_empty(), "there are no faults");
    }

    /// What each call draws is in the report.
    #[playhouse::sim(seeds = 0..1)]
    async fn draws_twice(world: World) {
        let plans = [world.draw(1_000, &pauses()), world.draw(1_000, &pauses())];
        assert!(plans[0].faults.len() + plans[1].faults.len() < 2, "{plans:?}");
    }
}

fn playhouse(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cargo-playhouse"));
    command.args(arguments).arg("--built").arg(std::env::current_exe().unwrap()).current_dir(folder());
    command
}

/// Where tests of this file may write.
fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
}

fn run(arguments: &[&str]) -> (Option<i32>, String) {
    let Output { status, stdout, stderr } = playhouse(arguments).output().unwrap();
    (status.code(), String::from_utf8_lossy(&stdout).into_owned() + &String::from_utf8_lossy(&stderr))
}

fn last_line(said: &str) -> Value {
    serde_json::from_str(said.lines().last().unwrap_or_default()).unwrap_or_else(|error| panic!("{error}: {said}"))
}

#[test]
fn a_test_that_holds_and_one_whose_promise_breaks() {
    let (code, said) = run(&["sim", "holds"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("trial::holds: 3 of 3 seeds held"), "{said}");
    let (code, said) = run(&["sim", "breaks_its_promise"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("trial::breaks_its_promise seed 0: nobody is paused: 3 were (at "), "{said}");
}

#[test]
fn a_canary_is_content_with_a_broken_promise_or_a_panic_of_its_own() {
    for name in ["canary_that_asserts", "canary_that_breaks_a_promise"] {
        let (code, said) = run(&["sim", name]);
        assert!(code == Some(0) && said.contains("2 of 2 seeds see the mistake"), "{said}");
    }
    for (name, exit) in [("canary_whose_world_crashes", 1), ("canary_that_waits_forever", 2)] {
        let (code, said) = run(&["sim", name, "--json"]);
        assert!(code == Some(exit) && said.contains("NO seed of 2 sees"), "{code:?} {said}");
        assert_eq!(last_line(&said.replace("\nplayhouse", ""))["failed"].as_array().map(Vec::len), Some(2), "{said}");
    }
}

/// The same without `cargo playhouse`.
#[test]
fn a_canary_is_as_hard_to_please_for_plain_cargo_test() {
    for (name, held) in
        [("canary_that_asserts", true), ("canary_whose_world_crashes", false), ("canary_that_waits_forever", false)]
    {
        let mut command = Command::new(std::env::current_exe().unwrap());
        let output = command.args(["--exact", &format!("trial::{name}::simulated"), "--ignored"]).output().unwrap();
        assert_eq!(output.status.success(), held, "{name}: {output:?}");
    }
}

#[test]
fn a_run_without_an_end_is_told_by_the_exit_code() {
    for arguments in [&["sim", "waits_forever", "--seeds", "0..1"][..], &["replay", "trial::waits_forever", "--seed", "1"]] {
        let (code, said) = run(arguments);
        assert!(code == Some(2) && said.contains("nothing can happen any more"), "{code:?} {said}");
    }
}

#[test]
fn a_replay_leaves_out_what_there_are_thousands_of() {
    let kinds = |said: &str| said.lines().filter(|line| [" poll ", " draw "].iter().any(|kind| line.contains(kind))).count();
    let (code, few) = run(&["replay", "breaks_its_promise", "--seed", "1"]);
    let (_, all) = run(&["replay", "breaks_its_promise", "--seed", "1", "--all"]);
    assert!(code == Some(1) && few.contains(" breach ") && few.contains("nobody is paused: 3 were"), "{few}");
    assert!(kinds(&few) == 0 && kinds(&all) > 0, "{all}");
}

#[test]
fn a_page_is_written_or_refused_before_the_run() {
    let page = folder().join("rehearsal.html");
    let (code, said) = run(&["replay", "breaks_its_promise", "--seed", "1", "--html", "rehearsal.html"]);
    assert_eq!(code, Some(1), "{said}");
    let text = std::fs::read_to_string(page).unwrap();
    assert!(text.contains("nobody is paused") && text.contains("cargo playhouse replay breaks_its_promise --seed 1"));
    let (code, said) = run(&["replay", "breaks_its_promise", "--seed", "1", "--html", "no/such/folder.html"]);
    assert!(code == Some(4) && said.contains("cannot be written") && !said.contains("events"), "{said}");
}

#[test]
fn doctor_sees_one_history() {
    let (code, said) = run(&["doctor", "trial::holds"]);
    assert!(code == Some(0) && said.contains("trial::holds: the same history twice"), "{said}");
    let (code, said) = run(&["doctor", "canary_whose_world_crashes"]);
    assert!(code == Some(0) && said.contains("the same history twice"), "{said}");
}

/// The breach comes when the faults are over, so every candidate breaks it at another time.
#[test]
fn a_promise_is_the_same_at_another_time_so_nothing_is_left_of_the_plan() {
    let path = folder().join("shrunk.plan.json");
    let (code, said) = run(&["shrink", "breaks_its_promise", "--seed", "1", "--out", path.to_str().unwrap()]);
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains(" faults -> 0, ") && said.contains("breaks: nobody is paused") && said.contains("seen: 3 were"),
        "{said}"
    );
    let file = PlanFile::parse(&std::fs::read_to_string(&path).unwrap()).unwrap();
    assert_eq!((file.plan.faults.len(), &file.verdict["promise"]), (0, &"nobody is paused".into()));
    let (code, said) = run(&["replay", "breaks_its_promise", "--plan", path.to_str().unwrap()]);
    assert!(code == Some(1) && said.contains("nobody is paused"), "{said}");
    for command in ["replay", "shrink"] {
        let (code, said) = run(&[command, "draws_twice", "--plan", path.to_str().unwrap()]);
        let refused = "it is a plan of \"trial::breaks_its_promise\", not of \"trial::draws_twice\"";
        assert!(code == Some(4) && said.contains(refused) && !said.contains("events"), "{said}");
    }
}

#[test]
fn a_second_draw_is_another_one_and_a_plan_gives_each_call_its_own() {
    let (code, said) = run(&["replay", "draws_twice", "--seed", "1"]);
    assert_eq!(code, Some(1), "{said}");
    let path = folder().join("twice.plan.json");
    let (code, said) = run(&["shrink", "draws_twice", "--seed", "1", "--out", path.to_str().unwrap()]);
    assert!(code == Some(0) && said.contains(" faults -> 2, "), "{said}");
    let file = PlanFile::parse(&std::fs::read_to_string(&path).unwrap()).unwrap();
    assert!(file.plan.faults.iter().all(|timed| matches!(&timed.fault, Fault::Pause { node, .. } if node == "a")), "{file:?}");
}

/// Something that `cargo playhouse` runs and that tells of it.
struct Lingering {
    parent: Child,
    stream: BufReader<UnixStream>,
}

impl Lingering {
    /// Returns when the run is under way.
    fn begin(name: &str, mut command: Command) -> Lingering {
        let at = folder().join(format!("{name}.socket"));
        let _ = std::fs::remove_file(&at);
        let listener = UnixListener::bind(&at).unwrap();
        let parent = command.env(SOCKET, &at).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let (stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let mut stream = BufReader::new(stream);
        let mut line = String::new();
        stream.read_line(&mut line).unwrap();
        assert_eq!(line, "it runs\n");
        Lingering { parent, stream }
    }

    /// Nobody can catch this signal: what is left is what the others do when they are alone. Returns when the run is gone, too.
    fn kill(mut self) {
        self.parent.kill().unwrap();
        self.is_over();
    }

    /// Sends what Ctrl-C sends, to `cargo playhouse` alone or to its whole group, as a terminal does.
    fn interrupt(mut self, group: bool) {
        let id = self.parent.id();
        let whom = if group { format!("-{id}") } else { id.to_string() };
        assert!(Command::new("kill").args(["-INT", "--", &whom]).status().unwrap().success());
        assert_eq!(self.is_over(), Some(SIGINT));
    }

    /// Waits for the end of both; the signal that ended the first of them.
    fn is_over(&mut self) -> Option<i32> {
        let status = self.parent.wait().unwrap();
        // The run holds the other end for as long as it lives.
        let end = self.stream.read_to_end(&mut Vec::new());
        assert!(matches!(end, Ok(0)), "the run goes on: {end:?}");
        status.signal()
    }
}

#[test]
fn whoever_is_killed_leaves_no_run_behind_and_no_file() {
    let temporary = folder().join("temporary");
    let _ = std::fs::remove_dir_all(&temporary);
    std::fs::create_dir_all(&temporary).unwrap();
    let mut command = playhouse(&["sim", "never_ends"]);
    command.env("TMPDIR", &temporary);
    Lingering::begin("never-ends", command).kill();
    assert_eq!(std::fs::read_dir(&temporary).unwrap().count(), 0, "files are left");
}

/// The same program, which hears Ctrl-C: who runs these tests in the background of a script has them ignore it, and their children, too.
fn interruptible(command: Command) -> Command {
    let mut wrapped = Command::new("env");
    wrapped.arg("--default-signal=INT").arg(command.get_program()).args(command.get_args());
    wrapped.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    wrapped.current_dir(command.get_current_dir().expect("it has one"));
    wrapped
}

#[test]
fn ctrl_c_ends_the_runs_too() {
    for (name, group) in [("interrupted", false), ("interrupted-group", true)] {
        let mut command = interruptible(playhouse(&["sim", "never_ends"]));
        // A group of its own, as a shell gives it.
        command.process_group(0);
        Lingering::begin(name, command).interrupt(group);
    }
}

#[test]
fn whoever_is_killed_while_it_shrinks_has_kept_the_best_so_far() {
    let path = folder().join("kept.plan.json");
    let _ = std::fs::remove_file(&path);
    let command = playhouse(&["shrink", "lingers_with_one_fault", "--seed", "1", "--out", path.to_str().unwrap()]);
    Lingering::begin("kept", command).kill();
    let file = PlanFile::parse(&std::fs::read_to_string(&path).unwrap()).unwrap();
    assert_eq!((file.plan.faults.len(), &file.verdict["promise"]), (2, &"there are no faults".into()));
}
