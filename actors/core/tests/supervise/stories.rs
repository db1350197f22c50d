//! Runs every `stories/*.story`: blocks of commands, `----`, and what the supervisor wants done.
//!
//! `PLAYHOUSE_UPDATE_STORIES=1 cargo test -p playhouse-actors --test supervise` writes what it does now as the expectation; read the
//! difference. The commands are the arms of `Story::command` in `story.rs`, the one place that touches the supervisor.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use super::story::Story;

#[test]
fn stories_go_as_they_are_told() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/supervise/stories");
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
            let same = told.lines().zip(went.lines()).take_while(|(a, b)| a == b).count();
            let part = |text: &str| text.lines().skip(same).take(8).collect::<Vec<_>>().join("\n  ");
            write!(wrong, "\n== {} from line {}\ntold:\n  {}\nwent:\n  {}", path.display(), same + 1, part(&told), part(&went))
                .unwrap();
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// The story with what really happens after each `----`.
fn play(told: &str) -> String {
    let mut story = Story::default();
    let mut went = String::new();
    for block in told.trim_end().split("\n\n") {
        let mut out = Vec::new();
        let mut told_to_do = false;
        for command in block.lines().take_while(|line| *line != "----") {
            writeln!(went, "{command}").unwrap();
            if !command.starts_with('#') {
                story.command(command, &mut out);
                told_to_do = true;
            }
        }
        if told_to_do {
            writeln!(went, "----").unwrap();
            out.iter().for_each(|line| writeln!(went, "{line}").unwrap());
        }
        went.push('\n');
    }
    went.pop();
    went
}
