//! Runs every `tests/stories/*.story`: blocks of commands, `----`, and what the plane wants done.
//!
//! `PLAYHOUSE_UPDATE_STORIES=1 cargo test -p playhouse-plane --test stories` writes what it does now as the expectation; read the
//! difference. The commands are the arms of `Story::command` in `story/mod.rs`, the one place that touches the plane.

mod story;

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

#[test]
fn stories_go_as_they_are_told() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/stories");
    let update = std::env::var_os("PLAYHOUSE_UPDATE_STORIES").is_some();
    let mut files: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|e| e == "story"));
    files.sort();
    assert!(files.len() >= 12, "only {} stories in {}", files.len(), folder.display());
    let mut wrong = String::new();
    for path in files {
        let told = fs::read_to_string(&path).unwrap();
        let went = play(&told);
        if told == went {
            continue;
        }
        if update {
            fs::write(&path, went).unwrap();
        } else {
            write!(wrong, "\n== {}\n", path.display()).unwrap();
            differences(&told, &went, &mut wrong);
        }
    }
    assert!(wrong.is_empty(), "{wrong}\n(- told, + went)");
}

/// The story with what really happens after each `----`.
fn play(told: &str) -> String {
    let mut story = story::Story::new();
    let mut went = String::new();
    for block in told.trim_end().split("\n\n") {
        let commands = block.lines().take_while(|line| *line != "----").collect::<Vec<_>>();
        let mut out = Vec::new();
        for command in &commands {
            if !command.starts_with('#') {
                story.command(command, &mut out);
            }
            writeln!(went, "{command}").unwrap();
        }
        if commands.iter().any(|c| !c.starts_with('#')) {
            writeln!(went, "----").unwrap();
            out.iter().for_each(|line| writeln!(went, "{line}").unwrap());
        }
        went.push('\n');
    }
    went.pop();
    went
}

fn differences(told: &str, went: &str, out: &mut String) {
    let (told, went): (Vec<_>, Vec<_>) = (told.lines().collect(), went.lines().collect());
    let same = told.iter().zip(&went).take_while(|(a, b)| a == b).count();
    for line in &told[same.saturating_sub(3)..same] {
        writeln!(out, "  {line}").unwrap();
    }
    told[same..].iter().take(12).for_each(|line| writeln!(out, "- {line}").unwrap());
    went[same..].iter().take(12).for_each(|line| writeln!(out, "+ {line}").unwrap());
}
