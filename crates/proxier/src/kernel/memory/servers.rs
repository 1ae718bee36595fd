//! Virtual servers and destinations, as `net/netfilter/ipvs/ip_vs_ctl.c` keeps them.

use std::collections::BTreeMap;

use ipvs_netlink::{
    Connections, Destination, DestinationId, ForwardingMethod, ServiceFlags, VirtualServerConfig,
    VirtualServerId,
};

use super::{MemoryKernel, Server};
use crate::kernel::{KernelError, KernelErrorKind, KernelPart};
use crate::observed::{ObservedDestination, ObservedServer};

impl Server {
    pub(super) fn observed(&self, id: VirtualServerId) -> ObservedServer {
        ObservedServer {
            id,
            config: self.config,
            destinations: self.destinations(),
        }
    }

    pub(super) fn destinations(&self) -> Vec<ObservedDestination> {
        let destinations = self.destinations.iter();
        let destinations = destinations.map(|(id, (config, connections))| ObservedDestination {
            destination: Destination {
                id: *id,
                config: *config,
            },
            connections: *connections,
        });
        destinations.collect()
    }
}

impl MemoryKernel {
    /// Schedulers that it has. Any other name makes a kernel look for a module it will not find.
    pub const SCHEDULERS: [&str; 15] = [
        "rr", "wrr", "lc", "wlc", "fo", "ovf", "lblc", "lblcr", "dh", "sh", "mh", "sed", "nq",
        "twos", "none",
    ];

    pub(super) fn add_server(
        &mut self,
        id: &VirtualServerId,
        config: &VirtualServerConfig,
    ) -> Result<(), KernelError> {
        if self.servers.contains_key(id) {
            return Err(KernelError::exists(
                KernelPart::Ipvs,
                format_args!("virtual server {id}"),
            ));
        }
        check(id, config)?;
        self.servers.insert(
            *id,
            Server {
                config: *config,
                destinations: BTreeMap::new(),
            },
        );
        Ok(())
    }

    pub(super) fn set_server(
        &mut self,
        id: &VirtualServerId,
        config: &VirtualServerConfig,
    ) -> Result<(), KernelError> {
        check(id, config)?;
        self.server(id)?.config = *config;
        Ok(())
    }

    pub(super) fn delete_server(&mut self, id: &VirtualServerId) -> Result<(), KernelError> {
        let gone = self.servers.remove(id).ok_or_else(|| no_server(id))?;
        self.destinations -= gone.destinations.len();
        Ok(())
    }

    pub(super) fn add_destination(
        &mut self,
        server: &VirtualServerId,
        destination: &Destination,
    ) -> Result<(), KernelError> {
        let destinations = &mut self.server(server)?.destinations;
        let Destination { id, config } = destination;
        if destinations.contains_key(id) {
            return Err(KernelError::exists(
                KernelPart::Ipvs,
                format_args!("destination {id} of {server}"),
            ));
        }
        let invalid = |reason: &str| {
            let object = format_args!("destination {id} of {server}").to_string();
            KernelError::invalid(KernelPart::Ipvs, object, reason)
        };
        if id.address.is_ipv4() != (server.family() == ipvs_netlink::Family::V4)
            && config.forwarding != ForwardingMethod::Tunnel
        {
            return Err(invalid("only tunnels lead to another address family"));
        }
        if id.address.is_unspecified() || id.address.is_multicast() {
            return Err(invalid("is not a unicast address"));
        }
        check_destination(server, destination)?;
        destinations.insert(*id, (*config, Connections::default()));
        self.destinations += 1;
        Ok(())
    }

    pub(super) fn set_destination(
        &mut self,
        server: &VirtualServerId,
        destination: &Destination,
    ) -> Result<(), KernelError> {
        let Destination { id, config } = destination;
        let known = self.server(server)?.destinations.get_mut(id);
        if known.is_some() {
            check_destination(server, destination)?;
        }
        match known {
            Some((known, _)) => {
                *known = *config;
                Ok(())
            }
            None => Err(no_destination(server, id)),
        }
    }

    pub(super) fn delete_destination(
        &mut self,
        server: &VirtualServerId,
        id: &DestinationId,
    ) -> Result<(), KernelError> {
        match self.server(server)?.destinations.remove(id) {
            Some(_) => {
                self.destinations -= 1;
                Ok(())
            }
            None => Err(no_destination(server, id)),
        }
    }

    fn server(&mut self, id: &VirtualServerId) -> Result<&mut Server, KernelError> {
        self.servers.get_mut(id).ok_or_else(|| no_server(id))
    }
}

fn no_server(id: &VirtualServerId) -> KernelError {
    KernelError::missing(KernelPart::Ipvs, format_args!("virtual server {id}"))
}

/// `ERANGE` of `ip_vs_add_dest` and `ip_vs_edit_dest`.
fn check_destination(
    server: &VirtualServerId,
    destination: &Destination,
) -> Result<(), KernelError> {
    let Destination { id, config } = destination;
    let reason = if i32::try_from(config.weight).is_err() {
        "its weight is above 2147483647"
    } else if config.lower_threshold > config.upper_threshold {
        "its lower threshold is above the upper"
    } else {
        return Ok(());
    };
    Err(KernelError::invalid(
        KernelPart::Ipvs,
        format_args!("destination {id} of {server}"),
        reason,
    ))
}

fn no_destination(server: &VirtualServerId, id: &DestinationId) -> KernelError {
    KernelError::missing(
        KernelPart::Ipvs,
        format_args!("destination {id} of {server}"),
    )
}

fn check(id: &VirtualServerId, config: &VirtualServerConfig) -> Result<(), KernelError> {
    let scheduler = config.scheduler.as_str();
    if !MemoryKernel::SCHEDULERS.contains(&scheduler) {
        return Err(KernelError::new(
            KernelPart::Ipvs,
            KernelErrorKind::Unsupported,
            format!("scheduler {scheduler} (module ip_vs_{scheduler}) does not exist"),
        ));
    }
    // Port 0 stands for all ports, which only persistence makes sense of.
    let all_ports = matches!(id, VirtualServerId::Address { port: 0, .. });
    if all_ports && !config.flags.contains(ServiceFlags::PERSISTENT) {
        return Err(KernelError::invalid(
            KernelPart::Ipvs,
            format_args!("virtual server {id}"),
            "port 0 needs persistence",
        ));
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use ipvs_netlink::{DestinationConfig, Scheduler};

    use super::*;
    use crate::plan::Operation;

    #[test]
    fn destinations_are_counted_as_they_come_and_go() {
        let [one, other] = [1, 2].map(|last| VirtualServerId::tcp(([10, 0, 0, last], 80)));
        let config = VirtualServerConfig::new(Scheduler::RR);
        let of = |last: u8| DestinationId {
            address: [10, 244, 0, last].into(),
            port: 8080,
        };
        let add = |server, last| {
            let config = DestinationConfig::masquerade(1);
            let destination = Destination {
                id: of(last),
                config,
            };
            Operation::AddDestination {
                server,
                destination,
            }
        };
        let delete = |server, last| Operation::DeleteDestination {
            server,
            id: of(last),
        };
        let mut kernel = MemoryKernel::new();
        for (operation, counts) in [
            (Operation::AddServer { id: one, config }, (1, 0)),
            (Operation::AddServer { id: other, config }, (2, 0)),
            (add(one, 1), (2, 1)),
            (add(one, 2), (2, 2)),
            (add(other, 1), (2, 3)),
            (delete(one, 1), (2, 2)),
            (Operation::DeleteServer(other), (1, 1)),
        ] {
            kernel.perform(&operation).unwrap();
            assert_eq!(kernel.server_counts(), counts, "{operation}");
            let same = MemoryKernel::holding(&kernel.state());
            assert_eq!(same.server_counts(), counts, "{operation}");
        }
        // What is refused changes nothing.
        for operation in [add(one, 2), delete(one, 1), Operation::DeleteServer(other)] {
            assert!(kernel.perform(&operation).is_err());
            assert_eq!(kernel.server_counts(), (1, 1), "{operation}");
        }
    }
}
