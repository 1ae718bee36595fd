//! Replays the seeds of the fuzz targets.

use std::path::PathBuf;

fn replay(target: &str, body: fn(&[u8])) -> std::io::Result<usize> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("corpus")
        .join(target);
    let mut count = 0;
    for entry in std::fs::read_dir(folder)? {
        body(&std::fs::read(entry?.path())?);
        count += 1;
    }
    Ok(count)
}

#[test]
fn save_text() {
    assert!(replay("save_text", iptables_restore::fuzz::save_text).unwrap() > 10);
}

#[test]
fn tool_message() {
    assert!(replay("tool_message", iptables_restore::fuzz::tool_message).unwrap() > 10);
}
