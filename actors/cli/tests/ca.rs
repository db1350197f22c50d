//! Certificates as an operator meets them: made, shown, refused, and replaced while a node runs.
#![cfg(target_os = "linux")]

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, ChildStderr, Command, Output, Stdio};
use std::time::Duration;

use playhouse::rt::{self, Host};
use playhouse::{Authority, Identity, Node, NodeConfig, NodeName};
use serde_json::Value;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A test that takes so long hangs.
const HANGS: Duration = Duration::from_secs(30);

/// A folder of a test. It sees all that the command says, and that no secret is among it.
struct Desk(PathBuf);

impl Desk {
    fn new(name: &str) -> Desk {
        let folder = std::env::temp_dir().join(format!("playhouse-ca-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        Desk(folder)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_playhouse"));
        command.args(arguments).current_dir(&self.0).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn run(&self, line: &str) -> Output {
        let output = self.command(&line.split(' ').collect::<Vec<_>>()).output().unwrap();
        for text in [&output.stdout, &output.stderr] {
            let text = String::from_utf8_lossy(text);
            assert!(!text.contains("BEGIN") && !text.contains('\x1b'), "{text}");
        }
        output
    }

    fn json(&self, line: &str) -> Value {
        let output = self.run(&format!("{line} --json"));
        assert!(output.status.success(), "{output:?}");
        serde_json::from_str(String::from_utf8(output.stdout).unwrap().lines().last().unwrap()).unwrap()
    }

    /// What is said when it does not succeed.
    fn fails(&self, line: &str, code: i32) -> String {
        let output = self.run(line);
        assert_eq!(output.status.code(), Some(code), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    }

    fn read(&self, file: &str) -> String {
        fs::read_to_string(self.0.join(file)).unwrap()
    }

    fn mode(&self, file: &str) -> u32 {
        fs::metadata(self.0.join(file)).unwrap().permissions().mode() & 0o777
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn an_authority_and_an_identity_are_made_and_shown() {
    let desk = Desk::new("made");
    let ca = desk.json("ca init --cluster stage --out certs/ca");
    assert_eq!((&ca["cluster"], &ca["days_left"]), (&"stage".into(), &3652.into()));
    assert_eq!((desk.mode("certs/ca"), desk.mode("certs/ca/ca.key")), (0o700, 0o600));
    let w1 = desk.json("ca issue --ca certs/ca --node w1 --days 90 --out certs/w1");
    assert_eq!((&w1["cluster"], &w1["node"], &w1["days_left"]), (&"stage".into(), &"w1".into(), &90.into()));
    assert_eq!(w1["trusts"], serde_json::json!([ca["fingerprint"]]));
    assert_eq!(desk.mode("certs/w1/key.pem"), 0o600);
    assert_eq!(desk.read("certs/w1/ca.pem"), desk.read("certs/ca/ca.pem"));

    let shown = desk.json("ca show certs/w1");
    assert_eq!(shown["warnings"], serde_json::json!([]));
    let [leaf, root] = &shown["certificates"].as_array().unwrap()[..] else { panic!("{shown}") };
    for key in ["serial", "fingerprint", "valid_from", "valid_until", "node", "cluster"] {
        assert_eq!(leaf[key], w1[key], "{key} in {shown}");
    }
    assert_eq!((&leaf["authority"], &root["authority"]), (&false.into(), &true.into()));
    assert_eq!((&leaf["signed_by"], &root["signed_by"]), (&ca["fingerprint"], &ca["fingerprint"]));
    // The authority is found beside the file; without it, nobody can say more than the certificate itself does.
    assert_eq!(desk.json("ca show certs/w1/cert.pem")["certificates"][0]["signed_by"], ca["fingerprint"]);
    fs::rename(desk.0.join("certs/w1/ca.pem"), desk.0.join("elsewhere.pem")).unwrap();
    let alone = &desk.json("ca show certs/w1/cert.pem")["certificates"][0];
    assert_eq!((&alone["signed_by"], &alone["cluster"]), (&Value::Null, &Value::Null));
    assert_eq!(alone["issuer"], "playhouse cluster stage");
    assert_eq!(desk.json("ca show certs/w1/cert.pem elsewhere.pem")["certificates"][0]["cluster"], "stage");
}

#[test]
fn nothing_is_overwritten_unless_it_is_to_be_replaced() {
    let desk = Desk::new("overwritten");
    desk.json("ca init --cluster stage --out ca");
    let key = desk.read("ca/ca.key");
    let error = desk.fails("ca init --cluster stage --out ca", 2);
    assert!(error.contains("ca/ca.key: it is there already and is not overwritten"), "{error}");
    assert_eq!(desk.read("ca/ca.key"), key);
    let first = desk.json("ca issue --ca ca --node w1 --out w1");
    let error = desk.fails("ca issue --ca ca --node w1 --out w1", 2);
    assert!(error.contains("not overwritten") && error.contains("--replace"), "{error}");
    let error = desk.fails("ca issue --ca ca --node w2 --out w1 --replace", 2);
    assert!(error.contains("it is the identity of `w1`"), "{error}");
    assert_eq!(desk.json("ca show w1")["certificates"][0]["serial"], first["serial"]);
    let second = desk.json("ca issue --ca ca --node w1 --out w1 --replace");
    assert_ne!(second["serial"], first["serial"]);
    assert_eq!(desk.json("ca show w1")["certificates"][0]["serial"], second["serial"]);
    assert_eq!(fs::read_dir(desk.0.join("w1")).unwrap().count(), 3);
}

#[test]
fn an_end_that_is_near_or_past_is_a_warning() {
    let desk = Desk::new("expiry");
    let now = Host::os().wall_clock();
    let ca = Authority::new("stage", now).unwrap();
    let issue = |node: &str, from: Duration| ca.issue(&node.parse().unwrap(), from, DAY * 90).unwrap();
    issue("fresh", now).save(&desk.0.join("fresh")).unwrap();
    issue("soon", now - DAY * 70 - DAY / 2).save(&desk.0.join("soon")).unwrap();
    issue("past", now - DAY * 100 - DAY / 2).save(&desk.0.join("past")).unwrap();
    assert_eq!(desk.json("ca show fresh")["warnings"], serde_json::json!([]));

    let output = desk.run("ca show soon past");
    assert_eq!(output.status.code(), Some(0));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("soon/cert.pem: this certificate expires at") && said.contains("in 19 days"), "{said}");
    assert!(said.contains("past/cert.pem: this certificate has expired at"), "{said}");
    let shown = desk.json("ca show soon past");
    assert_eq!(shown["warnings"].as_array().unwrap().len(), 2, "{shown}");
    let left: Vec<_> = shown["certificates"].as_array().unwrap().iter().map(|c| c["days_left"].as_i64().unwrap()).collect();
    assert_eq!((left[0], left[2]), (19, -11), "{shown}");

    // A node does not start with it, and says why.
    let error = desk.fails("node --identity past --data data --found", 1);
    assert!(error.contains("the certificate of past has expired at"), "{error}");
    // An authority gives nothing that outlives it, and nothing once it is over.
    Authority::valid_for("stage", now, DAY * 100 + DAY / 2).unwrap().save(&desk.0.join("short")).unwrap();
    assert_eq!(desk.json("ca issue --ca short --node w1 --out w1")["days_left"], 100);
    let error = desk.fails("ca issue --ca short --node w2 --out w2 --days 101", 2);
    assert!(error.contains("would outlive its authority"), "{error}");
    Authority::valid_for("stage", now - DAY * 10, DAY).unwrap().save(&desk.0.join("over")).unwrap();
    let error = desk.fails("ca issue --ca over --node w2 --out w2", 2);
    assert!(error.contains("this authority has expired at"), "{error}");
}

#[test]
fn wrong_files_are_named_with_what_is_wrong() {
    let desk = Desk::new("wrong");
    desk.json("ca init --cluster stage --out ca");
    desk.json("ca init --cluster live --out live");
    for (line, error) in [
        ("ca show ca/ca.key", "ca/ca.key: the certificate cannot be read: it is a private key, not a certificate"),
        ("ca show nowhere.pem", "nowhere.pem: there is no such file"),
        ("ca show .", "there is no cert.pem and no ca.pem in it"),
        ("ca init --cluster no/name --out other", "`no/name` is no name for a cluster"),
        ("ca issue --ca nowhere --node w1 --out w1", "nowhere/ca.pem: there is no such file"),
        ("ca issue --ca ca --node 10.0.0.1 --out w1", "`10.0.0.1` is no DNS name"),
        ("ca issue --ca ca --node w1 --out w1 --trust live/ca.pem", "an authority of cluster `live` cannot be trusted beside"),
        ("ca issue --ca ca --node w1 --out w1 --trust ca/ca.key", "it is a private key"),
    ] {
        let said = desk.fails(line, 2);
        assert!(said.contains(error), "{line}: {said}");
    }
    assert!(!desk.0.join("w1").exists() && !desk.0.join("other").exists());
    fs::write(desk.0.join("file"), "").unwrap();
    desk.fails("ca init --cluster stage --out file/below", 2);
    // A key that others may read works, with a warning.
    fs::set_permissions(desk.0.join("ca/ca.key"), fs::Permissions::from_mode(0o644)).unwrap();
    let issued = desk.json("ca issue --ca ca --node w1 --out w1");
    assert!(issued["warnings"][0].as_str().unwrap().contains("others than its owner may use this private key"), "{issued}");
}

/// A node as a process, and what it says.
struct Running {
    child: Child,
    said: std::io::Lines<BufReader<ChildStderr>>,
    address: std::net::SocketAddr,
}

impl Running {
    fn start(desk: &Desk, name: &str) -> Running {
        let mut child = desk.command(&["node", "--identity", name, "--data", "data", "--found"]).spawn().unwrap();
        let mut ready = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut ready).unwrap();
        let address = ready.strip_prefix("ready ").unwrap_or_else(|| panic!("{ready}")).trim().parse().unwrap();
        let said = BufReader::new(child.stderr.take().unwrap()).lines();
        Running { child, said, address }
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").arg(format!("-{name}")).arg(pid).status().unwrap().success());
    }

    /// Asks it to read its identity again, and gives what it says then.
    fn reload(&mut self) -> String {
        self.signal("HUP");
        self.said.next().expect("it lives").unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether a node with this identity can connect, or why not.
fn dial(identity: Identity, address: std::net::SocketAddr) -> Result<(), String> {
    rt::run(1, async {
        let config = NodeConfig::actors(identity, "127.0.0.1:0".parse().unwrap());
        let node = Node::start(Host::os(), config).await.unwrap();
        let dialled = rt::timeout(HANGS, node.dial(NodeName::new("head").unwrap(), address)).await.expect("it hangs");
        node.stop(HANGS).await;
        dialled
    })
    .unwrap()
}

#[test]
fn a_running_node_takes_the_certificate_of_a_new_authority() {
    let desk = Desk::new("rotation");
    desk.json("ca init --cluster stage --out old");
    desk.json("ca init --cluster stage --out new");
    desk.json("ca issue --ca old --node head --out head");
    desk.json("ca issue --ca old --node a --out a");
    desk.json("ca issue --ca new --node b --out b");
    let peer = |name: &str| Identity::load(desk.0.join(name)).unwrap().value;
    let mut head = Running::start(&desk, "head");
    dial(peer("a"), head.address).unwrap();
    assert!(dial(peer("b"), head.address).unwrap_err().contains("certificate"));

    // Both are trusted; the new certificate is believed by who trusts both, and by who trusts the new one only.
    let careless = desk.json("ca issue --ca new --node head --out head --replace");
    let warning = careless["warnings"][0].as_str().unwrap();
    assert!(warning.contains("also trusted 1 authority that this one does not; see --trust"), "{warning}");
    let issued = desk.json("ca issue --ca new --trust old/ca.pem --node head --out head --replace");
    assert_eq!(issued["warnings"], serde_json::json!([]));
    assert_eq!(issued["trusts"].as_array().unwrap().len(), 2);
    let said = head.reload();
    assert!(said.contains(&format!("the identity was read again: serial {}", issued["serial"].as_str().unwrap())), "{said}");
    dial(peer("b"), head.address).unwrap();
    dial(peer("a").also_trusting(&[&desk.read("new/ca.pem")]).unwrap(), head.address).unwrap();

    // Files that do not belong together change nothing.
    let key = desk.read("head/key.pem");
    fs::write(desk.0.join("head/key.pem"), desk.read("a/key.pem")).unwrap();
    let said = head.reload();
    assert!(said.contains("the key does not fit the certificate") && said.contains("stays as it was"), "{said}");
    dial(peer("b"), head.address).unwrap();

    // The old one is trusted no more.
    fs::write(desk.0.join("head/key.pem"), key).unwrap();
    fs::write(desk.0.join("head/ca.pem"), desk.read("new/ca.pem")).unwrap();
    assert!(head.reload().contains("read again"));
    assert!(dial(peer("a").also_trusting(&[&desk.read("new/ca.pem")]).unwrap(), head.address).is_err());
    dial(peer("b"), head.address).unwrap();
    head.signal("TERM");
    assert_eq!(head.child.wait().unwrap().code(), Some(0));
}
