//! The shape of files: how long, how they begin, what they say about `unsafe`, and what they must not give away.

use super::{Check, Code, File, Finding};

/// The most lines that a Rust file may have.
const LINES_MAX: usize = 600;

/// How many lines above an `unsafe` its reason may stand.
const SAFETY_ABOVE: usize = 5;

fn finding(file: &File, line: usize, text: impl Into<String>) -> Finding {
    Finding { path: file.path.clone(), line, text: text.into() }
}

pub(super) const LENGTH: Check = Check {
    name: "length",
    promise: "no Rust file is longer than 600 lines",
    run: |house| {
        let long = |file: &&File| file.text.lines().count() > LINES_MAX;
        let text =
            |file: &File| format!("{} lines, more than {LINES_MAX}; is there a second room inside?", file.text.lines().count());
        house.rust().filter(long).map(|file| finding(file, LINES_MAX + 1, text(file))).collect()
    },
    // 601 lines do not fit here; see the test below.
    planted: &[],
    clean: &[("actors/core/src/lib.rs", "//! Short.\n")],
};

pub(super) const NO_STD: Check = Check {
    name: "no-std",
    promise: "the plane and the wire are no_std",
    run: |house| {
        let pure = ["actors/plane/src/lib.rs", "net/wire/src/lib.rs"];
        let files = pure.iter().filter_map(|path| house.file(path));
        let without = files.filter(|file| !file.text.lines().any(|line| line.trim() == "#![no_std]"));
        without.map(|file| finding(file, 1, "no `#![no_std]` line; it makes purity a fact of the compiler")).collect()
    },
    planted: &[
        ("actors/plane/src/lib.rs", "//! The plane.\n// #![no_std]"),
        ("net/wire/src/lib.rs", "//! The wire.\n#![cfg_attr(not(test), no_std)]"),
    ],
    clean: &[("net/wire/src/lib.rs", "//! The wire.\n#![no_std]\n"), ("net/rt/src/lib.rs", "//! The seam.")],
};

pub(super) const OPENING: Check = Check {
    name: "opening",
    promise: "every crate opens by saying what it is",
    run: |house| {
        let opens = |file: &&File| {
            ["src/lib.rs", "src/main.rs"].iter().any(|end| file.path.ends_with(end)) || file.path.contains("/src/bin/")
        };
        let silent = house.rust().filter(opens).filter(|file| !file.text.starts_with("//!"));
        let mut findings: Vec<_> =
            silent.map(|file| finding(file, 1, "does not begin with `//!`; say what the crate is and what it refuses")).collect();
        let empty = house.rust().filter(opens).filter(|file| file.text.starts_with("//! To come"));
        findings.extend(empty.map(|file| finding(file, 1, "has nothing to say yet; say what the crate is and what it refuses")));
        findings
    },
    planted: &[
        ("net/rt/src/lib.rs", "mod os;\n//! The seam."),
        ("actors/cli/src/main.rs", "fn main() {}"),
        ("sim/src/bin/sim.rs", "fn main() {}"),
        ("sim/src/lib.rs", "//! To come.\n"),
    ],
    clean: &[("net/rt/src/lib.rs", "//! The seam.\n"), ("net/rt/src/os/mod.rs", "pub mod task;")],
};

pub(super) const SAFETY: Check = Check {
    name: "safety",
    promise: "every unsafe says why it is sound",
    run: |house| {
        let mut findings = Vec::new();
        for file in house.rust() {
            let lines: Vec<&str> = file.text.lines().collect();
            let code = Code::of(&file.text);
            let unsafes = code
                .find("unsafe")
                .into_iter()
                .filter(|number| !code.lines().nth(number - 1).is_some_and(|(_, line)| is_type(line)));
            for number in unsafes {
                let above = &lines[number.saturating_sub(1 + SAFETY_ABOVE)..number];
                if !above.iter().any(|line| line.contains("SAFETY:") || line.contains("# Safety")) {
                    findings.push(finding(
                        file,
                        number,
                        "`unsafe` without a `// SAFETY:` comment; say why it is sound, or do without",
                    ));
                }
            }
        }
        findings
    },
    planted: &[
        ("net/rt/src/os/time.rs", "fn f() { unsafe { g() } }"),
        ("net/rt/src/os/time.rs", "let x = unsafe { f() };"),
        ("net/rt/src/sim/entropy.rs", "// SAFETY: too far away\n\n\n\n\n\n\nunsafe extern \"C\" fn f() {}"),
    ],
    clean: &[(
        "net/rt/src/os/time.rs",
        "fn f() {\n    // SAFETY: g wants nothing.\n    unsafe { g() }\n}\n#[expect(unsafe_code)] fn h() {}",
    )],
};

/// Whether the line's `unsafe` only names a type of functions: the reasons stand where such a function is written and called.
fn is_type(line: &str) -> bool {
    line.split_once("unsafe ").is_some_and(|(before, after)| {
        before.trim_end().ends_with(['=', ':', '(', '<', ',']) && (after.starts_with("fn") || after.starts_with("extern"))
    })
}

/// Places of somebody's machine, and hosts of package registries: each is assembled here, so that this file has none of them.
const PRIVATE_TEXTS: &[(&str, &str)] = &[
    (concat!("/wo", "rk/"), "a path of one machine"),
    (concat!("/ro", "ot/"), "a path of one machine"),
    (concat!("/ho", "me/"), "a path of one machine"),
    (concat!("/Us", "ers/"), "a path of one machine"),
    (concat!("/tmp/", "t-"), "a path of one machine"),
    (concat!("index.", "crates.io"), "a registry's host"),
    (concat!("static.", "crates.io"), "a registry's host"),
    (concat!("replace-", "with"), "a registry's replacement"),
    (concat!("sparse", "+http"), "a registry's address"),
];

pub(super) const PRIVATE: Check = Check {
    name: "private",
    promise: "no file knows the machine or the registry that it was made with",
    run: |house| {
        let mut findings = Vec::new();
        for file in &house.files {
            for (index, line) in file.text.lines().enumerate() {
                for (text, what) in PRIVATE_TEXTS.iter().filter(|(text, _)| line.contains(text)) {
                    findings.push(finding(
                        file,
                        index + 1,
                        format!("`{text}` is {what}; use a relative path, or the tool's default"),
                    ));
                }
            }
        }
        findings
    },
    planted: &[
        ("docs/start.md", concat!("cd /wo", "rk/main")),
        (".ci/run", concat!("ls /ro", "ot/.cargo")),
        (".cargo/config.toml", concat!("replace-", "with = \"mirror\"")),
        ("deny.toml", concat!("allow = [\"https://index.", "crates.io\"]")),
    ],
    clean: &[
        ("docs/start.md", "cd network/; https://crates.io/crates/quinn"),
        ("Cargo.lock", "registry+https://github.com/rust-lang/crates.io-index"),
    ],
};

#[cfg(test)]
mod tests {
    use super::super::House;
    use super::*;

    #[test]
    fn the_first_line_too_many_is_found() {
        let file = |lines: usize| House { files: vec![File { path: "a/src/b.rs".into(), text: "x\n".repeat(lines) }] };
        assert_eq!((LENGTH.run)(&file(LINES_MAX)), []);
        assert_eq!((LENGTH.run)(&file(LINES_MAX + 1))[0].line, LINES_MAX + 1);
    }
}
