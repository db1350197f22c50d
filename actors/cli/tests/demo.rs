//! The demo as its user sees it: a program that is started, watched, interrupted and killed.
#![cfg(target_os = "linux")]

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// A folder of a test, which is also the temporary folder of the processes that it starts, so that what they leave can be seen.
struct Stage(PathBuf);

impl Stage {
    fn new(name: &str) -> Stage {
        let folder = std::env::temp_dir().join(format!("playhouse-test-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(folder.join("tmp")).unwrap();
        fs::create_dir_all(folder.join("input")).unwrap();
        Stage(folder)
    }

    fn input(&self) -> PathBuf {
        self.0.join("input")
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.input().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// Text enough that the job is not done before the kill.
    fn write_play(&self) {
        for n in 0..120 {
            self.write(
                &format!("act-{}/scene-{n}.{}", n % 5, ["txt", "md", "rs"][n % 3]),
                format!("enter actor {n}, exit actor\n").repeat(40),
            );
        }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_playhouse"));
        command
            .args(arguments)
            .env("TMPDIR", self.0.join("tmp"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    fn demo(&self, extra: &[&str]) -> Command {
        let input = self.input();
        self.command(&[&["demo", "--json", "--input", input.to_str().unwrap()], extra].concat())
    }

    /// The processes that were started with this stage's temporary folder.
    fn processes(&self) -> Vec<u32> {
        let marker = self.0.join("tmp");
        let marker = marker.to_str().unwrap();
        let mut found = Vec::new();
        for entry in fs::read_dir("/proc").unwrap().flatten() {
            let Ok(pid) = entry.file_name().to_string_lossy().parse() else { continue };
            let command = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            if String::from_utf8_lossy(&command).contains(marker) {
                found.push(pid);
            }
        }
        found
    }

    /// Waits until no process and no file is left; fails if that takes too long.
    fn is_left_clean(&self) {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let files: Vec<_> = fs::read_dir(self.0.join("tmp")).unwrap().flatten().map(|entry| entry.path()).collect();
            let processes = self.processes();
            if files.is_empty() && processes.is_empty() {
                return;
            }
            assert!(Instant::now() < deadline, "left behind: {files:?} {processes:?}");
            std::thread::yield_now();
        }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn last_line(output: &Output) -> Value {
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().last().unwrap_or_else(|| panic!("nothing was printed: {output:?}"));
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
}

fn remarks(value: &Value) -> Vec<String> {
    let text = |remark: &Value, key: &str| remark[key].as_str().unwrap().to_string();
    let name = |remark: &Value| Path::new(&text(remark, "path")).file_name().unwrap().to_string_lossy().into_owned();
    value["remarks"].as_array().unwrap().iter().map(|remark| format!("{}: {}", name(remark), text(remark, "remark"))).collect()
}

#[test]
fn a_killed_node_changes_nothing_in_the_result() {
    let stage = Stage::new("kill");
    stage.write_play();
    let output = stage.demo(&[]).output().unwrap();
    let value = last_line(&output);
    assert!(output.status.success(), "{output:?}");
    for key in ["result_ok", "windows_ok", "mtls"] {
        assert_eq!(value[key], true, "{key} in {value}");
    }
    for key in [
        "nodes",
        "workers",
        "files",
        "bytes",
        "tasks_completed",
        "tasks_retried",
        "windows",
        "replan_ms",
        "wall_ms",
        "quic_bytes",
    ] {
        assert!(value[key].as_u64().is_some_and(|number| number > 0), "{key} in {value}");
    }
    assert!(value["killed"].as_str().unwrap().starts_with("worker-"), "{value}");
    assert_eq!((&value["files"], &value["nodes"], &value["coordinators"]), (&120.into(), &5.into(), &3.into()));
    stage.is_left_clean();
}

#[test]
fn odd_input_is_named_and_the_rest_is_right() {
    let stage = Stage::new("odd");
    stage.write("plain.txt", "to be or not to be");
    stage.write("empty.md", "");
    stage.write("image.png", b"\x89PNG\0\x01");
    stage.write("word.txt", vec![b'x'; 200_000]);
    stage.write("line.txt", "again and ".repeat(5_000_000));
    stage.write("broken.txt", b"caf\xe9 au lait");
    std::os::unix::fs::symlink("loop", stage.input().join("loop")).unwrap();
    std::os::unix::fs::symlink("..", stage.input().join("up")).unwrap();
    assert!(Command::new("mkfifo").arg(stage.input().join("pipe")).status().unwrap().success());
    let output = stage.demo(&["--kill", "none", "--pace", "0"]).output().unwrap();
    let value = last_line(&output);
    assert!(output.status.success(), "{output:?}");
    assert_eq!((&value["result_ok"], &value["windows_ok"], &value["files"]), (&true.into(), &true.into(), &5.into()), "{value}");
    let remarks = remarks(&value);
    let wanted = [
        "image.png: binary data",
        "line.txt: holds a line of more than 1 MiB; it was counted",
        "loop: a symbolic link, not followed",
        "pipe: neither a file nor a folder",
        "up: a symbolic link, not followed",
        "word.txt: holds more than 64 KiB without white space; that was passed over",
    ];
    for wanted in wanted {
        assert!(remarks.iter().any(|remark| remark == wanted), "{wanted:?} is missing in {remarks:?}");
    }
    stage.is_left_clean();
}

#[test]
fn an_empty_folder_is_a_job_too_and_a_missing_one_is_the_users_mistake() {
    let stage = Stage::new("empty");
    let output = stage.demo(&[]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(last_line(&output)["files"], 0);
    fs::remove_dir(stage.input()).unwrap();
    let output = stage.demo(&[]).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let words = String::from_utf8_lossy(&output.stderr);
    assert_eq!(words.lines().count(), 1, "one clear line: {words}");
    assert!(words.contains("input") && words.contains("No such file"), "{words}");
    stage.is_left_clean();
}

/// Starts a demo and waits until it says `word` on standard error.
fn started(stage: &Stage, word: &str) -> Child {
    stage.write_play();
    let mut child = stage.demo(&["--pace", "500", "--kill", "none"]).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains(word)), "it never said {word:?}");
    // Somebody must go on reading, or the demo would be stopped by its own words.
    std::thread::spawn(move || lines.for_each(drop));
    child
}

fn signal(pid: u32, name: &str) {
    assert!(Command::new("kill").arg(format!("-{name}")).arg(pid.to_string()).status().unwrap().success());
}

#[test]
fn an_interrupt_ends_everything() {
    for name in ["INT", "TERM", "HUP"] {
        let stage = Stage::new(&format!("interrupt-{name}"));
        let mut child = started(&stage, "starting");
        while stage.processes().len() < 5 {
            assert!(child.try_wait().unwrap().is_none(), "it ended by itself");
            std::thread::yield_now();
        }
        signal(child.id(), name);
        let status = child.wait().unwrap();
        assert!(status.code().is_some_and(|code| code > 128), "{status:?}");
        stage.is_left_clean();
    }
}

#[test]
fn a_killed_parent_leaves_nothing() {
    let stage = Stage::new("orphan");
    let mut child = started(&stage, "starting");
    while stage.processes().len() < 5 {
        assert!(child.try_wait().unwrap().is_none(), "it ended by itself");
        std::thread::yield_now();
    }
    child.kill().unwrap();
    assert_eq!(child.wait().unwrap().signal(), Some(9));
    stage.is_left_clean();
}

#[test]
fn a_killed_leader_changes_nothing_in_the_result() {
    let stage = Stage::new("leader");
    stage.write_play();
    let output = stage.demo(&["--kill", "leader"]).output().unwrap();
    let value = last_line(&output);
    assert!(output.status.success(), "{output:?}");
    assert_eq!((&value["result_ok"], &value["windows_ok"]), (&true.into(), &true.into()), "{value}");
    assert!(value["killed"].as_str().unwrap().starts_with("coordinator-"), "{value}");
    assert!(value["failover_ms"].as_u64().is_some_and(|ms| ms > 0), "{value}");
    stage.is_left_clean();
}

#[test]
fn with_most_coordinators_dead_it_fails_and_says_so() {
    let stage = Stage::new("headless");
    let mut child = started(&stage, "starting");
    let heads = loop {
        let is_head =
            |pid: &u32| fs::read_to_string(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.contains("/coordinator-"));
        let heads: Vec<u32> = stage.processes().into_iter().filter(is_head).collect();
        if heads.len() == 3 && stage.processes().len() >= 5 {
            break heads;
        }
        assert!(child.try_wait().unwrap().is_none(), "it ended by itself");
    };
    heads.iter().take(2).for_each(|head| signal(*head, "KILL"));
    let status = child.wait().unwrap();
    assert_eq!(status.code(), Some(1), "{status:?}");
    stage.is_left_clean();
}
