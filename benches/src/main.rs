//! Figures of ours beside those of peers, taken in turns within one run, so that a slow machine slows both.
//!
//! What it refuses: to compare figures of different runs, and to fail because something was slow. It fails when a contestant gives a
//! wrong result.
//!
//! A bench is a folder with a `run` and a row in [`BENCHES`]. Within `actors`, a peer is one file.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program that shows figures")]

mod actors;
mod allocations;
mod cluster;
mod options;
mod remote;
mod report;
mod rounds;
mod sim;

use std::process::ExitCode;

use options::{Command, Plan};
use report::Report;

/// Exit code for a command line that makes no sense.
const BAD_USAGE: u8 = 4;

/// Counts only while a bench asks it to.
#[global_allocator]
static ALLOCATOR: allocations::Counting = allocations::Counting;

/// A bench that can be asked for by name.
pub(crate) struct Bench {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    run: fn(&Plan) -> Result<Report, String>,
}

/// All benches.
pub(crate) const BENCHES: &[Bench] = &[
    Bench { name: "actors", about: "tell, ask, spawn and memory, beside actix, ractor and kameo", run: actors::run },
    Bench { name: "remote", about: "tell and ask between two processes over mutual TLS, beside raw quinn", run: remote::run },
    Bench { name: "cluster", about: "durable commands, and failover when a leader is killed, beside etcd", run: cluster::run },
    Bench {
        name: "sim",
        about: "how fast virtual time passes, and how many small runs fit into a second of one core",
        run: sim::run,
    },
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments == [remote::FAR_SIDE] {
        return finish(remote::far_side());
    }
    if arguments == [cluster::MEMBER] {
        return finish(cluster::member_side());
    }
    if arguments == [cluster::COORDINATOR] {
        return finish(cluster::coordinator_side());
    }
    match options::parse(&arguments) {
        Ok(Command::Help) => {
            println!("{}", options::usage());
            ExitCode::SUCCESS
        }
        Ok(Command::Run(bench, plan)) => finish((bench.run)(&plan).map(|report| report.show(plan.json))),
        Err(text) => {
            eprintln!("{text}");
            ExitCode::from(BAD_USAGE)
        }
    }
}

fn finish(result: Result<(), String>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(text) => {
            eprintln!("{text}");
            ExitCode::FAILURE
        }
    }
}
