//! Bodies of the fuzz targets. Each takes any bytes, must not panic, and holds what was read
//! against what is written from it. `cargo test` replays the seeds in `corpus/`.

use netlink_packet_core::Emitable;
use netlink_packet_generic::GenlFamily;

use crate::{Reply, Request, SaveLine, Timeouts, connection_changes, parse_connections};

/// A reply: the command, three bytes that are ignored, attributes.
pub fn reply(bytes: &[u8]) {
    let Some((&[command, ..], attributes)) = bytes.split_first_chunk::<4>() else {
        return;
    };
    let Ok(read) = Reply::decode(command, attributes) else {
        return;
    };
    assert_eq!(Reply::decode(read.command(), &emit(&read)), Ok(read));
}

/// A request, laid out the same way.
pub fn request(bytes: &[u8]) {
    let Some((&[command, ..], attributes)) = bytes.split_first_chunk::<4>() else {
        return;
    };
    let Ok(read) = Request::decode(command, attributes) else {
        return;
    };
    assert_eq!(Request::decode(read.command(), &emit(&read)), Ok(read));
}

/// `/proc/net/ip_vs_conn`: no reading differs from itself, and each entry is printed on a line.
pub fn connections(bytes: &[u8]) {
    let Ok(entries) = parse_connections(&String::from_utf8_lossy(bytes)) else {
        return;
    };
    assert_eq!(connection_changes(&entries, &entries), []);
    assert!(
        entries
            .iter()
            .all(|entry| !entry.to_string().contains('\n'))
    );
}

/// A line of `ipvsadm -S`.
pub fn save_line(bytes: &[u8]) {
    let Ok(line) = std::str::from_utf8(bytes) else {
        return;
    };
    let Ok(read) = line.parse::<SaveLine>() else {
        return;
    };
    let printed = read.to_string();
    // Printing leaves out settings without effect; once printed, nothing changes any more.
    assert_eq!(
        printed.parse::<SaveLine>().map(|again| again.to_string()),
        Ok(printed)
    );
}

/// The line of `ipvsadm -L --timeout`.
pub fn timeouts(bytes: &[u8]) {
    let Ok(line) = std::str::from_utf8(bytes) else {
        return;
    };
    let Ok(read) = line.parse::<Timeouts>() else {
        return;
    };
    assert_eq!(read.to_string().parse(), Ok(read));
}

/// The message in a buffer of just its length, which it must fill.
fn emit(message: &impl Emitable) -> Vec<u8> {
    let mut buffer = vec![0; message.buffer_len()];
    message.emit(&mut buffer);
    buffer
}

#[cfg(test)]
mod tests {
    use netlink_wire::seeds;

    use super::*;

    fn replay(name: &str, target: fn(&[u8])) {
        let folder = format!("{}/corpus/{name}", env!("CARGO_MANIFEST_DIR"));
        assert!(seeds::replay(folder, usize::MAX, target).unwrap() > 0);
    }

    #[test]
    fn replies() {
        replay("reply", reply);
    }

    #[test]
    fn connection_tables() {
        replay("connections", connections);
        // An entry twice.
        let table = include_str!("../tests/data/ip_vs_conn");
        connections([table, table].concat().as_bytes());
    }

    #[test]
    fn requests() {
        replay("request", request);
    }

    #[test]
    fn save_lines() {
        replay("save_line", save_line);
    }

    #[test]
    fn timeout_lines() {
        replay("timeouts", timeouts);
    }
}
