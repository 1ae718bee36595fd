//! Bodies of the fuzz targets. Each takes any bytes, must not panic, and holds what was read
//! against what is written from it. `cargo test` replays the seeds in `corpus/`.

use netlink_packet_core::Emitable;

use crate::message::{Request, parse_flow};
use crate::{Flow, Target};

/// A flow: what follows the netlink header.
pub fn reply(bytes: &[u8]) {
    let Ok(flow) = parse_flow(bytes) else {
        return;
    };
    assert_eq!(parse_flow(&emitted(&flow)), Ok(flow));
    // Deleting it says the same, but for where it was sent.
    let mut request = emitted(&Request::Delete(Target::from(&flow)));
    let reply = emitted(&Flow::new(flow.original, flow.reply));
    let tuple = emitted(&Request::Delete(flow.original.into())).len();
    request.extend(reply.get(tuple..).unwrap_or_default());
    assert_eq!(parse_flow(&request), Ok(flow));
}

fn emitted(message: &impl Emitable) -> Vec<u8> {
    let mut buffer = vec![0; message.buffer_len()];
    message.emit(&mut buffer);
    buffer
}
