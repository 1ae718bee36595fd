//! The documents: each link leads somewhere, and each cargo command names something that exists.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that fails should panic"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

/// Every document under version control's folders, with its text.
fn documents() -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if path.is_dir() && !name.starts_with('.') && name != "target" && name != "data" {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                let text = fs::read_to_string(&path).unwrap();
                found.push((path, text));
            }
        }
    }
    assert!(found.len() > 20, "{}", found.len());
    found
}

/// What a heading is called in a link, as GitHub forms it.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut inside = false;
    let headings = text.lines().filter(|line| {
        inside ^= line.starts_with("```");
        !inside && line.starts_with('#')
    });
    headings
        .map(|line| {
            let heading = line.trim_start_matches('#').trim().to_lowercase();
            let kept = heading
                .chars()
                .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
            kept.map(|c| if c == ' ' { '-' } else { c }).collect()
        })
        .collect()
}

/// The targets of `[text](target)`, outside of code.
fn links(text: &str) -> Vec<String> {
    let mut inside = false;
    let mut found = Vec::new();
    for line in text.lines() {
        inside ^= line.starts_with("```");
        if inside {
            continue;
        }
        for part in line.split("](").skip(1) {
            found.extend(part.split_once(')').map(|(target, _)| target.to_owned()));
        }
    }
    found
}

#[test]
fn links_lead_somewhere() {
    let documents: BTreeMap<_, _> = documents().into_iter().collect();
    let mut broken = Vec::new();
    let mut followed = 0;
    for (document, text) in &documents {
        for link in links(text) {
            // Elsewhere, or an item that rustdoc links to.
            if link.contains("://") || link.contains("::") {
                continue;
            }
            followed += 1;
            let (path, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target = match path {
                "" => document.clone(),
                path => document.parent().unwrap().join(path),
            };
            let Ok(target) = target.canonicalize() else {
                broken.push(format!("{}: {link}", document.display()));
                continue;
            };
            if anchor.is_empty() || target.extension().is_none_or(|is| is != "md") {
                continue;
            }
            if !anchors(&fs::read_to_string(&target).unwrap()).contains(anchor) {
                broken.push(format!(
                    "{}: {link}: there is no such heading",
                    document.display()
                ));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
    assert!(followed > 50, "{followed}");
}

/// The packages, and the targets of each kind that each has.
fn packages() -> BTreeMap<String, BTreeSet<(String, String)>> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["metadata", "--no-deps", "--offline", "--format-version=1"]);
    let output = cargo.current_dir(root()).output().unwrap();
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    packages
        .iter()
        .map(|package| {
            let targets = package["targets"].as_array().unwrap().iter();
            let targets = targets.flat_map(|target| {
                let kinds = target["kind"].as_array().unwrap().iter();
                kinds.map(move |kind| (text(kind), text(&target["name"])))
            });
            (text(&package["name"]), targets.collect())
        })
        .collect()
}

/// The cargo commands of a document that build something of this workspace.
fn cargo_commands(text: &str) -> Vec<String> {
    text.match_indices("cargo ")
        .map(|(at, _)| text[at..].split(['`', '\n', '#', ')', ';']).next().unwrap())
        .filter(|command| command.contains(" -p ") || command.contains("--package "))
        .map(str::to_owned)
        .collect()
}

#[test]
fn cargo_commands_name_what_exists() {
    let packages = packages();
    let mut wrong = Vec::new();
    let mut seen = 0;
    for (document, text) in documents() {
        for command in cargo_commands(&text) {
            seen += 1;
            let words: Vec<_> = command.split_whitespace().collect();
            let after = |flag: &str| {
                let at = words.iter().position(|word| *word == flag)?;
                words.get(at + 1).map(|word| (*word).to_owned())
            };
            let name = after("-p").or_else(|| after("--package")).unwrap();
            let Some(targets) = packages.get(&name) else {
                wrong.push(format!(
                    "{}: {command}: no such package",
                    document.display()
                ));
                continue;
            };
            for kind in ["bin", "test", "bench", "example"] {
                let Some(target) = after(&format!("--{kind}")) else {
                    continue;
                };
                if !targets.contains(&(kind.to_owned(), target)) {
                    wrong.push(format!("{}: {command}: no such {kind}", document.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(seen > 10, "{seen}");
}
