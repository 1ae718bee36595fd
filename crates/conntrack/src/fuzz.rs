//! Bodies of the fuzz targets (feature `fuzz`). The tests here replay the seeds in `corpus/`.
//!
//! They change with the crate and follow no version.

use netlink_packet_core::Emitable;

use crate::message::{FLOW, FLOW_GONE, Request, parse_event, parse_flow};
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
    let mut identity = Flow::new(flow.original, flow.reply);
    (identity.zone, identity.id) = (flow.zone, flow.id);
    assert_eq!(parse_flow(&request), Ok(identity));
    // Both forms of it can be printed, and it is the flow of an event.
    let shown = [format!("{flow}"), format!("{flow:#}")];
    assert!(!shown.iter().any(|line| line.contains('\n')));
    for message_type in [FLOW, FLOW_GONE] {
        let event = parse_event(message_type, 0, bytes);
        let event = event.ok().flatten().map(|event| *event.flow());
        assert_eq!(event, Some(flow));
    }
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
