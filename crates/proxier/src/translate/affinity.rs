//! Session affinity over all listed ports of a Service, in the layouts of ipvs mode.
//!
//! IPVS remembers a client's endpoint for each virtual server, so ports that are to have one choice have one virtual server:
//! that of the Service's ranges of ports. A port joins it where its endpoints are those of the Service and have the port's
//! own number, since IPVS translates no ports for a persistent virtual server by mark (`ip_vs_sched_persist` in
//! net/netfilter/ipvs/ip_vs_core.c). The virtual server at its address stays, for connections that it had before.

use std::num::NonZeroU32;

use super::endpoints::Endpoints;
use super::forwarding;
use super::ranges::{Ranges, chosen};
use crate::cluster::{AffinityScope, Family, PortRange, Service, ServicePort};
use crate::conflict::NotShared;
use crate::layout::Layout;
use crate::layout::nftables::{AddressPort, Element, RangeServer};

/// Whether the ports of a Service are to have one choice of an endpoint for each client.
pub(super) fn is_asked(layout: Layout, service: &Service) -> bool {
    let scope = service.options.as_deref().and_then(|all| all.affinity);
    scope == Some(AffinityScope::AllPorts)
        && service.affinity_seconds.is_some()
        && !is_direct(layout, service)
}

/// Whether packets to any address of a Service are forwarded other than by masquerading: each port has a virtual server by
/// mark for them. Other layouts than `nftables` forward in no other way.
pub(super) fn is_direct(layout: Layout, service: &Service) -> bool {
    let has_address = |family| forwarding::has_address(service, family);
    layout == Layout::Nftables
        && forwarding::asked(service).is_some()
        && Family::ALL.into_iter().any(has_address)
}

/// The marks that packets to a port get which has joined the ranges of its Service.
#[derive(Clone, Copy)]
pub(super) struct SharedMarks {
    /// At the cluster IP.
    pub(super) inside: NonZeroU32,
    /// At external IPs and load balancer addresses, where there are any.
    pub(super) outside: Option<NonZeroU32>,
}

impl SharedMarks {
    /// By which packets to the port at an address get this one of the marks.
    pub(super) const fn elements(at: AddressPort, mark: NonZeroU32) -> [Element; 2] {
        [
            Element::PortMark(at, mark.get()),
            Element::RangeAddress(at.address),
        ]
    }
}

impl Ranges<'_> {
    /// Has a listed port with these endpoints served together with the ranges, as its Service asks for; `None` if it does
    /// not.
    pub(super) fn join(
        &mut self,
        port: &ServicePort,
        endpoints: &Endpoints,
    ) -> Option<Result<SharedMarks, NotShared>> {
        if !is_asked(self.layout, self.service) {
            return None;
        }
        if let Some(why) = self.differing(port.port.get(), endpoints) {
            return Some(Err(why));
        }
        let mark = |server| self.marks.get(&server).copied();
        let marks = mark(self.inside()).filter(|_| self.has_all_marks());
        let Some(inside) = marks else {
            return Some(Err(NotShared::NoMark));
        };
        let outside = mark(RangeServer::Cluster);
        self.joined
            .extend(PortRange::new(port.protocol, port.port, port.port));
        Some(Ok(SharedMarks { inside, outside }))
    }

    /// How the endpoints of a port differ from those of the Service with that port.
    fn differing(&self, number: u16, endpoints: &Endpoints) -> Option<NotShared> {
        self.servers.iter().find_map(|server| {
            let (all, own) = (chosen(&self.endpoints, *server), chosen(endpoints, *server));
            let ports = own.iter().map(|destination| destination.id.port);
            let other = ports.into_iter().find(|port| *port != number);
            let alike = all.iter().map(|one| (one.id.address, one.config));
            let is_alike = alike.eq(own.iter().map(|one| (one.id.address, one.config)));
            let others = (!is_alike).then_some(NotShared::Endpoints);
            other.map(NotShared::TargetPort).or(others)
        })
    }
}
