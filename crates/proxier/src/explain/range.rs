//! Ports in ranges: what a Service has at one of them, as if it were a port of its own. Listed ports that are served together
//! with them.

use std::borrow::Cow;
use std::net::IpAddr;
use std::num::NonZeroU16;
use std::sync::Arc;

use ipvs_netlink::VirtualServerId;

use super::view::{PortView, View};
use crate::cluster::{Family, PortRange, Service, ServicePort};
use crate::conflict::Conflict;
use crate::layout::nftables::{AddressPort, AddressRange, Element};
use crate::layout::{MarkedRange, RangeRule};
use crate::translate::{Claim, Extra};

impl<'a> View<'a> {
    /// The Services that have a port in a range at this address, each with what it has there.
    pub(super) fn ranges_with(&self, at: AddressPort) -> Vec<PortView<'a>> {
        let family = Family::of(at.address);
        let services = self.evidence.cluster.services.values();
        let served = services.filter(|service| self.families(service).contains(&family));
        let each = served.filter_map(|service| {
            let mut ranges = service.port_ranges().iter();
            let range = ranges.find(|range| range.contains(at.protocol, at.port))?;
            let addresses = addresses(service).any(|address| address == at.address);
            addresses.then(|| self.range(family, service, *range, at.port, Some(at.address)))?
        });
        each.collect()
    }

    /// The first port of each range of a Service, where the layout serves ranges.
    pub(super) fn ranges_of(&self, service: &'a Service) -> Vec<PortView<'a>> {
        let families = self.families(service).into_iter();
        let each = families.flat_map(|family| {
            let ranges = service.port_ranges().iter();
            ranges.filter_map(move |range| self.range(family, service, *range, range.first(), None))
        });
        each.collect()
    }

    fn range(
        &self,
        family: Family,
        service: &'a Service,
        range: PortRange,
        number: u16,
        only: Option<IpAddr>,
    ) -> Option<PortView<'a>> {
        if !self.evidence.config.layout.uses_ipvs() {
            return None;
        }
        let name = range.to_string();
        let port = ServicePort::new(&*name, range.protocol(), NonZeroU16::new(number)?);
        let alone = Service {
            ports: Vec::new(),
            ..service.clone()
        };
        let mut view = self.port_of(family, service, Cow::Owned(port), &alone, None);
        view.is_range = true;
        let of_family = |address: &IpAddr| Family::of(*address) == family;
        let mut all: Vec<_> = addresses(service).filter(of_family).collect();
        all.retain(|address| only.is_none_or(|only| only == *address));
        all.sort_unstable();
        all.dedup();
        let elements = std::mem::take(&mut view.elements);
        let marked = std::mem::take(&mut view.marked);
        let claims = all.iter().filter_map(|address| {
            let address = *address;
            let at = AddressRange {
                address,
                ports: range,
            };
            let is_cluster_ip = service.cluster_ips.contains(&address);
            let (mark, extra) = match marked.iter().find_map(|rule| rule.at(at)) {
                Some(range) => (range.mark.get(), Extra::Marked(range.clone())),
                None => {
                    let own = of_address(at, is_cluster_ip, &elements);
                    (range_mark(&own)?, Extra::Elements(own))
                }
            };
            let server = view.by_number(mark)?;
            let at = AddressPort {
                address,
                protocol: range.protocol(),
                port: number,
            };
            Some(Claim {
                id: at.server(),
                bind: self.desired.addresses.contains(&address),
                port: Arc::clone(&view.port.name),
                extra: Some(Box::new(extra)),
                ..server.clone()
            })
        });
        view.claims = claims.collect();
        let conflicts = self.desired.conflicts.iter().filter(|conflict| {
            let of_range = conflict.service == service.name && *conflict.port == *name;
            of_range && conflict.address().is_some_and(|ip| all.contains(&ip))
        });
        view.conflicts = conflicts
            .cloned()
            .map(|conflict| at_port(conflict, number))
            .collect();
        let hairpins = elements.into_iter();
        view.elements = hairpins
            .filter(|element| matches!(element, Element::Hairpin(_)))
            .collect();
        (!view.claims.is_empty() || !view.conflicts.is_empty()).then_some(view)
    }
}

impl RangeRule {
    /// What marks packets to a range.
    fn at(&self, at: AddressRange) -> Option<&MarkedRange> {
        match self {
            Self::Marked(range) if range.at == at => Some(range),
            Self::Marked(_) | Self::Hairpin(..) => None,
        }
    }
}

/// A conflict about a range as one about this port.
fn at_port(mut conflict: Conflict, number: u16) -> Conflict {
    if let VirtualServerId::Address { port, .. } = &mut conflict.server {
        *port = number;
    }
    conflict
}

fn addresses(service: &Service) -> impl Iterator<Item = IpAddr> {
    let lists = [
        &service.cluster_ips,
        &service.external_ips,
        &service.load_balancer_ips,
    ];
    lists.into_iter().flatten().copied()
}

/// The elements by which packets to a range at an address are told.
fn of_address(at: AddressRange, is_cluster_ip: bool, all: &[Element]) -> Vec<Element> {
    let Some(own) = all
        .iter()
        .filter(|element| matches!(element, Element::RangeMark(of, _) if *of == at))
        .min()
    else {
        return Vec::new();
    };
    let mut elements = vec![*own];
    if let Element::RangeMark(_, mark) = *own {
        elements.extend(of_mark(mark, at.address, is_cluster_ip, all));
    }
    elements.sort_unstable();
    elements.dedup();
    elements
}

/// The elements that say what becomes of packets to an address with a mark of ranges.
fn of_mark(mark: u32, at: IpAddr, is_cluster_ip: bool, all: &[Element]) -> Vec<Element> {
    let belongs = |element: &Element| match *element {
        Element::RangeAddress(address) => address == at,
        Element::RangeSource(address, of, _) | Element::RangeFirewalled(address, of) => {
            address == at && of == mark
        }
        Element::RangeRefused(of) | Element::RangeDropped(of) | Element::RangeSourceKept(of) => {
            of == mark
        }
        Element::RangeMasqueradeAddress(of, _) => of == mark,
        Element::RangeMasqueraded(of) => is_cluster_ip && of == mark,
        Element::RangeLocal(of) | Element::RangeLocalMark(of, _) => !is_cluster_ip && of == mark,
        _ => false,
    };
    all.iter().copied().filter(belongs).collect()
}

impl PortView<'_> {
    /// Puts what becomes of packets with a mark of ranges to the claims of a listed port that is served together with them.
    pub(super) fn with_shared(mut self) -> Self {
        let elements = &self.elements;
        let mut is_shared = false;
        for claim in &mut self.claims {
            let Some(Extra::Elements(own)) = claim.extra.as_deref_mut() else {
                continue;
            };
            let Some((at, mark)) = own.iter().find_map(|element| match *element {
                Element::PortMark(at, mark) => Some((at, mark)),
                _ => None,
            }) else {
                continue;
            };
            is_shared = true;
            let is_cluster_ip = self.service.cluster_ips.contains(&at.address);
            own.extend(of_mark(mark, at.address, is_cluster_ip, elements));
            own.sort_unstable();
            own.dedup();
        }
        if is_shared {
            self.elements
                .retain(|element| matches!(element, Element::Hairpin(_)));
        }
        self
    }
}

/// The mark of the virtual server for pods and the node, and for everybody where no policy is `Local`.
pub(super) fn range_mark(elements: &[Element]) -> Option<u32> {
    elements.iter().find_map(|element| match element {
        Element::PortMark(_, mark) | Element::RangeMark(_, mark) => Some(*mark),
        _ => None,
    })
}

/// Whether a policy is `Local` for what comes from outside.
pub(super) fn is_local(elements: &[Element]) -> bool {
    let mut elements = elements.iter();
    elements.any(|element| matches!(element, Element::RangeLocal(_)))
}

/// The mark of the virtual server for what comes from outside, with a policy `Local` that finds an endpoint.
pub(super) fn local_mark(elements: &[Element]) -> Option<u32> {
    elements.iter().find_map(|element| match element {
        Element::RangeLocalMark(_, mark) => Some(*mark),
        _ => None,
    })
}
