//! Manifests, read line by line: as much of TOML as our own manifests use.

use super::{Check, File, Finding};

/// A dependency in a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Dependency<'a> {
    pub(super) line: usize,
    /// The package: the name, or what `package = "…"` says.
    pub(super) package: &'a str,
    /// What stands behind the `=`.
    pub(super) value: &'a str,
    /// The comments directly above, as one text.
    pub(super) reason: String,
}

impl Dependency<'_> {
    fn is_inherited(&self) -> bool {
        self.value.contains("workspace = true")
    }

    fn is_path(&self) -> bool {
        self.value.contains("path = ")
    }
}

/// All dependencies of a manifest, of every kind and for every target, and the workspace's.
pub(super) fn dependencies(text: &str) -> Vec<Dependency<'_>> {
    let mut found: Vec<Dependency<'_>> = Vec::new();
    let mut section = "";
    let mut reason = String::new();
    let mut depth = 0i32;
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        let brackets = |line: &str| line.matches(['[', '{']).count() as i32 - line.matches([']', '}']).count() as i32;
        if depth > 0 {
            depth += brackets(line);
        } else if let Some(comment) = line.strip_prefix('#') {
            reason.push_str(comment.trim());
            continue;
        } else if line.starts_with('[') && line.ends_with(']') {
            section = line.trim_matches(['[', ']']);
            // `[dependencies.name]`: the table itself is the dependency.
            let table = section.rsplit_once('.').filter(|(kind, _)| is_dependencies(kind));
            if let Some((_, name)) = table {
                found.push(Dependency { line: index + 1, package: name, value: "", reason: std::mem::take(&mut reason) });
            }
        } else if let Some((name, value)) = line.split_once('=').filter(|_| is_dependencies(section)) {
            depth += brackets(value);
            // `name.workspace = true` is `name = { workspace = true }`.
            let name = name.trim();
            let (name, value) = match name.strip_suffix(".workspace") {
                Some(name) => (name, "workspace = true"),
                None => (name, value.trim()),
            };
            let package =
                value.split_once("package = \"").and_then(|(_, rest)| rest.split_once('"')).map_or(name, |(package, _)| package);
            found.push(Dependency { line: index + 1, package, value, reason: reason.clone() });
        }
        reason.clear();
    }
    found
}

fn is_dependencies(section: &str) -> bool {
    ["dependencies", "dev-dependencies", "build-dependencies"]
        .iter()
        .any(|kind| section == *kind || section.ends_with(&format!(".{kind}")))
}

/// The package's own name.
pub(super) fn name(file: &File) -> &str {
    let mut lines = file.text.lines().skip_while(|line| line.trim() != "[package]");
    let name = lines.find_map(|line| line.trim().strip_prefix("name = \""));
    name.and_then(|rest| rest.strip_suffix('"')).unwrap_or("")
}

pub(super) const SEAM: Check = Check {
    name: "seam-manifests",
    promise: "only net/rt's manifest names tokio or madsim",
    run: |house| {
        let mut findings = Vec::new();
        // A server of others runs on tokio, whatever we do.
        let may = ["net/rt/Cargo.toml", "benches/Cargo.toml", "tests/s3/Cargo.toml"];
        let rooms = house.manifests().filter(|file| !may.contains(&file.path.as_str()));
        for file in rooms {
            for dependency in dependencies(&file.text) {
                let package = dependency.package;
                if ["tokio", "madsim"].iter().any(|name| package == *name || package.starts_with(&format!("{name}-"))) {
                    let text = format!("depends on {package}; depend on playhouse-rt, the only crate that names it");
                    findings.push(Finding { path: file.path.clone(), line: dependency.line, text });
                }
            }
        }
        findings
    },
    planted: &[
        ("actors/core/Cargo.toml", "[dependencies]\ntokio = { workspace = true }"),
        ("net/quic/Cargo.toml", "[dev-dependencies]\nt = { package = \"madsim-tokio\", version = \"0.2\" }"),
        ("sim/Cargo.toml", "[target.'cfg(madsim)'.dependencies]\nmadsim.workspace = true"),
        ("sim/Cargo.toml", "[dependencies.tokio-util]\nversion = \"0.7\""),
    ],
    clean: &[
        ("net/rt/Cargo.toml", "[target.'cfg(madsim)'.dependencies]\ntokio = { package = \"madsim-tokio\", version = \"0.2\" }"),
        ("net/quic/Cargo.toml", "[dependencies]\nquinn = { workspace = true, features = [\"runtime-tokio\"] }"),
        ("Cargo.toml", "[workspace.dependencies]\nmadsim = \"0.2\""),
    ],
};

pub(super) const REASONS: Check = Check {
    name: "reasons",
    promise: "every dependency from outside says what it is for, directly above",
    run: |house| {
        let mut findings = Vec::new();
        for file in house.files.iter().filter(|file| file.path == "Cargo.toml" || file.path.ends_with("/Cargo.toml")) {
            let silent =
                dependencies(&file.text).into_iter().filter(|d| !d.is_inherited() && !d.is_path() && d.reason.is_empty());
            findings.extend(silent.map(|dependency| {
                let text = format!("{} has no comment directly above; say what it is for", dependency.package);
                Finding { path: file.path.clone(), line: dependency.line, text }
            }));
        }
        findings
    },
    planted: &[
        ("Cargo.toml", "[workspace.dependencies]\n# Payloads.\nbytes = \"1\"\nserde = \"1\""),
        ("Cargo.toml", "[workspace.dependencies]\n# A reason, with a gap.\n\nbytes = \"1\""),
        ("net/rt/Cargo.toml", "[target.'cfg(unix)'.dependencies]\nlibc = \"0.2\""),
        ("fuzz/Cargo.toml", "[dependencies.libfuzzer-sys]\nversion = \"0.4\""),
    ],
    clean: &[
        ("Cargo.toml", "[workspace.dependencies]\nplayhouse = { path = \"actors/node\" }\n\n# Payloads.\nbytes = \"1\""),
        (
            "net/rt/Cargo.toml",
            "[package]\nname = \"x\"\n\n[dependencies]\nbytes = { workspace = true }\nserde.workspace = true\n[lints]\nworkspace = true",
        ),
        (
            "sim/Cargo.toml",
            "[features]\ndefault = []\n[dependencies]\n# Why.\nquinn = { version = \"1\", features = [\n  \"a\",\n  \"b\",\n] }",
        ),
    ],
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dependencies_are_read_in_every_form() {
        let text = "[package]\nname = \"a\"\n[dependencies]\nb = \"1\"\nc.workspace = true\n# why\nd = { package = \"e\", features = [\n\"x\",\n] }\n[dev-dependencies.f]\npath = \"..\"\n[lints]\nworkspace = true";
        let found: Vec<_> = dependencies(text).into_iter().map(|d| (d.line, d.package.to_string(), d.reason)).collect();
        let expected = [(4, "b", ""), (5, "c", ""), (7, "e", "why"), (10, "f", "")];
        assert_eq!(found, expected.map(|(line, package, reason)| (line, package.to_string(), reason.to_string())));
    }
}
