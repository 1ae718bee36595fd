//! Which Service port a virtual server is of.

use ipvs_netlink::VirtualServerId;
use proxier::Engine;
use proxier::cluster::{ObjectName, Service};

/// A Service port. Ordered by namespace, Service, port.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct PortName {
    pub(crate) service: ObjectName,
    /// The name of the port, or its number where it has no name.
    pub(crate) port: Box<str>,
}

/// The virtual servers of Services, with the port that each is of.
#[derive(Debug, Default)]
pub(crate) struct Names {
    /// Sorted.
    pub(crate) ports: Vec<PortName>,
    /// Sorted by virtual server, with the place of each one's port in `ports`.
    pub(crate) servers: Vec<(VirtualServerId, usize)>,
    /// Whether Services are virtual servers at all: not in iptables mode.
    pub(crate) of_ipvs: bool,
}

impl Names {
    /// As the engine wanted them when it made its last plan. Costs what there is of virtual servers.
    pub(crate) fn of(engine: &Engine) -> Self {
        let mut held: Vec<_> = engine
            .servers()
            .filter_map(|id| Some((engine.holder(id)?, *id)))
            .collect();
        // By Service and port; the ids are sorted afterwards.
        held.sort_unstable();
        let mut names = Self {
            of_ipvs: engine.config().layout.uses_ipvs(),
            servers: Vec::with_capacity(held.len()),
            ..Self::default()
        };
        let mut last = None;
        for (holder, id) in held {
            if last.replace(holder) != Some(holder) {
                let (service, port) = holder;
                names.ports.push(PortName {
                    service: service.clone(),
                    port: port_label(engine.service(service), port),
                });
            }
            names.servers.push((id, names.ports.len() - 1));
        }
        names.servers.sort_unstable();
        names
    }

    /// The port that a virtual server is of.
    pub(crate) fn port_of(&self, id: &VirtualServerId) -> Option<&PortName> {
        let at = self.servers.binary_search_by_key(id, |(id, _)| *id).ok()?;
        let (_, port) = self.servers.get(at)?;
        self.ports.get(*port)
    }
}

/// The name of a port, or its number if it has no name. The two cannot be confused: a name has at least one letter.
pub(crate) fn port_label(service: Option<&Service>, name: &str) -> Box<str> {
    if !name.is_empty() {
        return name.into();
    }
    let ports = service.map_or(&[][..], |service| &service.ports);
    let port = ports.iter().find(|port| port.name.is_empty());
    port.map_or_else(Box::default, |port| port.port.to_string().into())
}
