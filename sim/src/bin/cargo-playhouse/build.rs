//! Building an application's tests in the simulated world.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;

use super::Build;

/// What makes cargo build the simulated world. The profile is ours, so that the application's manifest needs no entry for it: its own code is
/// quick to build, everything below it quick to run.
const WORLD: &[&str] = &[
    "--profile",
    "sim",
    "--config",
    "target.'cfg(all())'.rustflags=['--cfg=madsim']",
    "--config",
    "profile.sim.inherits='dev'",
    "--config",
    "profile.sim.opt-level=1",
    "--config",
    "profile.sim.debug='line-tables-only'",
    "--config",
    "profile.sim.package.'*'.opt-level=2",
];

/// Builds the tests, and gives their executables, each with the folder of its package.
pub(crate) fn tests(build: &Build) -> Result<Vec<(PathBuf, Option<PathBuf>)>, String> {
    if !build.built.is_empty() {
        return Ok(build.built.iter().map(|executable| (executable.clone(), None)).collect());
    }
    // RUSTFLAGS would win over the flag that makes the simulated world.
    if std::env::var_os("RUSTFLAGS").is_some() || std::env::var_os("CARGO_ENCODED_RUSTFLAGS").is_some() {
        return Err("RUSTFLAGS is set, and would hide the flag that builds the simulated world; unset it".into());
    }
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["test", "--no-run", "--lib", "--tests", "--message-format", "json-render-diagnostics"]).args(WORLD);
    if let Some(package) = &build.package {
        command.args(["--package", package]);
    }
    if let Some(features) = &build.features {
        command.args(["--features", features]);
    }
    if let Some(manifest) = &build.manifest_path {
        command.arg("--manifest-path").arg(manifest);
    }
    if build.locked {
        command.arg("--locked");
    }
    let folder = match (&build.target_dir, &build.manifest_path) {
        (Some(folder), _) => folder.clone(),
        (None, Some(manifest)) => {
            manifest.parent().map(|folder| folder.join("target/sim")).unwrap_or_else(|| "target/sim".into())
        }
        (None, None) => "target/sim".into(),
    };
    command.arg("--target-dir").arg(folder);
    let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output().map_err(|error| format!("cargo: {error}"))?;
    if !output.status.success() {
        return Err("the tests do not build in the simulated world".into());
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let messages = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    Ok(messages
        .filter(|message| message["profile"]["test"] == true)
        .filter_map(|message| {
            let manifest = message["manifest_path"].as_str().map(PathBuf::from);
            let folder = manifest.and_then(|manifest| manifest.parent().map(PathBuf::from));
            Some((PathBuf::from(message["executable"].as_str()?), folder))
        })
        .collect())
}
