//! Ranges of ports of a Service, in the layouts with ipset.
//!
//! They have the virtual servers that [`ranges`](super::ranges) describes, and a rule for each range at each address sets the
//! mark. Who sends a packet does not matter here: at an address the policy is the same for all, as it is for listed ports.

use std::net::IpAddr;
use std::num::{NonZeroU16, NonZeroU32};

use ipnetwork::IpNetwork;
use ipvs_netlink::VirtualServerId;

use super::claim::{Claim, Extra, ServiceClaims};
use super::claims::Context;
use super::ranges::Ranges;
use crate::cluster::{Family, Masquerading, PortRange, Service, TrafficPolicy};
use crate::layout::nftables::{AddressRange, RangeServer};
use crate::layout::{Layout, MarkedRange, Masqueraded, RangeRule};

/// The virtual server of the ranges at an address.
pub(super) fn server_at(layout: Layout, service: &Service, address: IpAddr) -> RangeServer {
    if service.cluster_ips.contains(&address) {
        return match service.internal_policy {
            TrafficPolicy::Local => RangeServer::Internal,
            TrafficPolicy::Cluster => RangeServer::Cluster,
        };
    }
    let heeded =
        layout.external_policy_for_external_ips() || service.load_balancer_ips.contains(&address);
    if heeded && service.external_local() {
        RangeServer::Local
    } else {
        RangeServer::Cluster
    }
}

/// The addresses of a Service that ranges are served at.
pub(super) fn addresses(service: &Service, family: Family) -> impl Iterator<Item = IpAddr> {
    let cluster_ip = service.cluster_ip(family).into_iter();
    cluster_ip.chain(service.outside_addresses(family))
}

impl Context<'_> {
    /// What the ranges of a Service want.
    pub(super) fn marked_ranges(&self, ranges: &Ranges<'_>, all: &mut ServiceClaims) {
        let service = ranges.service;
        if service.port_ranges().is_empty() && ranges.joined.is_empty() {
            return;
        }
        for address in addresses(service, self.family) {
            self.marked_ranges_at(address, ranges, all);
        }
        for mark in ranges.marks.values() {
            let here = ranges.endpoints.on_this_node();
            let hairpins = here.map(|(endpoint, _)| RangeRule::Hairpin(*mark, endpoint));
            all.ranges.extend(hairpins);
        }
        all.claims.extend(self.claims_of_ranges(ranges));
    }

    fn marked_ranges_at(&self, address: IpAddr, ranges: &Ranges<'_>, all: &mut ServiceClaims) {
        let service = ranges.service;
        let mark = ranges.mark_at(address);
        for &ports in service.port_ranges() {
            let at = AddressRange { address, ports };
            match (self.holder_of_range(service, at, mark), mark) {
                (Some(holder), _) => all
                    .refused
                    .push(super::ranges::conflict(service, at, holder)),
                (None, Some(mark)) => {
                    let marked = self.marked_range(service, at, mark);
                    all.ranges.push(RangeRule::Marked(marked));
                }
                (None, None) => {}
            }
        }
    }

    fn marked_range(&self, service: &Service, at: AddressRange, mark: NonZeroU32) -> MarkedRange {
        let address = at.address;
        let balanced = service.load_balancer_ips.contains(&address);
        let mut clients = balanced.then(|| self.firewall(service)).flatten();
        if let Some(clients) = &mut clients {
            // What the node itself sends to one of its addresses has that address as its source.
            let own = self.node_is_in(&self.source_ranges(service));
            clients.extend(own.then_some(IpNetwork::from(address)));
        }
        MarkedRange {
            at,
            mark,
            masqueraded: self.masqueraded(service, address),
            clients,
            has_node_ports: self.node_ports.contains(&address),
            is_listed: false,
        }
    }

    /// Has packets to a listed port at the address of a claim go to the virtual server of the ranges, which the port has joined.
    pub(super) fn mark_listed(&self, ranges: &Ranges<'_>, claim: &mut Claim) {
        let VirtualServerId::Address {
            protocol,
            address,
            port,
        } = claim.id
        else {
            return;
        };
        let ports = NonZeroU16::new(port).and_then(|port| PortRange::new(protocol, port, port));
        let Some((ports, mark)) = ports.zip(ranges.mark_at(address)) else {
            return;
        };
        let at = AddressRange { address, ports };
        // Whoever may not use the address is dropped by the rule that marks what the others send.
        claim.extra = Some(Box::new(Extra::Marked(MarkedRange {
            is_listed: true,
            ..self.marked_range(ranges.service, at, mark)
        })));
    }

    /// Whose packets to an address are masqueraded, as they are for a listed port.
    fn masqueraded(&self, service: &Service, address: IpAddr) -> Masqueraded {
        let cluster_ip = service.cluster_ips.contains(&address);
        let server = server_at(self.config.layout, service, address);
        match (service.masquerading(), server) {
            (_, RangeServer::Local) => Masqueraded::Nobody,
            (Masquerading::Never, _) => Masqueraded::Node,
            (Masquerading::Default, _) if cluster_ip => Masqueraded::Others,
            (Masquerading::Default | Masquerading::Always, _) => Masqueraded::Everybody,
        }
    }
}

impl Ranges<'_> {
    /// The mark of the virtual server at an address, in layouts with ipset.
    fn mark_at(&self, address: IpAddr) -> Option<NonZeroU32> {
        let server = server_at(self.layout, self.service, address);
        self.marks.get(&server).copied()
    }
}
