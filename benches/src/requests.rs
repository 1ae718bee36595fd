//! Two requests, and how a client writes them.

use ipvs_netlink::{
    Destination, DestinationConfig, Protocol, Request, Scheduler, VirtualServerConfig,
    VirtualServerId, uapi::IPVS_GENL_VERSION,
};
use netlink_batch::{Batch, Header, Prefixed};
use netlink_packet_generic::GenlFamily as _;

/// The number that the kernel might give the family.
const FAMILY: u16 = 30;

fn id() -> VirtualServerId {
    VirtualServerId::Address {
        protocol: Protocol::TCP,
        address: [10, 0, 0, 1].into(),
        port: 80,
    }
}

/// Adds a virtual server.
#[must_use]
pub fn new_service() -> Request {
    Request::NewService {
        id: id(),
        config: VirtualServerConfig::new(Scheduler::RR),
    }
}

/// Adds a destination.
#[must_use]
pub fn new_destination() -> Request {
    Request::NewDestination {
        service: id(),
        destination: Destination {
            id: ([10, 1, 0, 1], 8080).into(),
            config: DestinationConfig::masquerade(1),
        },
    }
}

/// Writes a request into a batch as [`ipvs_netlink::Client`] does.
pub fn push(batch: &mut Batch, request: &Request) {
    let prefix = [request.command(), IPVS_GENL_VERSION, 0, 0];
    let payload = request;
    batch.push(Header::new(FAMILY), &Prefixed { prefix, payload });
}
