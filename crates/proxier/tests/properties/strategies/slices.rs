//! EndpointSlices.

use std::num::NonZeroU16;
use std::sync::Arc;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use proxier::cluster::{Endpoint, EndpointPort, EndpointSlice, Family, Hints, ObjectName};

use super::{protocol, v4, v6};

pub(crate) fn any_slice() -> impl Strategy<Value = EndpointSlice> {
    (0..8u8).prop_flat_map(slice)
}

pub(super) fn slice(name: u8) -> impl Strategy<Value = EndpointSlice> {
    let port = (
        select(vec!["", "b", "c"]),
        protocol(),
        // What is not masqueraded, and ports that are served together, need a Service's own port.
        select(vec![8080u16, 8081, 80, 80]),
    );
    let weight = option::weighted(0.3, 0..3u16);
    let all = (
        0..5u8,
        select(Family::ALL.to_vec()),
        vec(port, 0..3),
        weight,
    );
    all.prop_flat_map(move |(service, family, ports, weight)| {
        vec(endpoint(family), 0..5).prop_map(move |endpoints| {
            let object = ObjectName::new("default", format!("e{name}"));
            let ports = ports.iter().map(|(name, protocol, port)| {
                EndpointPort::new(*name, *protocol, NonZeroU16::new(*port).unwrap())
            });
            let mut slice = EndpointSlice::new(object, format!("s{service}"), family)
                .with_ports(ports.collect::<Vec<_>>())
                .with_endpoints(endpoints);
            slice.weight = weight;
            slice
        })
    })
}

fn endpoint(family: Family) -> impl Strategy<Value = Endpoint> {
    let names = |all: &[&str]| {
        let all: Vec<Box<str>> = all.iter().map(|name| (*name).into()).collect();
        subsequence(all, 0..=1)
    };
    (
        // The last two are addresses that Services bind.
        1..9u8,
        (
            proptest::bool::weighted(0.7),
            any::<bool>(),
            proptest::bool::weighted(0.3),
        ),
        option::of(select(vec!["node-a", "node-b"])),
        names(&["node-a", "node-b"]),
        names(&["zone-a", "zone-b"]),
    )
        .prop_map(
            move |(last, (ready, serving, terminating), node, nodes, zones)| {
                let mut endpoint = Endpoint::ready(match (family, last) {
                    (Family::V4, 7) => v4([203, 0, 113], 1),
                    (Family::V4, 8) => v4([198, 51, 100], 2),
                    (Family::V4, _) => v4([10, 244, 0], last),
                    (Family::V6, 7 | 8) => v6(4, 1),
                    (Family::V6, _) => v6(2, last.into()),
                });
                endpoint.ready = ready;
                endpoint.serving = serving;
                endpoint.terminating = terminating;
                endpoint.node = node.map(Into::into);
                endpoint.hints = Some(Hints::new(nodes, zones))
                    .filter(|hints| *hints != Hints::default())
                    .map(Arc::new);
                endpoint
            },
        )
}
