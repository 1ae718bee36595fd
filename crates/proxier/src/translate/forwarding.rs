//! Direct return: packets from outside reach an endpoint as they are, and it answers the client itself.
//!
//! Only layout `nftables` can do it. There a Service's addresses are on no link, so that a node forwards answers that come
//! from them. Packets from outside have a virtual server of their own, by mark, and what pods and the node itself send
//! goes to that of the address, as ever. In the layouts that bind addresses, a node drops such answers, since their
//! source is an address of its own, and its own connections come from the Service's address, so that no endpoint could
//! answer them.

use std::num::NonZeroU32;
use std::sync::Arc;

use ipvs_netlink::Destination;

use super::claims::Context;
use super::endpoints::Endpoints;
use super::grants::mark_key;
use crate::cluster::{Family, Forwarding, Service, ServicePort};
use crate::conflict::NotForwarded;
use crate::layout::nftables::MarkFor;

/// How packets from outside to the addresses of a port get to its endpoints.
#[derive(Clone, Copy)]
pub(super) struct Direct {
    pub(super) mark: NonZeroU32,
    pub(super) forwarding: Forwarding,
}

/// The forwarding that a Service asks for, other than masquerading.
pub(super) fn asked(service: &Service) -> Option<Forwarding> {
    service.options.as_deref()?.direct_return()
}

/// Whether a Service has an address that direct return is for.
pub(super) fn has_address(service: &Service, family: Family) -> bool {
    service.outside_addresses(family).next().is_some()
}

impl Context<'_> {
    /// How a port is forwarded from outside; `None` where nobody asks for anything but masquerading.
    pub(super) fn direct(
        &self,
        service: &Service,
        port: &ServicePort,
        endpoints: &Endpoints,
    ) -> Result<Option<Direct>, NotForwarded> {
        let asked = asked(service).filter(|_| has_address(service, self.family));
        let Some(forwarding) = asked else {
            return Ok(None);
        };
        let number = port.port.get();
        let mut chosen = endpoints.external().iter();
        if let Some(other) = chosen.find(|destination| destination.id.port != number) {
            return Err(NotForwarded::TargetPort(other.id.port));
        }
        let key = mark_key(service, port, MarkFor::Forwarding);
        let mark = self.grants.marks.get(&key).ok_or(NotForwarded::NoMark)?;
        Ok(Some(Direct {
            mark: *mark,
            forwarding,
        }))
    }
}

impl Direct {
    /// These destinations, forwarded so.
    pub(super) fn destinations(self, chosen: &[Destination]) -> Arc<[Destination]> {
        let forwarded = |destination: &Destination| Destination {
            id: destination.id,
            config: self.forwarding.applied_to(destination.config),
        };
        chosen.iter().map(forwarded).collect()
    }
}
