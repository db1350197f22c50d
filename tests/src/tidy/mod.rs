//! The house keeps itself: checks over the sources, each with a promise, and with violations that it must find.
//!
//! A check is a function from files to findings. It reads no disk, so that its own tests can plant a file with a violation.

mod code;
mod floors;
mod house;
mod links;
mod lock;
mod manifest;
mod names;
mod shape;

use std::fmt;

pub use code::Code;
pub use house::{File, House};

/// A place that breaks a promise.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// The file, from the top of the repository.
    pub path: String,
    /// The line, from 1 on.
    pub line: usize,
    /// What is wrong, and what to do instead.
    pub text: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.text)
    }
}

/// A check: what it promises, how it looks, and what it must find.
pub struct Check {
    /// A short name.
    pub name: &'static str,
    /// What holds wherever it finds nothing.
    pub promise: &'static str,
    /// Looks at all files.
    pub run: fn(&House) -> Vec<Finding>,
    /// Pairs of path and content. Each, alone in a repository, must be found.
    pub planted: &'static [(&'static str, &'static str)],
    /// Pairs of path and content. Together in a repository, nothing may be found.
    pub clean: &'static [(&'static str, &'static str)],
}

/// All checks.
pub const CHECKS: &[Check] = &[
    names::SEAM,
    manifest::SEAM,
    floors::FLOORS,
    names::PURE,
    names::CLOCKS,
    names::LEFTOVERS,
    names::EXITS,
    shape::LENGTH,
    shape::NO_STD,
    shape::OPENING,
    shape::SAFETY,
    manifest::REASONS,
    lock::PROVIDER,
    lock::SOURCES,
    shape::PRIVATE,
    links::LINKS,
];

/// A repository with these files and no others.
pub fn planted(files: &[(&str, &str)]) -> House {
    House { files: files.iter().map(|(path, text)| File { path: path.to_string(), text: text.to_string() }).collect() }
}
