//! What the kernel holds.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::ErrorKind;
use std::net::IpAddr;

use dummy_link::Error as LinkError;
use ipnetwork::IpNetwork;
use ipset_netlink::{ErrorKind as SetErrorKind, Set, SetName};
use iptables_restore::Ruleset;
use ipvs_netlink::client::Reason;
use ipvs_netlink::{DestinationStatus, Error as IpvsError, VirtualServer, VirtualServerId};

use crate::LinuxKernel;
use crate::error::{PartError, failed, routing_failed, sysctl_failed};
use crate::rules::Saved;
use proxier::SetId;
use proxier::Sysctl;
use proxier::cluster::{Family, PerFamily};
use proxier::nftables::{ROUTING_PROTOCOL, Routing};
use proxier::{KernelError, KernelErrorKind, KernelPart};
use proxier::{Observed, ObservedDestination, ObservedServer, ServerConnections};

/// A part of the kernel that could not be read.
fn unreadable<E: PartError>(what: &str, error: E) -> KernelError {
    failed(error).while_doing(format_args!("reading {what}"))
}

fn observed(server: &VirtualServer, destinations: &[DestinationStatus]) -> ObservedServer {
    let mut observed = ObservedServer::new(server.id, server.config);
    observed.destinations = observed_destinations(destinations);
    observed
}

/// Destinations, which the client has sorted.
fn observed_destinations(found: &[DestinationStatus]) -> Vec<ObservedDestination> {
    let found = found.iter().map(|found| {
        let mut destination = ObservedDestination::new(found.destination);
        destination.connections = found.connections;
        destination
    });
    found.collect()
}

impl LinuxKernel {
    pub(crate) fn read(&mut self) -> Result<Observed, KernelError> {
        self.unread_rules = None;
        if let Some(lacks) = &mut self.lacks_rules {
            *lacks = PerFamily::default();
        }
        for family in Family::ALL {
            if let Some(rules) = self.rules.get_mut(family) {
                rules.begin_save();
            }
        }
        let mut state = Observed::default();
        state.servers = self.read_servers()?;
        state.sets = self.read_sets()?;
        state.addresses = self.read_addresses()?;
        if let Some(nftables) = &mut self.nftables {
            state.tables = nftables.tables()?;
        }
        state.routing = self.read_routing()?;
        state.sysctls = self.read_sysctls()?;
        if let Some(ipvs) = &mut self.ipvs {
            let timeouts = ipvs.timeouts();
            state.timeouts = timeouts.map_err(|error| unreadable("IPVS timeouts", error))?;
        }
        // Meanwhile the tools have run.
        state.rules = PerFamily {
            v4: self.read_rules(Family::V4)?,
            v6: self.read_rules(Family::V6)?,
        };
        Ok(state)
    }

    fn read_rules(&mut self, family: Family) -> Result<Ruleset, KernelError> {
        let Some(rules) = self.rules.get_mut(family) else {
            return Ok(Ruleset::default());
        };
        match rules.save() {
            Saved::Read(rules) => Ok(rules),
            Saved::Believed(rules, error) => {
                self.unread_rules = Some(error);
                Ok(rules)
            }
            Saved::Unknown(error) => match &mut self.lacks_rules {
                Some(lacks) => {
                    *lacks.get_mut(family) = true;
                    self.unread_rules = Some(error);
                    Ok(Ruleset::default())
                }
                None => Err(error),
            },
            Saved::Failed(error) => Err(unreadable("rules", error)),
        }
    }

    /// What has the proxy's protocol number. Whatever else of that number is neither a rule by mark nor a local route is
    /// somebody else's.
    fn read_routing(&mut self) -> Result<Routing, KernelError> {
        let unreadable = |error| routing_failed(error).while_doing("reading routing");
        let rules = self.links.rules().map_err(unreadable)?;
        let routes = self.links.routes_by(ROUTING_PROTOCOL).map_err(unreadable)?;
        let rules = rules.iter().filter_map(dummy_link::Rule::by_mark);
        let mut routing = Routing::default();
        routing
            .rules
            .extend(rules.filter(|rule| rule.protocol == ROUTING_PROTOCOL));
        routing
            .routes
            .extend(routes.iter().filter_map(dummy_link::Route::local));
        routing.rules.sort_unstable();
        routing.routes.sort_unstable();
        Ok(routing)
    }

    fn read_servers(&mut self) -> Result<Vec<ObservedServer>, KernelError> {
        let Some(ipvs) = &mut self.ipvs else {
            return Ok(Vec::new());
        };
        let table = ipvs
            .table()
            .map_err(|error| unreadable("virtual servers", error))?;
        let mut servers: Vec<_> = table
            .into_iter()
            .map(|entry| observed(&entry.server, &entry.destinations))
            .collect();
        servers.sort_by_key(|server| server.id);
        Ok(servers)
    }

    /// The destinations of some virtual servers, those left out that are not there.
    pub(crate) fn read_connections(
        &mut self,
        servers: &[VirtualServerId],
    ) -> Result<Vec<ServerConnections>, KernelError> {
        let Some(ipvs) = &mut self.ipvs else {
            return Ok(Vec::new());
        };
        let asked: BTreeSet<_> = servers.iter().copied().collect();
        let mut found = Vec::with_capacity(asked.len());
        for id in asked {
            match ipvs.destinations(id) {
                Ok(destinations) => {
                    let destinations = observed_destinations(&destinations);
                    found.push(ServerConnections::new(id, destinations));
                }
                Err(IpvsError::Refused(refusal)) if refusal.reason() == Reason::NoSuchService => {}
                Err(error) => {
                    return Err(unreadable(&format!("virtual server {id}"), error));
                }
            }
        }
        Ok(found)
    }

    /// The proxy's sets with their members, others without: those can be large, and nothing here depends
    /// on what is in them.
    fn read_sets(&mut self) -> Result<BTreeMap<SetName, Set>, KernelError> {
        let Some(ipset) = &mut self.ipset else {
            return Ok(BTreeMap::new());
        };
        let infos = ipset.headers().map_err(|error| unreadable("sets", error))?;
        let mut sets = BTreeMap::new();
        for info in infos {
            let name = info.spec.name;
            if SetId::owner(&name).is_none() {
                sets.insert(name, Set::new(info.spec));
                continue;
            }
            match ipset.list(name) {
                Ok(mut listed) => {
                    listed.set.entries.sort_unstable();
                    sets.insert(name, listed.set);
                }
                // Gone since: as if it had never been there.
                Err(error) if error.kind() == Some(SetErrorKind::NoSuchSet) => {}
                Err(error) => return Err(unreadable(&format!("set {name}"), error)),
            }
        }
        Ok(sets)
    }

    /// Link-local addresses are the kernel's own doing.
    fn read_addresses(&mut self) -> Result<Option<Vec<IpNetwork>>, KernelError> {
        let link_local = |bound: &IpNetwork| match bound.ip() {
            IpAddr::V6(v6) => v6.is_unicast_link_local(),
            IpAddr::V4(_) => false,
        };
        // A link of another kind under this name is somebody else's, and its addresses are not to be touched.
        let bound = self
            .links
            .dummy(self.link)
            .and_then(|_| self.links.addresses(self.link));
        match bound {
            Ok(bound) => Ok(Some(
                bound
                    .into_iter()
                    .filter(|bound| !link_local(bound))
                    .collect(),
            )),
            Err(LinkError::LinkMissing { .. }) => Ok(None),
            Err(error) => Err(unreadable("addresses", error)),
        }
    }

    fn read_sysctls(&self) -> Result<BTreeMap<Sysctl, i64>, KernelError> {
        let mut sysctls = BTreeMap::new();
        for sysctl in Sysctl::ALL {
            match fs::read_to_string(self.sysctls.join(sysctl.path())) {
                Ok(text) => {
                    let value = text.trim().parse();
                    let value = value.map_err(|error: std::num::ParseIntError| {
                        let message = format!("reading {sysctl}: {text:?} is not a number");
                        KernelError::new(KernelPart::Sysctl, KernelErrorKind::Unreadable, message)
                            .caused_by(error)
                    })?;
                    sysctls.insert(sysctl, value);
                }
                // Not on this kernel.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(sysctl_failed(&format!("reading {sysctl}"), error)),
            }
        }
        Ok(sysctls)
    }
}
