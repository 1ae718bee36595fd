//! IPVS messages for a whole cluster, written and read, beside other crates and floors.

use std::hint::black_box;

use benches::{dump, requests};
use ipvs_netlink::Reply;
use netlink_batch::{Batch, messages};

use crate::figures::{Figures, median};
use crate::{ENDPOINTS, Effort, peers};

pub(crate) const ENCODE: &str = "encode: `ipvs-netlink`";
pub(crate) const ENCODE_NLRS: &str = "encode: nlrs";
pub(crate) const ENCODE_PACKET: &str = "encode: netlink-packet-ipvs";
pub(crate) const COPY: &str = "encode: the bytes copied, no more";
pub(crate) const DECODE: &str = "decode: `ipvs-netlink`";
pub(crate) const WALK: &str = "decode: attributes looked at, no more";

/// Destinations in what one read of a socket might give.
const AT_ONCE: u32 = 100;

/// Measures all of it at one size. A request for each virtual server and each destination, into a buffer that
/// is used again for every Service; a reply for each destination, from a buffer that stays in the cache.
pub(crate) fn measure(figures: &mut Figures, services: u32, effort: Effort) {
    let rounds = effort.rounds(services);
    let (service, destination) = (requests::new_service(), requests::new_destination());
    let mut batch = Batch::new();
    let mut encode = || {
        batch.clear();
        requests::push(&mut batch, black_box(&service));
        (0..ENDPOINTS).for_each(|_| requests::push(&mut batch, black_box(&destination)));
        black_box(&mut batch).byte_len()
    };
    let bytes = vec![1_u8; encode()];
    let mut note = |name, work: &mut dyn FnMut()| {
        let all = |()| (0..services).for_each(|_| work());
        figures.note(name, services, median(rounds, || (), all));
    };
    note(ENCODE, &mut || {
        encode();
    });
    let mut buffer = Vec::new();
    note(ENCODE_NLRS, &mut || {
        peers::nlrs_service(black_box(&mut buffer));
        (0..ENDPOINTS).for_each(|_| peers::nlrs_destination(black_box(&mut buffer)));
    });
    let (service, destination) = peers::packet_ipvs_values();
    note(ENCODE_PACKET, &mut || {
        black_box(peers::packet_ipvs_service(black_box(&service)));
        for _ in 0..ENDPOINTS {
            let message =
                peers::packet_ipvs_destination(black_box(&service), black_box(&destination));
            black_box(message);
        }
    });
    let mut copy = Vec::new();
    note(COPY, &mut || {
        copy.clear();
        copy.extend_from_slice(black_box(&bytes));
        black_box(&mut copy);
    });

    let dump = dump::some_destinations(AT_ONCE);
    let mut note = |name, work: &mut dyn FnMut()| {
        let all = |()| (0..services * ENDPOINTS / AT_ONCE).for_each(|_| work());
        figures.note(name, services, median(rounds, || (), all));
    };
    note(DECODE, &mut || decode(black_box(&dump)));
    note(WALK, &mut || {
        black_box(dump::walk(black_box(&dump)));
    });
}

fn decode(dump: &[u8]) {
    let mut count = 0;
    for message in messages(dump) {
        let message = message.expect("a message");
        let (header, attributes) = message.payload.split_at(4);
        let command = header.first().copied().unwrap_or_default();
        black_box(Reply::decode(command, attributes).expect("a reply"));
        count += 1;
    }
    assert_eq!(count, AT_ONCE);
}
