//! Virtual servers and destinations, as `net/netfilter/ipvs/ip_vs_ctl.c` keeps them.

use std::collections::BTreeMap;

use ipvs_netlink::{
    Connections, Destination, DestinationId, ForwardingMethod, ServiceFlags, VirtualServerConfig,
    VirtualServerId,
};

use super::{MemoryKernel, Server};
use crate::kernel::{KernelError, KernelErrorKind, KernelPart};

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
        self.server(id)?;
        self.servers.remove(id);
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
            Some(_) => Ok(()),
            None => Err(no_destination(server, id)),
        }
    }

    fn server(&mut self, id: &VirtualServerId) -> Result<&mut Server, KernelError> {
        self.servers.get_mut(id).ok_or_else(|| {
            KernelError::missing(KernelPart::Ipvs, format_args!("virtual server {id}"))
        })
    }
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
