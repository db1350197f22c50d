//! `cargo sim`: rehearses scenarios, a process per seed.

#[cfg(madsim)]
mod command;
#[cfg(madsim)]
#[path = "../common/mod.rs"]
mod common;
#[cfg(madsim)]
mod explore;
#[cfg(madsim)]
mod one;
#[cfg(madsim)]
mod plans;
#[cfg(madsim)]
mod pool;
#[cfg(madsim)]
mod replay;
#[cfg(madsim)]
mod shrink;
#[cfg(madsim)]
mod table;

use std::process::ExitCode;

#[cfg(madsim)]
fn main() -> ExitCode {
    command::main()
}

#[cfg(not(madsim))]
fn main() -> ExitCode {
    eprintln!(
        "playhouse-sim was built without --cfg madsim, so there is no simulation in it. Use `cargo sim`, and unset RUSTFLAGS."
    );
    ExitCode::from(4)
}
