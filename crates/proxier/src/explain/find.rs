//! Which Service ports a question is about.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::num::NonZeroU16;
use std::sync::Arc;

use ipvs_netlink::Protocol;

use super::answer::Finding;
use super::cause::{Cause, Nearest, NotProxied};
use super::loopback;
use super::question::Target;
use super::view::{PortView, View};
use crate::cluster::{Family, ObjectName, Service, ServicePort, ServiceType};
use crate::layout::nftables::AddressPort;

/// How many things an answer suggests.
const SUGGESTED: usize = 5;

/// The ports that are asked for, and what is wrong if there are none.
pub(super) fn ports<'a>(view: &View<'a>, target: &Target) -> (Vec<PortView<'a>>, Vec<Finding>) {
    match target {
        Target::Address(at) => by_address(view, *at),
        Target::Service(name, port) => by_name(view, name, port.as_deref(), target),
    }
}

fn by_name<'a>(
    view: &View<'a>,
    name: &ObjectName,
    port: Option<&str>,
    target: &Target,
) -> (Vec<PortView<'a>>, Vec<Finding>) {
    let wrong = |cause| {
        let port = Some((name.clone(), Arc::default()));
        let at = None;
        (Vec::new(), vec![Finding { port, at, cause }])
    };
    let Some(service) = view.evidence.cluster.services.get(name) else {
        let nearest = like(view, name);
        let name = name.clone();
        return wrong(Cause::NoSuchService { name, nearest });
    };
    if let Some(reason) = not_proxied(view, service) {
        return wrong(Cause::NotProxied(reason));
    }
    let asked: Vec<_> = service
        .ports
        .iter()
        .filter(|port| target.names(port))
        .collect();
    if let (true, Some(port)) = (asked.is_empty(), port) {
        let ports = service.ports.iter();
        let ports = ports.map(|port| (Arc::clone(&port.name), port.port.get()));
        return wrong(Cause::NoSuchPort {
            port: port.into(),
            ports: ports.collect(),
        });
    }
    let families = view.families(service).into_iter();
    let all = families.flat_map(|family| {
        let asked = asked.iter().copied();
        asked.map(move |port| view.port(family, service, port, None))
    });
    let ranges = match port {
        None => view.ranges_of(service),
        Some(_) => Vec::new(),
    };
    (all.chain(ranges).collect(), Vec::new())
}

fn not_proxied(view: &View<'_>, service: &Service) -> Option<NotProxied> {
    if service.other_proxy {
        Some(NotProxied::OtherProxy)
    } else if service.service_type == ServiceType::ExternalName {
        Some(NotProxied::ExternalName)
    } else if service.cluster_ips.is_empty() {
        Some(NotProxied::Headless)
    } else if service.ports.is_empty() {
        Some(NotProxied::NoPorts)
    } else if view.families(service).is_empty() {
        Some(NotProxied::NoIpv6)
    } else {
        None
    }
}

/// Services of the same name in other namespaces, else those of the namespace whose name has this one in it, or the other
/// way round.
fn like(view: &View<'_>, name: &ObjectName) -> Vec<ObjectName> {
    let all = || view.evidence.cluster.services.keys();
    let namesakes = all().filter(|known| known.name() == name.name());
    let near = all().filter(|known| {
        let (known_name, own) = (known.name(), name.name());
        let alike = known_name.contains(own) || own.contains(known_name);
        known.namespace() == name.namespace() && alike
    });
    namesakes.chain(near).take(SUGGESTED).cloned().collect()
}

fn by_address<'a>(view: &View<'a>, at: AddressPort) -> (Vec<PortView<'a>>, Vec<Finding>) {
    let family = Family::of(at.address);
    let number = NonZeroU16::new(at.port);
    let services = view.evidence.cluster.services.values();
    let has = |port: &PortView<'_>| port.claims.iter().any(|claim| port.is_granted(claim));
    let mut found = Vec::new();
    for service in services.filter(|service| service.counts(family)) {
        for port in &service.ports {
            let fits = port.protocol == at.protocol
                && (Some(port.port) == number || port.node_port == number);
            if !fits || !view.evidence.host.serves(family) {
                continue;
            }
            let port = view.port(family, service, port, Some(at.server()));
            if !port.claims.is_empty() || !port.conflicts.is_empty() {
                found.push(port);
            }
        }
    }
    if !found.iter().any(has) {
        found.extend(view.ranges_with(at));
    }
    // The one that has it comes first.
    found.sort_by_key(|port| !has(port));
    if !found.is_empty() {
        return (found, Vec::new());
    }
    let headless = view.evidence.observed.server(&at.server()).is_some();
    let cause = loopback::cause(view, at).unwrap_or_else(|| Cause::Nobody {
        at,
        nearest: nearest(view, at),
        server: headless,
    });
    let (port, at) = (None, Some(at.server()));
    (Vec::new(), vec![Finding { port, at, cause }])
}

/// Ports of the same address, else the same port of other addresses.
fn nearest(view: &View<'_>, at: AddressPort) -> Vec<Nearest> {
    let family = Family::of(at.address);
    let own: BTreeSet<IpAddr> = view.evidence.host.addresses().collect();
    let is_own = own.contains(&at.address);
    let (mut same_address, mut same_port) = (BTreeSet::new(), BTreeSet::new());
    let services = view.evidence.cluster.services.values();
    for service in services.filter(|service| service.counts(family)) {
        for port in &service.ports {
            for known in addresses(service, port, family, is_own.then_some(at.address)) {
                let nearest = || Nearest::new(known, service.name.clone());
                if known.address == at.address {
                    same_address.insert((known.port.abs_diff(at.port), nearest()));
                } else if known.port == at.port {
                    same_port.insert((u16::from(known.protocol != at.protocol), nearest()));
                }
            }
        }
    }
    let best = if same_address.is_empty() {
        same_port
    } else {
        same_address
    };
    best.into_iter()
        .map(|(_, nearest)| nearest)
        .take(SUGGESTED)
        .collect()
}

/// Where a port of a Service may be reached: its node port at this address of the node's.
fn addresses<'s>(
    service: &'s Service,
    port: &ServicePort,
    family: Family,
    own: Option<IpAddr>,
) -> impl Iterator<Item = AddressPort> + use<'s> {
    let ServicePort {
        protocol,
        port: number,
        node_port,
        ..
    } = *port;
    let at = move |address: IpAddr, port: NonZeroU16, protocol: Protocol| AddressPort {
        address,
        protocol,
        port: port.get(),
    };
    let lists = [
        &service.cluster_ips,
        &service.external_ips,
        &service.load_balancer_ips,
    ];
    let of_family = move |address: &IpAddr| Family::of(*address) == family;
    let service_addresses = lists.into_iter().flatten().copied().filter(of_family);
    let node_port = own.and_then(|own| Some(at(own, node_port?, protocol)));
    service_addresses
        .map(move |address| at(address, number, protocol))
        .chain(node_port)
}
