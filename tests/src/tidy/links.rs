//! Links of the documentation.

use std::collections::BTreeSet;

use super::{Check, Finding, House};

pub(super) const LINKS: Check = Check {
    name: "links",
    promise: "every relative link of the documentation leads somewhere",
    run: links,
    planted: &[
        ("README.md", "See [the docs](docs/none.md)."),
        ("docs/a/b.md", "See [up](../../../above.md)."),
        ("README.md", "# A heading\n[to](#no-such-heading)"),
        ("README.md", "![picture](picture.svg)"),
        ("CONTRIBUTING.md", "[one]: docs/none.md"),
    ],
    clean: &[
        (
            "README.md",
            "# Play `house`: it\n[a](docs/a/b.md#two-words), [b](./docs), [c](https://example.org/x), [d](#play-house-it), `[e](f)`\n```\n[g](h)\n```\n[i]: docs/a/b.md \"title\"",
        ),
        ("docs/a/b.md", "## Two words\n[up](../../README.md) [top](/README.md)"),
    ],
};

fn links(house: &House) -> Vec<Finding> {
    let mut known: BTreeSet<&str> = BTreeSet::new();
    for file in &house.files {
        known.insert(&file.path);
        known.extend(file.path.match_indices('/').map(|(at, _)| &file.path[..at]));
    }
    let mut findings = Vec::new();
    for file in house.files.iter().filter(|file| file.path.ends_with(".md")) {
        for (line, target) in targets(&file.text) {
            let (path, fragment) = target.split_once('#').unwrap_or((target, ""));
            let wrong = match resolve(&file.path, path) {
                Some(path) if path.is_empty() || known.contains(path.as_str()) => {
                    let page = house.file(&path).filter(|page| page.path.ends_with(".md") && !fragment.is_empty());
                    page.is_some_and(|page| !headings(&page.text).contains(fragment)).then_some("has no such heading")
                }
                Some(_) => Some("does not exist"),
                None => Some("leads out of the repository"),
            };
            if let Some(wrong) = wrong {
                findings.push(Finding {
                    path: file.path.clone(),
                    line,
                    text: format!("the link {target:?} {wrong}; correct or remove it"),
                });
            }
        }
    }
    findings
}

/// Lines outside of fenced code, with their numbers.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut fenced = false;
    text.lines().enumerate().filter_map(move |(index, line)| {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
            return None;
        }
        (!fenced).then_some((index + 1, line))
    })
}

/// Relative link targets with their lines.
fn targets(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    for (number, line) in prose(text) {
        for (at, _) in line.match_indices("](") {
            let in_code = line[..at].matches('`').count() % 2 == 1;
            let target = line[at + 2..].split([')', ' ']).next().unwrap_or("");
            found.extend((!in_code).then_some((number, target)));
        }
        let definition = line.strip_prefix('[').and_then(|rest| rest.split_once("]: "));
        found.extend(definition.and_then(|(_, rest)| rest.split_whitespace().next()).map(|target| (number, target)));
    }
    found.retain(|(_, target)| !target.contains("://") && !target.starts_with("mailto:") && !target.is_empty());
    found
}

/// `target` as seen from the file `from`, from the top of the repository; `None` if it leads out.
fn resolve(from: &str, target: &str) -> Option<String> {
    if target.is_empty() {
        return Some(from.to_string());
    }
    let mut parts: Vec<&str> = match target.starts_with('/') {
        true => Vec::new(),
        false => from.split('/').collect::<Vec<_>>().split_last().map(|(_, folders)| folders.to_vec())?,
    };
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// The anchors of a page's headings, as code hosts make them.
fn headings(text: &str) -> BTreeSet<String> {
    let headings = prose(text).filter(|(_, line)| line.starts_with('#')).map(|(_, line)| line.trim_start_matches('#').trim());
    let mut anchors = BTreeSet::new();
    for heading in headings {
        let kept = heading.to_lowercase().replace(' ', "-");
        let anchor: String = kept.chars().filter(|c| c.is_alphanumeric() || matches!(c, '-' | '_')).collect();
        let mut count = 0;
        let mut name = anchor.clone();
        while !anchors.insert(name) {
            count += 1;
            name = format!("{anchor}-{count}");
        }
    }
    anchors
}
