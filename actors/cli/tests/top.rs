//! `playhouse top` and the metrics of a node, as an operator meets them: real nodes, real certificates, a real terminal.
#![cfg(target_os = "linux")]

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcgetattr, tcsetwinsize};
use serde_json::Value;

/// A folder with a cluster's certificates, and the nodes that were started there.
struct Stage {
    folder: PathBuf,
    nodes: Vec<(String, Child)>,
}

impl Stage {
    fn new(name: &str, identities: &[&str]) -> Stage {
        let folder = std::env::temp_dir().join(format!("playhouse-top-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        let stage = Stage { folder, nodes: Vec::new() };
        assert!(stage.command("ca init --cluster stage --out ca").output().unwrap().status.success());
        for node in identities {
            assert!(stage.command(&format!("ca issue --ca ca --node {node} --out {node}")).output().unwrap().status.success());
        }
        stage
    }

    fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_playhouse"));
        command.args(line.split(' ')).current_dir(&self.folder).stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Starts a node. Gives its address and, if it serves them, that of its metrics.
    fn node(&mut self, name: &str, extra: &str) -> (SocketAddr, Option<SocketAddr>) {
        let mut child = self.command(&format!("node --identity {name}{extra}")).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let mut metrics = None;
        if extra.contains("--metrics") {
            let mut said = String::new();
            BufReader::new(child.stderr.take().unwrap()).read_line(&mut said).unwrap();
            let address =
                said.trim().strip_prefix("playhouse: metrics at http://").and_then(|rest| rest.strip_suffix("/metrics"));
            metrics = Some(address.unwrap_or_else(|| panic!("{said}")).parse().unwrap());
        }
        self.nodes.push((name.into(), child));
        let address = line.trim().strip_prefix("ready ").unwrap_or_else(|| panic!("{name}: {line}"));
        (address.parse().unwrap(), metrics)
    }

    fn kill(&mut self, name: &str) {
        let (_, child) = self.nodes.iter_mut().find(|(node, _)| node == name).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    fn top(&self, extra: &str) -> Output {
        self.command(&format!("top --identity ops {extra}")).output().unwrap()
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        for (_, child) in &mut self.nodes {
            let _ = child.kill();
            let _ = child.wait();
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn json(output: &Output) -> Value {
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(!text.contains('\x1b'), "no escapes where there is no terminal: {text}");
    serde_json::from_str(text.lines().last().unwrap_or_else(|| panic!("{output:?}"))).unwrap()
}

/// The entry of a list whose `key` is `value`.
fn entry<'a>(list: &'a Value, key: &str, value: &str) -> &'a Value {
    let found = list.as_array().unwrap().iter().find(|entry| entry[key] == value);
    found.unwrap_or_else(|| panic!("no {key} {value} in {list:#}"))
}

#[test]
fn it_shows_nodes_actors_and_links_and_a_killed_node() {
    let mut stage = Stage::new("shows", &["head", "w1", "ops"]);
    let (head, _) = stage.node("head", " --data data --found --workers 2");
    let (w1, _) = stage.node("w1", &format!(" --join {head} --capacity 2 --checkpoints checkpoints"));
    let given = format!("--peer head={head} --peer w1={w1} --once --json");
    // Until the coordinator has started its workers.
    let value = loop {
        let output = stage.top(&format!("{given} --tree"));
        let value = json(&output);
        if value["nodes"].as_array().unwrap().iter().any(|node| node["alive"] == 5) {
            assert!(output.status.success(), "{output:?}");
            break value;
        }
    };
    let (of_head, of_w1) = (entry(&value["nodes"], "node", "head"), entry(&value["nodes"], "node", "w1"));
    assert_eq!((&of_head["alive"], &of_w1["alive"]), (&4.into(), &5.into()));
    assert_eq!((&of_head["address"], &of_w1["address"]), (&head.to_string().into(), &w1.to_string().into()));
    assert_eq!(entry(&of_w1["kinds"], "kind", "Worker")["actors"], 2);
    let link = entry(&of_w1["peers"], "node", "head");
    assert!(link["rtt"].as_f64().unwrap() > 0.0 && link["bytes_sent"].as_u64().unwrap() > 0, "{link}");
    assert!(of_head["rate"].as_f64().unwrap() > 0.0, "the inspector at least has worked: {of_head}");
    assert!(of_head["handle_p99"].as_f64().unwrap() > 0.0, "times were taken: {of_head}");
    assert!(of_w1["tree"].as_str().unwrap().contains("  agent: Agent, "), "{of_w1}");
    let names: Vec<_> = value["actors"].as_array().unwrap().iter().map(|actor| actor["name"].as_str().unwrap()).collect();
    for name in ["coordinator", "agent", "node/inspect"] {
        assert!(names.contains(&name), "{names:?}");
    }

    // From one node the others are found, unless they are not wanted.
    let found = stage.top(&format!("--peer head={head} --once --json"));
    assert_eq!(entry(&json(&found)["nodes"], "node", "w1")["alive"], 5);
    let only = json(&stage.top(&format!("--peer head={head} --once --json --only")));
    assert_eq!(only["nodes"].as_array().unwrap().len(), 1);

    stage.kill("w1");
    let output = stage.top(&given);
    let value = json(&output);
    assert_eq!(output.status.code(), Some(1), "one did not answer");
    assert!(entry(&value["nodes"], "node", "w1")["error"].is_string(), "{value:#}");
    assert!(entry(&value["nodes"], "node", "head")["error"].is_null());
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.lines().any(|line| line.starts_with("w1    not reached: ")), "{text}");
    assert!(text.starts_with("1 of 2 nodes, 4 actors, sorted by rate\n"), "{text}");
}

#[test]
fn what_it_is_given_may_be_wrong() {
    let mut stage = Stage::new("wrong", &["head", "ops"]);
    let (head, _) = stage.node("head", " --data data --found");
    let fails = |output: Output, words: &str| {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!((output.status.code(), said.contains(words)), (Some(2), true), "{said}");
    };
    fails(stage.command(&format!("top --identity head --peer head={head} --once")).output().unwrap(), "cannot ask itself");
    fails(stage.top("--once"), "--peer");
    fails(stage.top(&format!("--peer head={head} --once --sort size")), "size");
    fails(stage.command(&format!("top --identity nobody --peer head={head} --once")).output().unwrap(), "nobody");
    // An identity of another cluster finds no way in, and says so.
    let other = Stage::new("other", &["ops"]);
    let output = other.top(&format!("--peer head={head} --once --json"));
    assert_eq!(output.status.code(), Some(1));
    let value = json(&output);
    assert!(entry(&value["nodes"], "node", "head")["error"].as_str().unwrap().contains("certificate"), "{value:#}");
}

/// A terminal: our end, and the other one.
fn terminal(rows: u16, columns: u16) -> (File, OwnedFd) {
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&ours).unwrap();
    unlockpt(&ours).unwrap();
    let path = ptsname(&ours, Vec::new()).unwrap();
    let theirs = rustix::fs::open(path, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap();
    tcsetwinsize(&theirs, Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
    (File::from(ours), theirs)
}

/// Reads until `words` have come, and gives all that came.
fn read_until(terminal: &mut File, words: &str) -> String {
    let (mut all, mut piece) = (Vec::new(), [0; 4096]);
    loop {
        let read = terminal.read(&mut piece).unwrap();
        all.extend_from_slice(&piece[..read]);
        let text = String::from_utf8_lossy(&all);
        if text.contains(words) {
            return text.into_owned();
        }
    }
}

#[test]
fn the_terminal_is_given_back_as_it_was() {
    let mut stage = Stage::new("terminal", &["head", "ops"]);
    let (head, _) = stage.node("head", " --data data --found");
    for (quit, no_color) in [("q", false), ("TERM", true)] {
        let (mut ours, theirs) = terminal(24, 60);
        let before = tcgetattr(&theirs).unwrap();
        let mut command = stage.command(&format!("top --identity ops --peer head={head}"));
        let end = || Stdio::from(theirs.try_clone().unwrap());
        command.stdin(end()).stdout(end()).stderr(end()).env_remove("NO_COLOR");
        if no_color {
            command.env("NO_COLOR", "1");
        }
        let mut child = command.spawn().unwrap();
        let screen = read_until(&mut ours, "coordinator");
        assert!(screen.contains("\x1b[?1049h") && screen.contains("1 node, 4 actors, sorted by rate"), "{screen:?}");
        assert_eq!(screen.contains("\x1b[1m"), !no_color, "{screen:?}");
        assert!(tcgetattr(&theirs).unwrap().local_modes != before.local_modes, "keys come at once");
        if quit == "q" {
            ours.write_all(b"s").unwrap();
            read_until(&mut ours, "sorted by busy");
            ours.write_all(b"t").unwrap();
            let tree = read_until(&mut ours, "  coordinator: Shell, ");
            assert!(tree.contains("TREE OF head"), "{tree:?}");
            ours.write_all(b"q").unwrap();
        } else {
            assert!(Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap().success());
        }
        let left = read_until(&mut ours, "\x1b[?25h\x1b[?1049l");
        // Each frame begins at the top left.
        for line in [screen, left].join("\n").replace("\x1b[H", "\n").split('\n') {
            let mut shown = String::new();
            let mut escape = false;
            for c in line.trim_end().chars() {
                shown.extend((!escape && c != '\x1b').then_some(c));
                // An escape ends with its first letter.
                escape = if escape { !c.is_ascii_alphabetic() } else { c == '\x1b' };
            }
            assert!(shown.chars().count() <= 60, "wider than the terminal: {shown:?}");
        }
        assert!(child.wait().unwrap().success());
        let after = tcgetattr(&theirs).unwrap();
        assert_eq!(
            (after.local_modes, after.input_modes, after.output_modes),
            (before.local_modes, before.input_modes, before.output_modes)
        );
        assert_eq!(format!("{:?}", after.special_codes), format!("{:?}", before.special_codes));
    }
}

/// Sends bytes, and gives all that comes back.
fn speak(address: SocketAddr, request: &[u8], end: bool) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    // It may have heard enough before the end.
    let _ = stream.write_all(request);
    if end {
        let _ = stream.shutdown(Shutdown::Write);
    }
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8(answer).unwrap()
}

#[test]
fn metrics_are_served_and_odd_requests_are_answered() {
    let mut stage = Stage::new("metrics", &["head"]);
    let (_, metrics) = stage.node("head", " --data data --found --metrics 127.0.0.1:0");
    let metrics = metrics.unwrap();
    let page = speak(metrics, b"GET /metrics HTTP/1.1\r\nHost: x\r\nAccept: */*\r\n\r\n", false);
    let (head, body) = page.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && head.contains("Content-Type: text/plain; version=0.0.4"), "{head}");
    assert!(head.contains(&format!("Content-Length: {}", body.len())), "{head}");
    for line in ["playhouse_actors_alive{node=\"head\"} 4", "playhouse_actors{node=\"head\",kind=\"Shell\"} 1"] {
        assert!(body.lines().any(|found| found == line), "{line} is missing in {body}");
    }
    let long = [b"GET /metrics HTTP/1.1\r\nX: ", &vec![b'x'; 9000][..]].concat();
    for (request, status) in [
        (&b"GET / HTTP/1.1\r\n\r\n"[..], "404"),
        (b"GET /metrics?x=1 HTTP/1.0\r\n\r\n", "200"),
        (b"GET /metrics HTTP/1.1\n\n", "200"),
        (b"POST /metrics HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}", "405"),
        (b"GET /metrics HTTP/9\r\n\r\n", "505"),
        (b"GET  /metrics HTTP/1.1\r\n\r\n", "400"),
        (b"\xff\xfe\r\n\r\n", "400"),
        (b"\r\n\r\n", "400"),
        (&long, "431"),
    ] {
        let answer = speak(metrics, request, true);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{:?}: {answer}", String::from_utf8_lossy(request));
    }
    let only_head = speak(metrics, b"HEAD /metrics HTTP/1.1\r\n\r\n", true);
    assert!(only_head.starts_with("HTTP/1.1 200") && only_head.ends_with("\r\n\r\n"), "{only_head}");
    assert_eq!(speak(metrics, b"GET /metr", true), "", "one that ends in its middle gets nothing");
    // More that say nothing than are answered at once: they are cut off, and the next one is served.
    let silent: Vec<_> = (0..6).map(|_| TcpStream::connect(metrics).unwrap()).collect();
    assert!(speak(metrics, b"GET /metrics HTTP/1.1\r\n\r\n", false).starts_with("HTTP/1.1 200"));
    drop(silent);
}
