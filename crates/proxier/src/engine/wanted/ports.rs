//! What Services have in iptables mode: the rules of their ports, and where their addresses lead.

use std::collections::BTreeSet;

use ipvs_netlink::{DestinationId, VirtualServerId};

use super::Wanted;
use crate::cluster::{Family, ObjectName};
use crate::engine::tracked::granted;
use crate::layout::PortRules;
use crate::translate::{AddressKind, PortClaim, Ports};

impl Wanted {
    /// The ports of all Services with the addresses that they have, in iptables mode.
    pub(in crate::engine) fn all_ports(&self, family: Family) -> Vec<PortRules> {
        let mut ports = Ports::default();
        for name in self.services.keys() {
            self.grant(family, name, &mut ports);
        }
        ports.into_sorted()
    }

    /// The same of some Services.
    pub(in crate::engine) fn ports(
        &self,
        family: Family,
        names: &BTreeSet<ObjectName>,
    ) -> Vec<PortRules> {
        let mut ports = Ports::default();
        for name in names {
            self.grant(family, name, &mut ports);
        }
        ports.into_sorted()
    }

    /// The addresses that a Service has in iptables mode, with the endpoints that they lead to.
    pub(in crate::engine) fn rule_targets(
        &self,
        name: &ObjectName,
    ) -> Vec<(VirtualServerId, Vec<DestinationId>)> {
        let mut targets = Vec::new();
        self.each_granted(name, &mut |id, rules| {
            let spec = &rules.spec;
            let endpoints = spec.cluster.iter().chain(spec.local.iter());
            if rules.address != AddressKind::NodePort {
                targets.push((id, endpoints.map(|endpoint| endpoint.id).collect()));
            }
        });
        targets
    }

    fn grant(&self, family: Family, name: &ObjectName, ports: &mut Ports) {
        self.each_granted(name, &mut |id, rules| {
            if id.family() == family {
                ports.grant(id, rules);
            }
        });
    }

    fn each_granted(&self, name: &ObjectName, each: &mut dyn FnMut(VirtualServerId, &PortClaim)) {
        let Some(service) = self.services.get(name) else {
            return;
        };
        let has = |id: &VirtualServerId| {
            let first = self.claimants.get(id)?.claimants().first()?;
            Some(first.rank.name == *name)
        };
        for claims in service.by_id() {
            if claims
                .first()
                .is_some_and(|first| has(&first.id) == Some(true))
            {
                for claim in granted(claims) {
                    if let Some(rules) = claim.rules() {
                        each(claim.id, rules);
                    }
                }
            }
        }
    }
}
