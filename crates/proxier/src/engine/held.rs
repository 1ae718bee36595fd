//! Which Service has a virtual server, and what a Service has.

use std::sync::Arc;

use ipvs_netlink::{DestinationId, VirtualServerId};

use super::Engine;
use super::tracked::{Tracked, granted};
use crate::cluster::ObjectName;
use crate::translate::{AddressKind, Claim};

/// A virtual server that a Service has.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Held {
    /// The virtual server; in iptables mode, the one that it would be.
    pub server: VirtualServerId,
    /// The name of the Service port, empty for a port without one.
    pub port: Arc<str>,
    /// Where packets to it may go.
    pub endpoints: Vec<DestinationId>,
}

impl Engine {
    /// The Service that has a virtual server, and the name of the port that it is for, as they were wanted when the last
    /// plan was made.
    #[must_use]
    pub fn holder(&self, id: &VirtualServerId) -> Option<(&ObjectName, &str)> {
        let service = self.wanted.holder(id)?;
        let claim = service.claims_of(id).first()?;
        Some((&service.rank.name, &claim.port))
    }

    /// What a Service has of what it claims, sorted by virtual server, as it was wanted when the last plan was made.
    #[must_use]
    pub fn held_by(&self, service: &ObjectName) -> Vec<Held> {
        let claimed = self.wanted.service(service);
        let claims = claimed.into_iter().flat_map(Tracked::by_id);
        let has = |id: &VirtualServerId| {
            let holder = self.wanted.holder(id);
            holder.is_some_and(|holder| holder.rank.name == *service)
        };
        let held = claims.filter_map(|claims| {
            let first = granted(claims).find(|claim| !is_rule_alone(claim))?;
            has(&first.id).then(|| Held {
                server: first.id,
                port: Arc::clone(&first.port),
                endpoints: endpoints(first),
            })
        });
        held.collect()
    }
}

/// Whether a claim is of a node port at any address, which is a rule of iptables mode and no address.
fn is_rule_alone(claim: &Claim) -> bool {
    let rules = claim.rules();
    rules.is_some_and(|rules| rules.address == AddressKind::NodePort)
}

fn endpoints(claim: &Claim) -> Vec<DestinationId> {
    let Some(rules) = claim.rules() else {
        return claim.destinations.iter().map(|one| one.id).collect();
    };
    let spec = &rules.spec;
    let mut endpoints: Vec<_> = spec.cluster.iter().chain(&*spec.local).collect();
    endpoints.sort_by_key(|endpoint| endpoint.id);
    endpoints.dedup_by_key(|endpoint| endpoint.id);
    endpoints.into_iter().map(|endpoint| endpoint.id).collect()
}
