//! The files of the repository.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A file with text in it.
#[derive(Clone, Debug)]
pub struct File {
    /// From the top of the repository, with `/`.
    pub path: String,
    /// Its content; empty when it is no text.
    pub text: String,
}

/// All files of the repository.
#[derive(Clone, Debug)]
pub struct House {
    /// Sorted by path.
    pub files: Vec<File>,
}

/// Folders that hold what is built, not what is written.
const BUILT: &[&str] = &[".git", "target", "artifacts"];

impl House {
    /// Reads the repository that this package stands in: what git knows or would add, or everything if git does not answer.
    ///
    /// # Errors
    /// When a folder cannot be read.
    pub fn read() -> io::Result<House> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests' folder stands in the repository");
        let mut paths = match listed(root) {
            Some(paths) => paths,
            None => {
                let mut paths = Vec::new();
                walk(root, root, &mut paths)?;
                paths
            }
        };
        paths.sort();
        paths.dedup();
        // Listed files that are gone are none. Those that are no text (a corpus, a picture) have nothing in them to check, but may be
        // linked to.
        let text = |bytes| String::from_utf8(bytes).unwrap_or_default();
        let read = |path: String| fs::read(root.join(&path)).ok().map(|bytes| File { path, text: text(bytes) });
        Ok(House { files: paths.into_iter().filter_map(read).collect() })
    }

    /// The Rust files.
    pub fn rust(&self) -> impl Iterator<Item = &File> {
        self.files.iter().filter(|file| file.path.ends_with(".rs"))
    }

    /// The packages' manifests, without the workspace's.
    pub fn manifests(&self) -> impl Iterator<Item = &File> {
        self.files.iter().filter(|file| file.path.ends_with("/Cargo.toml"))
    }

    /// The file at exactly `path`.
    pub fn file(&self, path: &str) -> Option<&File> {
        self.files.iter().find(|file| file.path == path)
    }
}

fn listed(root: &Path) -> Option<Vec<String>> {
    let output = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root)
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    let text = String::from_utf8(output.stdout).ok()?;
    let paths: Vec<String> = text.split('\0').filter(|path| !path.is_empty()).map(str::to_string).collect();
    // A copy without history inside some other repository: git answers, but knows none of it.
    paths.iter().any(|path| path == "Cargo.toml").then_some(paths)
}

fn walk(root: &Path, folder: &Path, paths: &mut Vec<String>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let path: PathBuf = entry.path();
        if entry.file_type()?.is_dir() {
            if !BUILT.iter().any(|built| entry.file_name() == *built) {
                walk(root, &path, paths)?;
            }
        } else if let Some(text) = path.strip_prefix(root).ok().and_then(Path::to_str) {
            paths.push(text.replace('\\', "/"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn git_and_the_walk_both_see_this_file() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let mut walked = Vec::new();
        walk(root, root, &mut walked).unwrap();
        assert!(walked.contains(&"tests/src/tidy/house.rs".to_string()));
        assert!(!walked.iter().any(|path| path.starts_with("target/") || path.starts_with(".git/")));
        if let Some(listed) = listed(root) {
            assert!(listed.contains(&"Cargo.toml".to_string()));
        }
        assert!(House::read().unwrap().file("tests/src/tidy/house.rs").is_some());
    }
}
