//! Replies that are not as they should be, or not as today's kernels send them.

use crate::Reply;
use crate::message::tests::{exchange, nest};

/// A captured reply with the attribute at `path` (positions in nest after nest) given another value.
fn with_value(captured: &[u8], path: &[usize], value: &[u8]) -> Vec<u8> {
    let Some((first, rest)) = path.split_first() else {
        return value.to_vec();
    };
    let mut out = Vec::new();
    for (index, attribute) in netlink_wire::attributes(captured).enumerate() {
        let attribute = attribute.unwrap();
        let value = match index == *first {
            true => with_value(attribute.value(), rest, value),
            false => attribute.value().to_vec(),
        };
        out.extend(u16::try_from(value.len() + 4).unwrap().to_ne_bytes());
        out.extend(attribute.kind().to_ne_bytes());
        out.extend(&value);
        out.resize(out.len().next_multiple_of(4), 0);
    }
    out
}

#[test]
fn errors_name_the_attribute_at_fault() {
    let dump = exchange("ipvsadm -Ln").replies;
    let service = dump.iter().find(|reply| reply[0] == 1).unwrap();
    let destination = dump.iter().find(|reply| reply[0] == 5).unwrap();
    // Changed from captured bytes: which attribute, by position, to what.
    for (captured, path, value, expected) in [
        (
            service,
            &[0, 0][..],
            &[9, 0][..],
            "IPVS_SVC_ATTR_AF: the value 9 is unknown",
        ),
        (
            service,
            &[0, 3],
            &[0],
            "IPVS_SVC_ATTR_PORT: the value has 1 bytes, expected 2",
        ),
        (
            service,
            &[0, 4],
            b"r r\0",
            "IPVS_SVC_ATTR_SCHED_NAME: the value is not a name of 1 to 15 bytes without blanks",
        ),
        (
            service,
            &[0, 4],
            b"\0",
            "IPVS_SVC_ATTR_SCHED_NAME: the attribute is missing",
        ),
        (
            service,
            &[0, 10, 0],
            &[0; 5],
            "IPVS_STATS_ATTR_CONNS: the value has 5 bytes, expected 8",
        ),
        (
            destination,
            &[0, 2],
            &[7, 0, 0, 0],
            "IPVS_DEST_ATTR_FWD_METHOD: the value 7 is unknown",
        ),
        (
            destination,
            &[0, 0],
            &[1; 5],
            "IPVS_DEST_ATTR_ADDR: the value has 5 bytes, expected 16",
        ),
        (
            destination,
            &[0],
            &[],
            "IPVS_DEST_ATTR_FWD_METHOD: the attribute is missing",
        ),
        (
            destination,
            &[0],
            &[9, 0, 2, 0],
            "IPVS_DEST_ATTR_PORT: the stated length is 9 bytes, 4 are left",
        ),
    ] {
        let changed = with_value(&captured[4..], path, value);
        let error = Reply::decode(captured[0], &changed).unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
    let error = Reply::decode(1, &[]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "IPVS_CMD_ATTR_SERVICE: the attribute is missing"
    );
    let error = Reply::decode(99, &[]).unwrap_err();
    assert_eq!(error.to_string(), "IPVS_CMD_*: the value 99 is unknown");
}

#[test]
fn attributes_of_newer_kernels_are_passed_over() {
    let captured = &exchange("ipvsadm -Ln").replies[0];
    let mut nested = nest(&captured[4..], 0).to_vec();
    nested.extend([8, 0, 200, 0, 1, 2, 3, 4]);
    let changed = with_value(&captured[4..], &[0], &nested);
    assert_eq!(
        Reply::decode(captured[0], &changed),
        Reply::decode(captured[0], &captured[4..])
    );
}

#[test]
fn replies_of_old_kernels_read_too() {
    // Synthetic: what Linux 2.6.28 to 3.17 sent of a destination, 32-bit statistics and no family.
    let mut captured = exchange("ipvsadm -Ln").replies;
    captured.retain(|reply| reply[0] == 5);
    let families: Vec<_> = captured
        .iter()
        .map(|reply| {
            let old = netlink_wire::attributes(nest(&reply[4..], 0)).map(Result::unwrap);
            let kept =
                old.filter(|attribute| attribute.kind() <= crate::uapi::IPVS_DEST_ATTR_STATS);
            let nested: Vec<u8> = kept
                .flat_map(|attribute| {
                    let length = u16::try_from(attribute.value().len() + 4).unwrap();
                    let mut bytes = length.to_ne_bytes().to_vec();
                    bytes.extend(attribute.kind().to_ne_bytes());
                    bytes.extend(attribute.value());
                    bytes.resize(bytes.len().next_multiple_of(4), 0);
                    bytes
                })
                .collect();
            let changed = with_value(&reply[4..], &[0], &nested);
            let (Reply::Destination(old), Reply::Destination(new)) = (
                Reply::decode(5, &changed).unwrap(),
                Reply::decode(5, &reply[4..]).unwrap(),
            ) else {
                unreachable!()
            };
            assert_eq!(
                (old.destination.id, old.statistics),
                (new.destination.id, new.statistics)
            );
            crate::Family::of(old.destination.id.address)
        })
        .collect();
    assert!(families.contains(&crate::Family::V4) && families.contains(&crate::Family::V6));
}
