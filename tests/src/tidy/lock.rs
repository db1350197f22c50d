//! The lock file: what is really linked.

use super::{Check, Finding, House};

/// Packages that would bring a second provider of cryptography, or need a system library.
const BANNED: &[&str] = &["aws-lc-rs", "aws-lc-sys", "aws-lc-fips-sys", "openssl", "openssl-sys", "native-tls"];

/// Packages of which two versions would be two worlds.
const SINGLE: &[&str] = &["tokio", "quinn", "rustls", "ring"];

/// The only place that packages may come from.
const SOURCE: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// Name, version and line of each package.
fn packages(text: &str) -> Vec<(&str, &str, usize)> {
    let mut found = Vec::new();
    let mut name = "";
    for (index, line) in text.lines().enumerate() {
        if let Some(text) = line.strip_prefix("name = \"") {
            name = text.trim_end_matches('"');
        } else if let Some(version) = line.strip_prefix("version = \"").filter(|_| !name.is_empty()) {
            found.push((name, version.trim_end_matches('"'), index));
            name = "";
        }
    }
    found
}

fn locks(house: &House) -> impl Iterator<Item = &super::File> {
    house.files.iter().filter(|file| file.path == "Cargo.lock" || file.path.ends_with("/Cargo.lock"))
}

pub(super) const PROVIDER: Check = Check {
    name: "provider",
    promise: "one provider of cryptography, and one version of tokio, quinn and rustls, are linked",
    run: |house| {
        let mut findings = Vec::new();
        for file in locks(house) {
            let packages = packages(&file.text);
            for (name, _, line) in packages.iter().filter(|(name, ..)| BANNED.contains(name)) {
                let text =
                    format!("{name} is linked; find who asks for it (cargo tree -i {name}) and turn its default features off");
                findings.push(Finding { path: file.path.clone(), line: *line, text });
            }
            for single in SINGLE {
                for (name, version, line) in packages.iter().filter(|(name, ..)| name == single).skip(1) {
                    let text = format!("a second version of {name}, {version}; bring its users together (cargo tree -d)");
                    findings.push(Finding { path: file.path.clone(), line: *line, text });
                }
            }
        }
        findings
    },
    planted: &[
        ("Cargo.lock", "[[package]]\nname = \"aws-lc-rs\"\nversion = \"1.0.0\""),
        ("fuzz/Cargo.lock", "[[package]]\nname = \"openssl-sys\"\nversion = \"0.9.0\""),
        (
            "Cargo.lock",
            "[[package]]\nname = \"tokio\"\nversion = \"0.2.0\"\n\n[[package]]\nname = \"tokio\"\nversion = \"1.0.0\"",
        ),
    ],
    clean: &[(
        "Cargo.lock",
        "version = 4\n\n[[package]]\nname = \"rustls\"\nversion = \"0.23.0\"\ndependencies = [\n \"ring\",\n]\n\n[[package]]\nname = \"ring\"\nversion = \"0.17.0\"",
    )],
};

pub(super) const SOURCES: Check = Check {
    name: "sources",
    promise: "every package comes from crates.io",
    run: |house| {
        let mut findings = Vec::new();
        for file in locks(house) {
            for (index, line) in file.text.lines().enumerate() {
                let source = line.strip_prefix("source = \"").map(|source| source.trim_end_matches('"'));
                if let Some(source) = source.filter(|source| *source != SOURCE) {
                    let text = format!("{source} is not crates.io; use a published version");
                    findings.push(Finding { path: file.path.clone(), line: index + 1, text });
                }
            }
        }
        findings
    },
    planted: &[("Cargo.lock", "source = \"git+https://example.org/fork\"")],
    clean: &[("Cargo.lock", "source = \"registry+https://github.com/rust-lang/crates.io-index\"")],
};
