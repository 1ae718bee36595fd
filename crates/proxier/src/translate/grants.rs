//! What the Services get in ipvs mode of what there is once for all of them: firewall marks and ranges of ports.

use super::forwarding;
use super::ranges::{RefusedRanges, range_claims, range_marks, refused_ranges};
use crate::cluster::{Family, Service, ServicePort};
use crate::config::Config;
use crate::layout::Layout;
use crate::layout::nftables::{MarkFor, MarkKey, Marked, Marks, allocate};

/// What the Services of a family get by what is known of the Services alone: it does not move with endpoints.
#[derive(Debug, Default)]
pub(crate) struct Grants {
    /// The marks of Service ports and ranges.
    pub(crate) marks: Marks,
    /// The ranges that Services do not get.
    pub(crate) refused: RefusedRanges,
}

impl Grants {
    /// Nothing.
    pub(crate) const fn none() -> Self {
        Self {
            marks: Marks::new(),
            refused: RefusedRanges::new(),
        }
    }
}

/// What these Services get.
pub(crate) fn grants<'a>(
    config: &Config,
    family: Family,
    services: impl IntoIterator<Item = &'a Service>,
) -> Grants {
    let (mut keys, mut claims) = (Vec::new(), Vec::new());
    for service in services {
        keys.extend(mark_keys(config.layout, service, family));
        claims.extend(range_claims(service, family));
    }
    Grants {
        marks: allocate(&config.marks(), keys),
        refused: refused_ranges(&claims),
    }
}

/// The marks that the ports and ranges of a Service want. Ports have them in layout `nftables` alone.
pub(crate) fn mark_keys(
    layout: Layout,
    service: &Service,
    family: Family,
) -> impl Iterator<Item = MarkKey> {
    let split = service.external_local();
    let forwarded =
        forwarding::asked(service).is_some() && forwarding::has_address(service, family);
    let counts = layout == Layout::Nftables && service.counts(family) && (split || forwarded);
    let ports = service.ports.iter().filter(move |_| counts);
    let of_ports = ports.flat_map(move |port| {
        let split = split && is_reachable_outside(service, port, family);
        let policy = split.then(|| mark_key(service, port, MarkFor::Policy));
        let forwarding = forwarded.then(|| mark_key(service, port, MarkFor::Forwarding));
        policy.into_iter().chain(forwarding)
    });
    of_ports.chain(range_marks(layout, service, family))
}

pub(super) fn mark_key(service: &Service, port: &ServicePort, wanted_for: MarkFor) -> MarkKey {
    MarkKey::new(
        service,
        Marked::Port(port.protocol, port.port.get(), wanted_for),
    )
}

/// Whether a port has any address besides the cluster IP.
pub(super) fn is_reachable_outside(service: &Service, port: &ServicePort, family: Family) -> bool {
    port.node_port.is_some() || forwarding::has_address(service, family)
}
