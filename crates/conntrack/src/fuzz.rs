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
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn replies() {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("corpus/reply");
        let mut seeds = 0;
        for file in fs::read_dir(folder).unwrap() {
            let mut bytes = fs::read(file.unwrap().path()).unwrap();
            assert!(parse_flow(&bytes).is_ok());
            for end in 0..=bytes.len() {
                reply(&bytes[..end]);
            }
            for at in 0..bytes.len() {
                for value in [0, 0xff, bytes[at] ^ 1] {
                    let old = std::mem::replace(&mut bytes[at], value);
                    reply(&bytes);
                    bytes[at] = old;
                }
            }
            seeds += 1;
        }
        assert!(seeds > 0);
    }
}
