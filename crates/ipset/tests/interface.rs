//! `INTERFACE.md` names every command and attribute, and only tests that there are.
#![allow(missing_docs, reason = "a test")]
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::fs;
use std::path::Path;

const INTERFACE: &str = include_str!("../INTERFACE.md");
const UAPI: &str = include_str!("../src/uapi.rs");

#[test]
fn every_command_and_attribute_is_there() {
    let mut count = 0;
    for line in UAPI
        .lines()
        .filter_map(|line| line.strip_prefix("pub const "))
    {
        let name = line.split(':').next().unwrap();
        if name.starts_with("IPSET_CMD_") || name.starts_with("IPSET_ATTR_") {
            assert!(INTERFACE.contains(&format!("`{name}`")), "{name}");
            count += 1;
        }
    }
    assert!(count > 50, "{count}");
}

/// The text of all sources and tests.
fn sources(folder: &Path) -> String {
    let mut text = String::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            text.push_str(&sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text.push_str(&fs::read_to_string(path).unwrap());
        }
    }
    text
}

#[test]
fn every_test_named_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let sources = sources(&root.join("src")) + &sources(&root.join("tests"));
    let rows = INTERFACE.lines().filter(|line| line.starts_with("| "));
    let mut count = 0;
    for row in rows {
        let last = row
            .trim_end_matches(['|', ' '])
            .rsplit(" | ")
            .next()
            .unwrap();
        for name in last.split('`').skip(1).step_by(2) {
            let is_test = name.contains('_')
                && name
                    .chars()
                    .all(|c| c.is_ascii_lowercase() || c == '_' || c.is_ascii_digit());
            if is_test {
                assert!(sources.contains(&format!("fn {name}(")), "{name}");
                count += 1;
            }
        }
    }
    assert!(count > 50, "{count}");
}
