//! Masquerading on or off for one Service, and by which address: set members that say what differs from the configuration.

use std::net::IpAddr;

use ipset_netlink::Entry;
use ipvs_netlink::VirtualServerId;

use super::claim::Claim;
use crate::cluster::{Family, Host, Masquerading, Service};
use crate::layout::SetId;
use crate::layout::nftables::{AddressPort, Element, NodePort};

/// Of a claim, in layouts with ipset.
pub(super) fn entry(service: &Service, claim: &Claim) -> Option<(SetId, Entry)> {
    let set = match service.masquerading() {
        Masquerading::Never => SetId::SourceKept,
        Masquerading::Always if claim.cluster_ip => SetId::Masqueraded,
        Masquerading::Always | Masquerading::Default => return None,
    };
    match claim.id {
        VirtualServerId::Address {
            protocol,
            address,
            port,
        } => Some((set, Entry::ip_port(address, protocol, port))),
        VirtualServerId::FirewallMark { .. } => None,
    }
}

/// Of a port of the cluster IP, in layout `nftables`.
pub(super) fn of_cluster_ip(service: &Service, at: AddressPort) -> Option<Element> {
    match service.masquerading() {
        Masquerading::Default => None,
        Masquerading::Never => Some(Element::SourceKept(at)),
        Masquerading::Always => Some(Element::Masqueraded(at)),
    }
}

/// Of a port of an external IP or load balancer address, which is masqueraded but for the policy `Local`.
pub(super) fn of_outside_address(service: &Service, at: AddressPort) -> Option<Element> {
    keeps_source(service).then_some(Element::SourceKept(at))
}

/// The same of a node port.
pub(super) fn of_node_port(service: &Service, at: NodePort) -> Option<Element> {
    keeps_source(service).then_some(Element::NodePortSourceKept(at))
}

/// Of ranges of ports, by the mark of a virtual server for everybody.
pub(super) fn of_ranges(service: &Service, mark: u32) -> Option<Element> {
    match service.masquerading() {
        Masquerading::Default => None,
        Masquerading::Never => Some(Element::RangeSourceKept(mark)),
        Masquerading::Always => Some(Element::RangeMasqueraded(mark)),
    }
}

/// The address of the node that a Service chooses as the source of what is masqueraded. One that the node has not is never
/// used: answers would not come back.
pub(super) fn address(service: &Service, host: &Host, family: Family) -> Option<IpAddr> {
    let networks = service.masquerade_networks();
    (!networks.is_empty()).then(|| host.address_in(networks, family))?
}

fn keeps_source(service: &Service) -> bool {
    service.masquerading() == Masquerading::Never
}
