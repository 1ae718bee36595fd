//! Who may use the load balancer addresses of a Service.

use std::net::IpAddr;

use ipnetwork::IpNetwork;
use ipset_netlink::Entry;
use ipvs_netlink::Protocol;

use super::claim::{Claim, Extra};
use super::claims::Context;
use super::node_ports::loopback;
use crate::cluster::{Family, Service};
use crate::layout::{SetId, SourceRangeDrop};

impl Context<'_> {
    /// The set members of a load balancer address, and what keeps the node itself out where its clients do not have it.
    pub(super) fn load_balancer_entries(
        &self,
        service: &Service,
        ip: IpAddr,
        protocol: Protocol,
        port: u16,
        claim: &mut Claim,
    ) {
        let entry = Entry::ip_port(ip, protocol, port);
        claim.entries.push((SetId::LoadBalancer, entry.clone()));
        if service.external_local() {
            claim
                .entries
                .push((SetId::LoadBalancerLocal, entry.clone()));
        }
        let ranges = self.source_ranges(service);
        if ranges.is_empty() && !service.closed_families.contains(&self.family) {
            return;
        }
        claim.entries.push((SetId::LoadBalancerFw, entry));
        claim.entries.extend(ranges.iter().map(|range| {
            (
                SetId::LoadBalancerSourceCidr,
                Entry::ip_port_net(ip, protocol, port, *range),
            )
        }));
        if self.node_is_in(&ranges) {
            claim.entries.push((
                SetId::LoadBalancerSourceIp,
                Entry::ip_port_ip(ip, protocol, port, ip),
            ));
        } else {
            let drop = SourceRangeDrop {
                address: ip,
                protocol,
                port,
            };
            claim.extra = Some(Box::new(Extra::Drop(drop)));
        }
    }

    /// Whether one of these networks has the node's own address.
    pub(super) fn node_is_in(&self, ranges: &[IpNetwork]) -> bool {
        let node = self.node.and_then(|node| node.address(self.family));
        let node = node.unwrap_or(loopback(self.family));
        ranges.iter().any(|range| range.contains(node))
    }

    /// The ranges in force: none means that everybody may come. A range of length 0 means the same, and
    /// no set could hold it.
    pub(crate) fn source_ranges(&self, service: &Service) -> Vec<IpNetwork> {
        let own = || {
            service
                .source_ranges
                .iter()
                .filter(|r| Family::of(r.ip()) == self.family)
        };
        if own().any(|range| range.prefix() == 0) {
            return Vec::new();
        }
        own()
            .filter_map(|r| IpNetwork::new(r.network(), r.prefix()).ok())
            .collect()
    }
}
