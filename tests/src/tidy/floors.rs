//! The floors of the house: which room may use which. Arrows only go down.

use super::manifest::{dependencies, name};
use super::{Check, Finding, House};

/// A package and its place.
struct Room {
    package: &'static str,
    floor: u8,
    /// Our packages that it may use.
    uses: &'static [&'static str],
    /// Packages from outside that it must never name.
    never: &'static [&'static str],
}

/// Runtimes, clocks, dice and sockets: what would make a pure crate impure.
const IMPURE: &[&str] = &[
    "tokio",
    "madsim",
    "actix",
    "async-std",
    "smol",
    "quinn",
    "rand",
    "rand_core",
    "rand_xoshiro",
    "getrandom",
    "fastrand",
    "chrono",
    "time",
];

const WIRE: &str = "playhouse-wire";
const RT: &str = "playhouse-rt";
const PLANE: &str = "playhouse-plane";
const NET: &str = "playhouse-net";
const STORE: &str = "playhouse-store";
const ACTORS: &str = "playhouse-actors";
const MACROS: &str = "playhouse-macros";
const CLUSTER: &str = "playhouse-cluster";
const NODE: &str = "playhouse";
const SIM: &str = "playhouse-sim";
const CLI: &str = "playhouse-cli";

const BELOW_NODE: &[&str] = &[WIRE, RT, PLANE, NET, STORE, ACTORS, MACROS, CLUSTER];
const BELOW_TOP: &[&str] = &[WIRE, RT, PLANE, NET, STORE, ACTORS, MACROS, CLUSTER, NODE];

const ROOMS: &[Room] = &[
    Room { package: WIRE, floor: 1, uses: &[], never: IMPURE },
    Room { package: RT, floor: 1, uses: &[], never: &["actix", "quinn"] },
    Room { package: MACROS, floor: 1, uses: &[], never: IMPURE },
    Room { package: PLANE, floor: 2, uses: &[WIRE], never: IMPURE },
    Room { package: NET, floor: 2, uses: &[RT, WIRE], never: &["actix"] },
    Room { package: STORE, floor: 2, uses: &[RT, WIRE], never: &["actix", "quinn"] },
    Room { package: ACTORS, floor: 2, uses: &[RT, WIRE, MACROS], never: &["quinn"] },
    Room { package: CLUSTER, floor: 3, uses: &[PLANE, NET, STORE, RT, WIRE], never: &["actix"] },
    Room { package: NODE, floor: 4, uses: BELOW_NODE, never: &[] },
    Room { package: SIM, floor: 5, uses: BELOW_TOP, never: &[] },
    Room { package: CLI, floor: 5, uses: BELOW_TOP, never: &[] },
];

/// Packages beside the house: they may use every room, and no room may use them.
const BESIDE: &[&str] = &["bank", "playhouse-s3-tests", "playhouse-tests", "playhouse-benches", "playhouse-fuzz"];

pub(super) const FLOORS: Check = Check {
    name: "floors",
    promise: "arrows only go down, and no room names what it must not",
    run: floors,
    planted: &[
        ("net/wire/Cargo.toml", "[package]\nname = \"playhouse-wire\"\n[dependencies]\nplayhouse-rt = { workspace = true }"),
        (
            "actors/core/Cargo.toml",
            "[package]\nname = \"playhouse-actors\"\n[dependencies]\nplayhouse-net = { workspace = true }",
        ),
        ("net/cluster/Cargo.toml", "[package]\nname = \"playhouse-cluster\"\n[dependencies]\nplayhouse-actors.workspace = true"),
        (
            "actors/node/Cargo.toml",
            "[package]\nname = \"playhouse\"\n[dev-dependencies]\nplayhouse-sim = { path = \"../../sim\" }",
        ),
        ("actors/plane/Cargo.toml", "[package]\nname = \"playhouse-plane\"\n[dependencies]\nrand = { workspace = true }"),
        ("sim/Cargo.toml", "[package]\nname = \"playhouse-sim\"\n[dependencies]\nplayhouse-cli = { path = \"../actors/cli\" }"),
        ("sim/Cargo.toml", "[package]\nname = \"playhouse-sim\"\n[dependencies]\nplayhouse-tests = { path = \"../tests\" }"),
        ("actors/attic/Cargo.toml", "[package]\nname = \"playhouse-attic\""),
    ],
    clean: &[
        ("net/wire/Cargo.toml", "[package]\nname = \"playhouse-wire\"\n[dependencies]\nbytes = { workspace = true }"),
        (
            "actors/cli/Cargo.toml",
            "[package]\nname = \"playhouse-cli\"\n[[bin]]\nname = \"playhouse\"\n[dependencies]\nplayhouse = { workspace = true }",
        ),
        ("tests/Cargo.toml", "[package]\nname = \"playhouse-tests\"\n[dev-dependencies]\nplayhouse-cli = { path = \"x\" }"),
    ],
};

fn floors(house: &House) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in house.manifests() {
        let package = name(file);
        if BESIDE.contains(&package) {
            continue;
        }
        let Some(room) = ROOMS.iter().find(|room| room.package == package) else {
            let text = format!("{package:?} has no floor; give it one in tests/src/tidy/floors.rs and in docs");
            findings.push(Finding { path: file.path.clone(), line: 1, text });
            continue;
        };
        for dependency in dependencies(&file.text) {
            let used = dependency.package;
            let is_ours = used == NODE || used.starts_with("playhouse-");
            let text = if is_ours && !room.uses.contains(&used) {
                format!("{package} (floor {}) must not use {used}; it may use {}", room.floor, room.uses.join(", "))
            } else if room.never.contains(&used) {
                format!(
                    "{package} must never name {used}; take what you need from it as an argument, or move the code up a floor"
                )
            } else {
                continue;
            };
            findings.push(Finding { path: file.path.clone(), line: dependency.line, text });
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_itself_only_goes_down() {
        let floor = |package: &str| ROOMS.iter().find(|room| room.package == package).expect("a room").floor;
        for room in ROOMS {
            for used in room.uses {
                assert!(floor(used) < room.floor, "{} on floor {} uses {used}", room.package, room.floor);
            }
        }
    }
}
