//! Lists the text files below a folder.

use std::io;
use std::path::{Path, PathBuf};

use playhouse_rt::{Disk, Kind};

use super::{File, Manifest};

/// The folder cannot be listed at all.
#[derive(Debug, thiserror::Error)]
#[error("{}: {error}", path.display())]
pub struct ScanError {
    /// The folder.
    pub path: PathBuf,
    /// Why.
    pub error: io::Error,
}

/// So much of a file is looked at to tell text from other data.
const HEAD: usize = 8 * 1024;

/// Folders within folders that are followed; deeper ones are passed over with a note.
const DEPTH_MAX: usize = 128;

/// Lists the text files below `root`. What is no text, cannot be read, or is no regular file is passed over with a note, and so are
/// symbolic links, `.git` folders and folders marked as caches (<https://bford.info/cachedir/>). Blocks.
///
/// # Errors
/// When `root` itself cannot be listed.
pub fn scan(disk: &Disk, root: &Path) -> Result<Manifest, ScanError> {
    let mut manifest = Manifest::default();
    let mut folders = vec![(root.to_path_buf(), 0)];
    while let Some((folder, depth)) = folders.pop() {
        let entries = match disk.list(&folder) {
            Ok(entries) => entries,
            Err(error) if depth == 0 => return Err(ScanError { path: folder, error }),
            Err(error) => {
                manifest.notes.add(&folder.to_string_lossy(), format!("the folder cannot be read: {}", plain(&error)));
                continue;
            }
        };
        // cargo does not mark a target folder that something else made before it; its notes about the compiler give it away.
        if depth > 0 && entries.iter().any(|entry| entry.name == "CACHEDIR.TAG" || entry.name == ".rustc_info.json") {
            manifest.notes.add(&folder.to_string_lossy(), "a cache, passed over");
            continue;
        }
        for entry in entries {
            let path = folder.join(&entry.name);
            // Paths travel as text. One that is not is passed over like other data that is no text.
            let Some(name) = path.to_str() else {
                manifest.notes.add(&path.to_string_lossy(), "the path is not UTF-8");
                continue;
            };
            match entry.kind {
                Kind::Folder if entry.name == ".git" => {}
                Kind::Folder if depth >= DEPTH_MAX => manifest.notes.add(name, "too deep"),
                Kind::Folder => folders.push((path, depth + 1)),
                Kind::Link => manifest.notes.add(name, "a symbolic link, not followed"),
                Kind::Other => manifest.notes.add(name, "neither a file nor a folder"),
                Kind::File(bytes) => match disk.read_at(&path, 0, HEAD) {
                    Ok(head) if head.contains(&0) => manifest.notes.add(name, "binary data"),
                    Ok(_) => manifest.files.push(File { path: name.to_string(), bytes }),
                    Err(error) => manifest.notes.add(name, format!("the file cannot be read: {}", plain(&error))),
                },
            }
        }
    }
    manifest.files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(manifest)
}

/// An error without the number that the operating system adds.
pub(super) fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_string()
}
