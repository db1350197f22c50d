//! Names that may not stand in some rooms.

use super::{Check, Code, File, Finding, House};

/// Where a rule holds.
enum Rooms {
    /// Under any of these.
    Under(&'static [&'static str]),
    /// Everywhere but under these.
    Outside(&'static [&'static str]),
}

impl Rooms {
    fn hold(&self, path: &str) -> bool {
        match self {
            Rooms::Under(prefixes) => prefixes.iter().any(|prefix| path.starts_with(prefix)),
            Rooms::Outside(prefixes) => !prefixes.iter().any(|prefix| path.starts_with(prefix)),
        }
    }
}

/// Paths that may not stand in the code of some rooms, and what to use instead.
struct Rule {
    names: &'static [&'static str],
    rooms: Rooms,
    instead: &'static str,
}

/// Rooms that are no part of the product: they may look at a real clock and print.
const NOT_PRODUCT: &[&str] = &["tests/", "benches/", "fuzz/"];

/// The rooms where decisions are made, and what they are made of.
const PURE_ROOMS: &[&str] = &["actors/plane/src/", "net/wire/src/"];

pub(super) const SEAM: Check = Check {
    name: "seam",
    promise: "only net/rt names tokio or madsim",
    run: seam,
    planted: &[
        ("actors/core/src/context.rs", "use tokio::sync::mpsc;"),
        ("net/quic/src/peer.rs", "fn f() { madsim::rand::random() }"),
        ("net/quic/src/peer.rs", "let runtime = quinn::TokioRuntime;"),
        ("net/quic/src/adapter.rs", "tokio::spawn(x);"),
        ("actors/plane/src/lib.rs", "#[cfg(madsim)] mod sim;"),
        ("actors/store/tests/store.rs", "#[tokio::test] async fn t() {}"),
    ],
    clean: &[
        ("net/rt/src/os/task.rs", "tokio::spawn(x); madsim::x();"),
        ("net/quic/src/adapter.rs", "// tokio\n#[cfg(not(madsim))]\nfn f() { quinn::TokioRuntime }"),
        ("sim/src/bin/playhouse-sim/main.rs", "#[cfg(madsim)] mod world;\n#[cfg_attr(not(madsim), allow(dead_code))] fn f() {}"),
        ("actors/core/src/lib.rs", "//! Built on tokio.\nfn f() { g(\"tokio\") } fn tokio_like() {}"),
        ("benches/src/main.rs", "tokio::spawn(x);"),
        ("actors/core/tests/actors.rs", "#![cfg(not(madsim))]\n#[cfg(madsim)] playhouse_rt::sim::run(1, x);"),
        ("actors/core/src/lib.rs", "#[cfg(all(test, not(madsim)))] mod tests;"),
    ],
};

/// Files and folders that may ask in which of the two worlds they are built; of the rest, only tests may.
const KNOWS_THE_WORLD: &[&str] = &["sim/", "net/quic/src/adapter.rs"];

fn seam(house: &House) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in house.rust().filter(|file| !file.path.starts_with("net/rt/") && Rooms::Outside(NOT_PRODUCT).hold(&file.path)) {
        for (line, text) in Code::of(&file.text).lines() {
            let is_test = is_test_file(&file.path) || (text.contains("#[cfg(") && text.contains("(test,"));
            let knows = is_test || KNOWS_THE_WORLD.iter().any(|prefix| file.path.starts_with(prefix));
            let text = if knows { without_conditions(text) } else { text.to_string() };
            let text = if file.path == "net/quic/src/adapter.rs" { text.replace("quinn::TokioRuntime", "") } else { text };
            for (_, word) in Code::of(&text).words().filter(|(_, word)| matches!(*word, "tokio" | "madsim" | "TokioRuntime")) {
                let text = format!("`{word}` outside net/rt; use the name that playhouse_rt gives it, on both sides of the seam");
                findings.push(Finding { path: file.path.clone(), line, text });
            }
        }
    }
    findings
}

/// The line without `madsim` where it stands in a condition: `cfg(madsim)`, `cfg!(madsim)`, `cfg_attr(not(madsim), …)`.
fn without_conditions(line: &str) -> String {
    if !line.contains("cfg") {
        return line.to_string();
    }
    line.replace("not(madsim)", "").replace("(madsim)", "").replace("(madsim,", "(").replace(", madsim", "")
}

pub(super) const PURE: Check = Check {
    name: "pure",
    promise: "the plane and the wire have no clock, no threads and no hashed order",
    run: |house| {
        let clocks = Rule {
            names: &["Instant::now", "SystemTime::now", "thread::sleep", "std::thread", "std::time"],
            rooms: Rooms::Under(PURE_ROOMS),
            instead: "in a pure crate; take the moment as an argument (playhouse_wire::Time)",
        };
        let hashes = Rule {
            names: &["HashMap", "HashSet"],
            rooms: Rooms::Under(PURE_ROOMS),
            instead: "in a pure crate; use BTreeMap or BTreeSet: what is walked is walked in a known order",
        };
        // Tests of these crates too: their stories must be repeatable.
        [clocks, hashes].iter().flat_map(|rule| apply(house, rule, Code::of)).collect()
    },
    planted: &[
        ("actors/plane/src/monitor.rs", "let now = Instant::now();"),
        ("net/wire/src/time.rs", "use std::time::SystemTime;"),
        ("actors/plane/src/tenant.rs", "use hashbrown::HashMap;"),
        ("actors/plane/src/scheduler/mod.rs", "#[cfg(test)] mod tests { fn f(x: HashSet<u8>) {} }"),
    ],
    clean: &[
        ("actors/plane/src/lib.rs", "use alloc::collections::BTreeMap; // not a HashMap"),
        ("actors/core/src/lib.rs", "use std::collections::HashMap;"),
    ],
};

pub(super) const CLOCKS: Check = Check {
    name: "clocks",
    promise: "outside net/rt the product has no clock and starts no thread",
    run: |house| {
        let rule = Rule {
            names: &["Instant::now", "SystemTime::now", "UNIX_EPOCH", "thread::spawn", "thread::sleep", "thread::Builder"],
            // The simulator's command measures real runs and starts their processes.
            // Who starts a simulation stands outside of it.
            rooms: Rooms::Outside(&[
                "net/rt/",
                "actors/cli/",
                "sim/src/bin/",
                "sim/src/lib.rs",
                "sim/src/rehearse.rs",
                "sim/src/test.rs",
                "tests/",
                "benches/",
                "fuzz/",
            ]),
            instead: "outside net/rt; use playhouse_rt (now, sleep, spawn, Blocking, Locals, Host::wall_clock), so that it is simulated",
        };
        apply(house, &rule, Code::shipped)
    },
    planted: &[
        ("actors/core/src/spawn.rs", "std::thread::spawn(|| ());"),
        ("net/quic/src/peer.rs", "let t = std::time::Instant::now();"),
        ("sim/src/world.rs", "thread::sleep(d);"),
    ],
    clean: &[
        ("net/rt/src/os/time.rs", "Instant::now()"),
        ("actors/core/src/spawn.rs", "playhouse_rt::now();\n#[cfg(test)]\nmod tests { fn f() { std::thread::sleep(d) } }"),
        ("actors/store/tests/store.rs", "std::thread::sleep(d)"),
    ],
};

pub(super) const LEFTOVERS: Check = Check {
    name: "leftovers",
    promise: "nothing is unfinished, and libraries do not print",
    run: |house| {
        let unfinished = Rule {
            names: &["dbg!", "todo!", "unimplemented!"],
            rooms: Rooms::Outside(&[]),
            instead: "is a leftover; finish it, or return an error that says what is missing",
        };
        let prints = Rule {
            names: &["println!", "eprintln!", "print!", "eprint!"],
            rooms: Rooms::Outside(&["actors/cli/", "sim/src/bin/", "sim/src/cli", "sim/build.rs", "tests/", "benches/", "fuzz/"]),
            instead: "in a library; return the text, or record it with tracing",
        };
        let mut findings = apply(house, &unfinished, Code::of);
        findings.extend(apply(house, &prints, Code::shipped));
        findings
    },
    planted: &[
        ("actors/cli/src/main.rs", "dbg!(x);"),
        ("tests/src/lib.rs", "fn f() { todo!() }"),
        ("sim/src/world.rs", "fn f() { unimplemented!(\"later\") }"),
        ("actors/core/src/lib.rs", "println!(\"hello\");"),
        ("net/quic/src/lib.rs", "eprintln!(\"hello\");"),
    ],
    clean: &[
        ("actors/cli/src/main.rs", "println!(\"hello\"); // todo!()"),
        ("actors/core/src/lib.rs", "/// println!(\"hello\")\nfn f() { writeln!(out, \"println!\"); }"),
        ("actors/core/src/context.rs", "#[cfg(test)] mod tests { fn f() { println!(\"a seed\") } }"),
    ],
};

pub(super) const EXITS: Check = Check {
    name: "exits",
    promise: "only programs end the process",
    run: |house| {
        let rule = Rule {
            names: &["process::exit", "process::abort"],
            // A simulated test's process is one run's, and its main is the test harness's: what ends it stands in the library.
            rooms: Rooms::Outside(&["actors/cli/src/main.rs", "sim/src/bin/", "sim/src/test.rs", "tests/src/bin/"]),
            instead: "outside a program's main; return an error, so that whoever holds something can let it go",
        };
        apply(house, &rule, Code::of)
    },
    planted: &[("actors/node/src/lib.rs", "std::process::exit(1)"), ("tests/src/x/mod.rs", "process::exit(1)")],
    clean: &[("actors/cli/src/main.rs", "std::process::exit(1)"), ("actors/node/src/lib.rs", "ExitCode::SUCCESS")],
};

fn apply(house: &House, rule: &Rule, code: fn(&str) -> Code) -> Vec<Finding> {
    let mut findings = Vec::new();
    let shipped_only = |file: &File| !is_test_file(&file.path) || std::ptr::fn_addr_eq(code, Code::of as fn(&str) -> Code);
    for file in house.rust().filter(|file| rule.rooms.hold(&file.path) && shipped_only(file)) {
        let code = code(&file.text);
        for name in rule.names {
            for line in code.find(name) {
                findings.push(Finding { path: file.path.clone(), line, text: format!("`{name}` {}", rule.instead) });
            }
        }
    }
    findings
}

/// Files that only tests, benches and examples are made of.
fn is_test_file(path: &str) -> bool {
    path.split('/').any(|part| matches!(part, "tests" | "benches" | "examples" | "tests.rs")) || path.ends_with("_tests.rs")
}
