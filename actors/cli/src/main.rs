//! The `playhouse` command: shows the whole at work, and runs nodes. Thin: what it does is in the crates below.

mod ca;
mod cluster;
mod demo;
mod log;
mod node;
mod operate;
mod serve;
mod text;
mod top;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::text::{err, sentence};

/// Actors for Rust, on one node or on many over QUIC.
#[derive(Debug, Parser)]
#[command(name = "playhouse", version, max_term_width = 100)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Demo(demo::Args),
    Node(node::Args),
    Ca(ca::Args),
    Top(top::Args),
    Status(operate::Status),
    Drain(operate::Drain),
    Dismiss(operate::Dismiss),
    Log(log::Args),
}

/// Something went wrong that one line can tell.
pub(crate) struct Trouble {
    line: String,
    code: u8,
}

impl Trouble {
    /// The cluster or the machine is at fault.
    pub(crate) fn new(line: impl ToString) -> Trouble {
        Trouble { line: line.to_string(), code: 1 }
    }

    /// What the user gave is at fault.
    pub(crate) fn usage(line: impl ToString) -> Trouble {
        Trouble { line: line.to_string(), code: 2 }
    }

    /// The user, or the system, wants an end.
    pub(crate) fn interrupted(signal: i32) -> Trouble {
        Trouble { line: "interrupted; everything was stopped and removed".into(), ..Trouble::signalled(signal) }
    }

    /// The same, where there was nothing to remove.
    pub(crate) fn signalled(signal: i32) -> Trouble {
        Trouble { line: "interrupted".into(), code: 128 + signal as u8 }
    }
}

fn main() -> ExitCode {
    let result = match Args::parse().command {
        Command::Demo(args) => demo::run(args),
        Command::Node(args) => node::run(args),
        Command::Ca(args) => ca::run(args),
        Command::Top(args) => top::run(args),
        Command::Status(args) => operate::status(args),
        Command::Drain(args) => operate::drain(args),
        Command::Dismiss(args) => operate::dismiss(args),
        Command::Log(args) => log::run(args),
    };
    match result {
        Ok(code) => ExitCode::from(code),
        Err(trouble) => {
            err(&format!("playhouse: {}", sentence(&trouble.line)));
            ExitCode::from(trouble.code)
        }
    }
}
