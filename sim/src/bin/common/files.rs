//! Files that the programs write.

use std::fs::File;
use std::path::{Path, PathBuf};

use playhouse_sim::plan::PlanFile;

/// Writes a plan, with the folders above it: all of it or nothing, so that whoever ends this program keeps the plan that was there. A link is
/// followed; what is no file stays.
pub(crate) fn save(path: &Path, file: &PlanFile) -> Result<(), String> {
    let write = || {
        let there = std::fs::canonicalize(path);
        let path = there.as_deref().unwrap_or(path);
        if path.exists() && !path.is_file() {
            return Err(std::io::Error::other("it is no file"));
        }
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let mut new = path.as_os_str().to_owned();
        new.push(".new");
        std::fs::write(&new, file.text())?;
        std::fs::rename(PathBuf::from(new), path)
    };
    write().map_err(|error| format!("{}: {error}", path.display()))
}

/// Whether a file can be written, before work is done for it. What is in it stays.
pub(crate) fn writable(path: &Path) -> Result<(), String> {
    let opened = File::options().append(true).create(true).open(path);
    opened.map(drop).map_err(|error| format!("{}: it cannot be written: {error}", path.display()))
}
