//! The bytes that nft 1.0.6 sent and received on Linux 6.18.44, in `tests/data/`: read, and written again.

use netlink_packet_core::Emitable;

use super::captured;
use super::*;
use crate::uapi::{NFT_MSG_NEWGEN, NFT_MSG_NEWRULE};

fn emitted(message: &impl Emitable) -> Vec<u8> {
    let mut buffer = vec![0; message.buffer_len()];
    message.emit(&mut buffer);
    buffer
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn what_nft_sends_is_written_byte_for_byte() {
    let (mut seen, mut different) = (0, 0);
    for (direction, message_type, flags, payload) in captured() {
        if direction != '>'
            || message_type >> 8 != 10
            || flags & 0xc00 == 0 && message_type != 0xa00
        {
            continue;
        }
        let Reply::New(item) = parse(message_type, &payload).unwrap() else {
            panic!("{message_type:x}");
        };
        let operation = Operation {
            verb: Verb::Add,
            item,
        };
        assert_eq!(operation.message_type(), message_type);
        // nft sends no NLM_F_CREATE for the table of a file that it loads.
        if message_type != 0xa00 {
            assert_eq!(operation.flags(), flags & !1, "{operation}");
        }
        let bytes = emitted(&operation);
        // nft leaves the operation of a bitwise out in one place, and the NUL behind an object's name.
        let text = format!("{operation:?}");
        if hex(&bytes) != hex(&payload) && (text.contains("Bitwise") || text.contains("Objref")) {
            assert_eq!(parse(message_type, &bytes), Ok(Reply::New(operation.item)));
            different += 1;
            continue;
        }
        assert_eq!(hex(&bytes), hex(&payload), "{operation:?}");
        seen += 1;
    }
    assert!(seen >= 50 && different < 8, "{seen} {different}");
}

#[test]
fn what_the_kernel_lists_survives_being_written() {
    let mut rules = 0;
    for (direction, message_type, _, payload) in captured() {
        if direction != '<' {
            continue;
        }
        match parse(message_type, &payload).unwrap() {
            Reply::New(item) => {
                let text = format!("{item:?}");
                // Nothing of what this kernel sends is unknown.
                assert!(
                    !text.contains("RawAttribute") && !text.contains("Other("),
                    "{text}"
                );
                let bytes = emitted(&item);
                assert_eq!(item.message_type(), message_type);
                assert_eq!(parse(message_type, &bytes), Ok(Reply::New(item)));
                rules += usize::from(message_type & 0xff == NFT_MSG_NEWRULE);
            }
            Reply::Generation(generation) => {
                assert_eq!(message_type & 0xff, NFT_MSG_NEWGEN);
                assert_eq!(generation.process.unwrap(), "nft");
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(rules > 20, "{rules}");
}
