//! The seeds of the fuzz targets, replayed. See `corpus/README.md` for where they come from.
#![allow(missing_docs, reason = "a test")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

use std::fs;
use std::path::PathBuf;

use ipset_netlink::fuzz;

/// Runs every seed through `body`, also cut short and with each byte changed.
fn replay(folder: &str, body: fn(&[u8])) {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("corpus")
        .join(folder);
    let mut seeds = 0;
    for file in fs::read_dir(folder).unwrap() {
        let mut bytes = fs::read(file.unwrap().path()).unwrap();
        body(&bytes);
        for end in 0..bytes.len() {
            body(&bytes[..end]);
        }
        for at in 0..bytes.len() {
            for value in [0, 0xff, bytes[at] ^ 1] {
                let old = std::mem::replace(&mut bytes[at], value);
                body(&bytes);
                bytes[at] = old;
            }
        }
        seeds += 1;
    }
    assert!(seeds > 0);
}

#[test]
fn replies() {
    replay("reply", fuzz::reply);
}

#[test]
fn entries() {
    replay("entry", fuzz::entry);
}

#[test]
fn saved_text() {
    replay("save", fuzz::save);
}

#[test]
fn entries_as_text() {
    replay("entry_text", fuzz::entry_text);
}
