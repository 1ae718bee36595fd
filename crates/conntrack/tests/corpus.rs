//! The seeds of the fuzz target, replayed. See `corpus/README.md` for where they come from.
#![allow(missing_docs, reason = "a test")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

use std::fs;
use std::path::PathBuf;

use conntrack_netlink::{fuzz, message};

#[test]
fn replies() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("corpus/reply");
    let mut seeds = 0;
    for file in fs::read_dir(folder).unwrap() {
        let mut bytes = fs::read(file.unwrap().path()).unwrap();
        assert!(message::parse_flow(&bytes).is_ok());
        for end in 0..=bytes.len() {
            fuzz::reply(&bytes[..end]);
        }
        for at in 0..bytes.len() {
            for value in [0, 0xff, bytes[at] ^ 1] {
                let old = std::mem::replace(&mut bytes[at], value);
                fuzz::reply(&bytes);
                bytes[at] = old;
            }
        }
        seeds += 1;
    }
    assert!(seeds > 0);
}
