//! Node ports at loopback addresses.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddrV4};
use std::num::NonZeroU16;

use super::answer::{Part, PartState};
use super::cause::{Cause, NoLoopback};
use super::compare::in_state;
use super::view::View;
use crate::cluster::{Family, ServicePort};
use crate::layout::nftables::{AddressPort, Element, SetId};
use crate::plan::Operation;

/// Why a node port is not served at a loopback address.
pub(super) fn cause(view: &View<'_>, at: AddressPort) -> Option<Cause> {
    if !at.address.is_loopback() {
        return None;
    }
    let config = view.evidence.config;
    let why = match (at.address, config.layout) {
        (IpAddr::V6(_), _) => NoLoopback::Ipv6,
        (_, layout) if layout.has_ipset() => NoLoopback::Layout(layout),
        _ if !config.asks_for_localhost_node_ports() => NoLoopback::NotAsked,
        _ => NoLoopback::Addresses,
    };
    let family = Family::of(at.address);
    let number = NonZeroU16::new(at.port);
    let mut services = view.evidence.cluster.services.values();
    let service = services.find(|service| {
        let mut ports = service.ports.iter();
        let is_it = |port: &ServicePort| port.protocol == at.protocol && port.node_port == number;
        service.counts(family) && number.is_some() && ports.any(is_it)
    })?;
    let service = service.name.clone();
    Some(Cause::LoopbackNodePort { at, service, why })
}

/// The slots of a node port at loopback addresses: how many each endpoint has of those that are as they should be, then each other one.
pub(super) fn slots(view: &View<'_>, family: Family, wanted: &[Element]) -> Vec<Part> {
    let table = view.evidence.observed.tables.get(family).as_ref();
    let found = table.map_or(&[][..], |table| &table.elements);
    let mut right: BTreeMap<SocketAddrV4, usize> = BTreeMap::new();
    let mut parts = Vec::new();
    let mut of_port = None;
    for slot in wanted {
        let Element::LoopbackEndpoint(port, _, to) = slot else {
            continue;
        };
        of_port = Some(*port);
        if found.binary_search(slot).is_ok() {
            *right.entry(*to).or_default() += 1;
            continue;
        }
        let place = slot.place();
        let other = found.iter().find(|other| other.place() == place);
        let state = match other {
            Some(Element::LoopbackEndpoint(.., to)) => PartState::Differs(to.to_string()),
            _ => PartState::Missing,
        };
        let element = *slot;
        parts.push(in_state(&Operation::AddElement { family, element }, state));
    }
    if let Some(port) = of_port.filter(|_| !right.is_empty()) {
        let count: usize = right.values().sum();
        let each = right.iter().map(|(to, count)| format!("{count} to {to}"));
        let each = each.collect::<Vec<_>>().join(", ");
        let map = SetId::LoopbackEndpoints.as_str();
        let part = Part {
            subject: "nft",
            text: format!(
                "{count} of {} slots of {port} in {map}: {each}",
                wanted.len()
            ),
            state: PartState::Present,
            connections: None,
        };
        parts.insert(0, part);
    }
    parts
}

/// Why, and what to do.
pub(super) const fn sentence(why: NoLoopback) -> &'static str {
    match why {
        NoLoopback::NotAsked => {
            "iptables.localhostNodePorts is not true; set it in the configuration, or with the flag --iptables-localhost-nodeports"
        }
        NoLoopback::Addresses => {
            "nodePortAddresses leaves the address out; add 127.0.0.0/8, or ask one of the node's other addresses"
        }
        NoLoopback::Layout(_) => {
            "this layout cannot, since IPVS sends nothing from a loopback address to another machine; ask one of the node's \
             other addresses, or choose the layout nftables with iptables.localhostNodePorts"
        }
        NoLoopback::Ipv6 => {
            "the kernel does not route this address; ask 127.0.0.1, or one of the node's other addresses"
        }
    }
}
