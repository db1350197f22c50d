//! `playhouse log`, over the log of a coordinator in this process.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use playhouse::prelude::*;
use playhouse::{Coordinate, NodeName, PlaneConfig};
use serde_json::Value as Json;

const DAY: Duration = Duration::from_secs(86_400);

/// A name that would command a terminal, if it were let.
const SHOUT: Function<u64, u64> = Function::new("shout\x1b[31m");

struct Desk(PathBuf);

impl Desk {
    fn new(test: &str) -> Desk {
        let folder = std::env::temp_dir().join(format!("playhouse-cli-log-{test}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        Desk(folder)
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_playhouse"));
        command.arg("log").args(arguments).current_dir(&self.0).stdin(Stdio::null()).output().unwrap()
    }

    /// What is said, if it ends with this code.
    fn says(&self, arguments: &[&str], code: i32) -> String {
        let output = self.run(arguments);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {output:?}");
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8(said).unwrap();
        assert!(!said.contains('\x1b') && !said.contains("panicked"), "{said}");
        said
    }

    fn lines(&self, arguments: &[&str], code: i32) -> Vec<Json> {
        let output = self.run(arguments);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// A coordinator that has done some jobs; gives the number of the first.
    fn coordinate(&self) -> u64 {
        let story = async {
            let authority = Authority::new("test", Host::os().wall_clock()).unwrap();
            let name = NodeName::new("x").unwrap();
            let identity = authority.issue(&name, Host::os().wall_clock(), DAY).unwrap();
            identity.save(&self.0.join("identity")).unwrap();
            let plane = PlaneConfig { workers: 1, ..PlaneConfig::default() };
            let coordinate = Coordinate { plane, ..Coordinate::new(self.0.join("data")) };
            let config = NodeConfig::coordinator(identity, "127.0.0.1:0".parse().unwrap(), coordinate);
            let tasks = Tasks::new().add(SHOUT, |_, number| Ok(number));
            let checkpoints = Some(self.0.join("checkpoints"));
            let node = Node::start(Host::os(), NodeConfig { capacity: 1, tasks, checkpoints, ..config }).await.unwrap();
            let mut first = None;
            for number in 0..5_u64 {
                let mut job = Job::new("default");
                let number = job.value(&number).unwrap();
                let loud = job.call(SHOUT, number);
                let job = node.client().submit(job, loud).await.unwrap();
                job.wait().await.unwrap();
                first.get_or_insert(job.id().0);
            }
            node.stop(Duration::from_secs(1)).await;
            first.unwrap()
        };
        rt::run(1, story).unwrap()
    }

    fn segment(&self) -> PathBuf {
        let mut files: Vec<_> = fs::read_dir(self.0.join("data/tasks")).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        files.remove(0)
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_log_is_shown_and_verified_and_one_changed_byte_is_found() {
    let desk = Desk::new("whole");
    let first = desk.coordinate();
    let said = desk.says(&["verify", "data"], 0);
    assert!(said.contains("data/tasks is whole") && said.contains("records        21"), "{said}");
    let verdict = &desk.lines(&["verify", "data", "--json"], 0)[0];
    assert_eq!((&verdict["whole"], verdict["first"].as_u64(), verdict["last"].as_u64()), (&Json::Bool(true), Some(1), Some(21)));
    assert_eq!((verdict["chain"].as_str().unwrap().len(), verdict["gaps"].as_array().unwrap().len()), (64, 0));

    let said = desk.says(&["show", "data"], 0);
    assert!(said.contains("NUMBER") && said.contains("shout\\u{1b}[31m to x#"), "{said}");
    assert_eq!(said.lines().count(), 22);
    let all = desk.lines(&["show", "data", "--json"], 0);
    assert!(all.iter().enumerate().all(|(at, line)| line["number"].as_u64() == Some(at as u64 + 1)), "{all:?}");
    let events = |lines: &[Json]| lines.iter().map(|line| line["event"].as_str().unwrap().to_string()).collect::<Vec<_>>();
    assert_eq!(events(&all[..5]), ["began", "submitted", "dispatched", "done", "ended"]);
    let job = first.to_string();
    assert_eq!(events(&desk.lines(&["show", "data", "--job", &job, "--json"], 0)), ["submitted", "dispatched", "done", "ended"]);
    assert_eq!(desk.says(&["show", "data", "--job", &job], 0).lines().count(), 5);
    assert_eq!(desk.says(&["show", "data", "--job", "7"], 0).lines().count(), 1, "nothing is known of it");

    let (file, whole) = (desk.segment(), fs::read(desk.segment()).unwrap());
    let mut changed = whole.clone();
    let at = whole.len() - 200;
    changed[at] ^= 1;
    fs::write(&file, &changed).unwrap();
    let said = desk.says(&["verify", "data"], 1);
    let name = file.file_name().unwrap().to_str().unwrap();
    assert!(said.contains(name) && said.contains("record ") && said.contains("at byte "), "{said}");
    let verdict = &desk.lines(&["verify", "data", "--json"], 1)[0];
    assert_eq!(verdict["whole"], false);
    assert!(verdict["file"].as_str().unwrap().ends_with(name));
    let (record, offset) = (verdict["record"].as_u64().unwrap(), verdict["offset"].as_u64().unwrap());
    assert!((offset..offset + 200).contains(&(at as u64)), "{verdict}");
    // All before it is shown.
    let shown = desk.lines(&["show", "data", "--json"], 1);
    assert_eq!(shown, all[..record as usize - 1]);
    fs::write(&file, &whole[..whole.len() - 1]).unwrap();
    assert!(desk.says(&["verify", "data"], 1).contains("the file ends within it"));
    fs::write(&file, &whole).unwrap();
    desk.says(&["verify", "data"], 0);
}

#[test]
fn a_coordinator_does_not_write_behind_the_log_of_another_cluster() {
    let desk = Desk::new("foreign");
    desk.coordinate();
    fs::remove_file(desk.0.join("data/journal.redb")).unwrap();
    let before = fs::read(desk.segment()).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_playhouse"));
    let command = command.args(["node", "--identity", "identity", "--data", "data", "--found"]).current_dir(&desk.0);
    // It ends by itself: nothing mends that but whoever moves the folder away.
    let output = command.stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("data/tasks/0") && said.contains("move its folder away"), "{said}");
    assert_eq!(fs::read(desk.segment()).unwrap(), before);
    desk.says(&["verify", "data"], 0);
}

#[test]
fn what_is_no_log_is_refused_with_what_to_do() {
    let desk = Desk::new("hostile");
    for (arguments, code, words) in [
        (&["verify"][..], 2, "<DIR>"),
        (&[], 2, "verify"),
        (&["verify", "nowhere"], 2, "nowhere holds no task log: give the folder of a coordinator"),
        (&["verify", "."], 2, "holds no task log"),
        (&["show", "", "--json"], 2, "a value is required"),
        (&["show", "a\x1b[31mb\nc"], 2, "a\\u{1b}[31mb\\nc holds no task log"),
        (&["show", ".", "--job=-1"], 2, "invalid digit"),
        (&["show", ".", "--job", "18446744073709551616"], 2, "--job"),
        (&["show", ".", "--job", "x"], 2, "invalid digit"),
        (&["verify", ".", "--job", "1"], 2, "unexpected argument"),
        (&["verify", "--help"], 0, "Exit codes: 0 it is whole, 1 it is not"),
        (&["show", "--help"], 0, "playhouse log show /var/lib/playhouse --json"),
    ] {
        let said = desk.says(arguments, code);
        assert!(said.contains(words), "{arguments:?}: {said}");
    }
    // An empty log is one; anything else that has its name is not.
    let tasks = desk.0.join("tasks");
    fs::create_dir_all(&tasks).unwrap();
    assert!(desk.says(&["verify", "."], 0).contains("is whole"));
    assert_eq!(desk.lines(&["verify", ".", "--json"], 0)[0]["records"], 0);
    let hostile = |name: &str, bytes: &[u8], words: &str| {
        let file: &Path = &tasks.join(name);
        fs::write(file, bytes).unwrap();
        let said = desk.says(&["verify", "."], 1);
        assert!(said.contains(name) && said.contains(words), "{said}");
        desk.says(&["show", "."], 1);
        assert_eq!(desk.lines(&["verify", ".", "--json"], 1)[0]["whole"], false);
        fs::remove_file(file).unwrap();
    };
    let first = "00000000000000000001.log";
    hostile(first, b"", "it ends within its first 96 bytes");
    hostile(first, &[0; 4096], "it is no segment of annals");
    hostile(first, &[b"PLAYANNL".to_vec(), vec![255; 300]].concat(), "its first bytes were changed");
    hostile("99999999999999999999.log", b"", "it is no segment of annals");
    hostile("1.log", b"", "it is no segment of annals");
    fs::create_dir_all(tasks.join(first)).unwrap();
    assert!(desk.says(&["verify", "."], 1).contains(first));
}
