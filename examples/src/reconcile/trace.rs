//! Which Service a line of a plan is for.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;

use ipnetwork::IpNetwork;
use ipvs_netlink::{Protocol, VirtualServerId};
use proxier::cluster::{Cluster, Family, Service, ServicePort};
use proxier::nftables::Element;
use proxier::{Desired, Layout, Line, Operation};
use proxier_manifest::printable;

/// How many Services of one line are named.
const MAX_NAMED: usize = 3;

type Names = BTreeSet<String>;

/// The Services of a cluster, by what a plan names: virtual servers, ports, addresses, endpoints.
#[derive(Default)]
pub(crate) struct Trace {
    servers: HashMap<(Protocol, IpAddr, u16), Names>,
    node_ports: HashMap<(Protocol, u16), Names>,
    health_ports: HashMap<u16, Names>,
    addresses: HashMap<IpAddr, Names>,
    endpoints: HashMap<(Protocol, IpAddr, u16), Names>,
    /// By the names that rules of iptables mode have in their comments.
    labels: HashMap<String, Names>,
    marks: HashMap<(Family, u32), Names>,
}

impl Trace {
    pub(crate) fn of(cluster: &Cluster, desired: &Desired) -> Self {
        let mut trace = Self::default();
        for service in cluster.services.values() {
            trace.add_service(service, desired);
        }
        for slice in cluster.slices.values() {
            for port in &slice.ports {
                let name = named(slice.name.namespace(), &slice.service, &port.name);
                for endpoint in &slice.endpoints {
                    let key = (port.protocol, endpoint.address, port.port.get());
                    trace.endpoints.entry(key).or_default().insert(name.clone());
                }
            }
        }
        trace.add_marks(desired);
        trace
    }

    /// Marks are those of the ports whose packets get them.
    fn add_marks(&mut self, desired: &Desired) {
        for family in Family::ALL {
            let table = desired.tables.get(family).as_ref();
            for element in table.map_or(&[][..], |table| &table.elements) {
                if let (Some(mark), Some(names)) = (element.mark(), self.element(element).cloned())
                {
                    self.marks.entry((family, mark)).or_default().extend(names);
                }
            }
        }
    }

    fn element(&self, element: &Element) -> Option<&Names> {
        match element {
            Element::Service(at, _)
            | Element::ServiceMark(at, _)
            | Element::PortMark(at, _)
            | Element::Firewalled(at)
            | Element::SourceRange(at, _) => self.servers.get(&(at.protocol, at.address, at.port)),
            Element::NodePort(at, _) | Element::NodePortMark(at, _) => {
                self.node_ports.get(&(at.protocol, at.port))
            }
            Element::ClusterIp(address) => self.addresses.get(address),
            _ => None,
        }
    }

    fn add_service(&mut self, service: &Service, desired: &Desired) {
        let goes_without = |id: VirtualServerId| {
            let mut conflicts = desired.conflicts.iter();
            conflicts.any(|conflict| {
                conflict.service == service.name
                    && conflict.server == id
                    && !conflict.holder.grants()
            })
        };
        let whole = named(service.name.namespace(), service.name.name(), "");
        let addresses = claimed(service);
        for port in &service.ports {
            let name = named(service.name.namespace(), service.name.name(), &port.name);
            if desired.layout == Layout::Iptables {
                let names = self.labels.entry(name.clone()).or_default();
                names.insert(name.clone());
            }
            for address in &addresses {
                if goes_without(server_id(port, *address)) {
                    continue;
                }
                let key = (port.protocol, *address, port.port.get());
                self.servers.entry(key).or_default().insert(name.clone());
                self.addresses
                    .entry(*address)
                    .or_default()
                    .insert(whole.clone());
            }
            if let Some(node_port) = port.node_port {
                let key = (port.protocol, node_port.get());
                self.node_ports.entry(key).or_default().insert(name);
            }
        }
        if let Some(port) = service.health_check_node_port {
            let names = self.health_ports.entry(port.get()).or_default();
            names.insert(whole);
        }
    }

    /// The Services that a line of an operation is for, if it is for any.
    pub(crate) fn services(&self, operation: &Operation, line: &Line) -> Option<String> {
        let names = match operation {
            Operation::AddServer { id, .. }
            | Operation::SetServer { id, .. }
            | Operation::DeleteServer(id)
            | Operation::AddDestination { server: id, .. }
            | Operation::SetDestination { server: id, .. }
            | Operation::DeleteDestination { server: id, .. } => self.server(id),
            Operation::AddEntry { set, entry } | Operation::DeleteEntry { set, entry } => {
                self.entry(set.as_str(), &entry.to_string())
            }
            Operation::BindAddress(address) => self.addresses.get(address),
            Operation::UnbindAddress(address) => self.addresses.get(&address.ip()),
            Operation::AddElement { element, .. }
            | Operation::ChangeElement { element, .. }
            | Operation::DeleteElement { element, .. } => self.element(element),
            Operation::RestoreRules(_) => self.rule(&line.text),
            _ => None,
        }?;
        let mut shown: Vec<_> = names.iter().take(MAX_NAMED).cloned().collect();
        if names.len() > MAX_NAMED {
            shown.push(format!("{} more", names.len() - MAX_NAMED));
        }
        Some(shown.join(", "))
    }

    fn server(&self, id: &VirtualServerId) -> Option<&Names> {
        let (protocol, address, port) = match *id {
            VirtualServerId::Address {
                protocol,
                address,
                port,
            } => (protocol, address, port),
            VirtualServerId::FirewallMark { family, mark } => {
                return self.marks.get(&(family, mark.get()));
            }
        };
        let own = self.servers.get(&(protocol, address, port));
        own.or_else(|| self.node_ports.get(&(protocol, port)))
    }

    /// A member of one of the proxy's sets: an address with a protocol and port and maybe more, or a port.
    fn entry(&self, set: &str, entry: &str) -> Option<&Names> {
        let element = entry.split_whitespace().next()?;
        let mut parts = element.split(',');
        let first = parts.next()?;
        if let Ok(port) = first.parse::<u16>() {
            let protocol = match set {
                _ if set.contains("UDP") => Protocol::UDP,
                _ if set.contains("SCTP") => Protocol::SCTP,
                _ => Protocol::TCP,
            };
            let health = self.health_ports.get(&port);
            return match set.contains("HEALTH") {
                true => health,
                false => self.node_ports.get(&(protocol, port)),
            };
        }
        let address: IpAddr = first.parse().ok()?;
        let Some((protocol, port)) = parts.next().and_then(|part| part.split_once(':')) else {
            return self.addresses.get(&address);
        };
        let (protocol, port) = (protocol_named(protocol)?, port.parse().ok()?);
        let key = (protocol, address, port);
        let servers = self.servers.get(&key);
        servers
            .or_else(|| self.endpoints.get(&key))
            .or_else(|| self.node_ports.get(&(protocol, port)))
    }

    /// A rule with the name of a Service port in its comment.
    fn labelled(&self, text: &str) -> Option<&Names> {
        comment_words(text).find_map(|word| self.labels.get(word))
    }

    /// A rule for one address and port, or of a Service in iptables mode.
    fn rule(&self, text: &str) -> Option<&Names> {
        let after = |flag: &str| {
            let mut words = text.split_whitespace();
            words.find(|word| *word == flag)?;
            words.next()
        };
        // In iptables mode a rule has the name of its Service port in its comment.
        if let Some(names) = self.labelled(text) {
            return Some(names);
        }
        let network: IpNetwork = after("-d")?.parse().ok()?;
        let port = after("--dport").and_then(|port| port.parse().ok());
        match (port, after("-p").and_then(protocol_named)) {
            (Some(port), Some(protocol)) => self.servers.get(&(protocol, network.ip(), port)),
            _ => self.addresses.get(&network.ip()),
        }
    }
}

/// The words of a rule's comment, one of which is the name of a Service port in iptables mode.
fn comment_words(text: &str) -> impl Iterator<Item = &str> {
    let comment = text.split_once("--comment ").map(|(_, rest)| rest);
    let comment = comment.unwrap_or_default();
    let (quoted, end) = match comment.strip_prefix('"') {
        Some(quoted) => (quoted, '"'),
        None => (comment, ' '),
    };
    let comment = quoted.split(end).next().unwrap_or_default();
    comment.split(' ')
}

/// The addresses that a Service claims, other than the node's.
pub(crate) fn claimed(service: &Service) -> BTreeSet<IpAddr> {
    let all = [
        &service.cluster_ips,
        &service.external_ips,
        &service.load_balancer_ips,
    ];
    all.into_iter().flatten().copied().collect()
}

pub(crate) const fn server_id(port: &ServicePort, address: IpAddr) -> VirtualServerId {
    VirtualServerId::Address {
        protocol: port.protocol,
        address,
        port: port.port.get(),
    }
}

fn protocol_named(name: &str) -> Option<Protocol> {
    match name {
        "tcp" => Some(Protocol::TCP),
        "udp" => Some(Protocol::UDP),
        "sctp" => Some(Protocol::SCTP),
        _ => None,
    }
}

/// `namespace/name`, with the port where it has a name.
pub(crate) fn named(namespace: &str, name: &str, port: &str) -> String {
    let text = match port {
        "" => format!("{namespace}/{name}"),
        port => format!("{namespace}/{name}:{port}"),
    };
    printable(&text).into_owned()
}
