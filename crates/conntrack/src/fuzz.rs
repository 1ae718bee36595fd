//! Bodies of the fuzz targets (feature `fuzz`). The tests here replay the seeds in `corpus/`.
//!
//! They change with the crate and follow no version.

use netlink_packet_core::Emitable;

use crate::message::{Request, parse_flow};
use crate::{Flow, FlowKey};

/// A flow, which is what follows the netlink header: what is read from it is written again the same.
///
/// # Panics
/// If it is not.
pub fn reply(bytes: &[u8]) {
    let Ok(flow) = parse_flow(bytes) else {
        return;
    };
    assert_eq!(parse_flow(&emitted(&flow)), Ok(flow));
    // A request to delete it has the same attributes but the reply.
    let mut request = emitted(&Request::Delete(flow.key()));
    let reply = emitted(&Flow::new(flow.original, flow.reply));
    let tuple = emitted(&Request::Delete(FlowKey::new(flow.original))).len();
    request.extend(reply.get(tuple..).unwrap_or_default());
    assert_eq!(parse_flow(&request), Ok(flow));
}

fn emitted(message: &impl Emitable) -> Vec<u8> {
    let mut buffer = vec![0; message.buffer_len()];
    message.emit(&mut buffer);
    buffer
}

#[cfg(test)]
mod tests {
    use std::fs;

    use netlink_wire::seeds;

    use super::*;

    #[test]
    fn replies() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/corpus/reply");
        for file in fs::read_dir(folder).unwrap() {
            assert!(parse_flow(&fs::read(file.unwrap().path()).unwrap()).is_ok());
        }
        let seeds = seeds::replay(folder, usize::MAX, reply).unwrap();
        assert!(seeds > 0);
    }
}
