//! What a Service claims, before it is settled who gets it.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddrV4};
use std::sync::Arc;

use ipset_netlink::Entry;
use ipvs_netlink::{Destination, DestinationConfig, VirtualServerConfig, VirtualServerId};

use super::iptables::PortClaim;
use crate::cluster::ObjectName;
use crate::conflict::{Conflict, Holder};
use crate::desired::Drain;
use crate::health::NoLocalEndpoints;
use crate::layout::nftables::Element;
use crate::layout::{MarkedRange, RangeRule, SetId, SourceRangeDrop};

/// One virtual server that a Service port wants, with all that comes with having it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Claim {
    pub(crate) id: VirtualServerId,
    /// Whether its address is the Service's cluster IP, which comes before all other claims.
    pub(crate) cluster_ip: bool,
    pub(crate) config: VirtualServerConfig,
    pub(crate) destinations: Arc<[Destination]>,
    /// Whether its address goes onto the proxy's link.
    pub(crate) bind: bool,
    pub(crate) entries: Vec<(SetId, Entry)>,
    /// How long a removed destination keeps its connections.
    pub(crate) drain: Drain,
    /// The name of the Service port.
    pub(crate) port: Arc<str>,
    /// What else comes with it. Boxed: claims are kept, and in ipvs mode's first layouts most have nothing else.
    pub(crate) extra: Option<Box<Extra>>,
}

/// What comes with a virtual server besides set members, depending on the layout.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Extra {
    /// A rule that drops whoever is not in the source ranges.
    Drop(SourceRangeDrop),
    /// What goes into the table of nf_tables.
    Elements(Vec<Element>),
    /// A rule that marks packets, in layouts with ipset.
    Marked(MarkedRange),
    /// What it means in iptables mode.
    Rules(PortClaim),
}

/// All that a Service wants.
#[derive(Debug, Default)]
pub(crate) struct ServiceClaims {
    pub(crate) claims: Vec<Claim>,
    /// Set members that come with no virtual server.
    pub(crate) entries: Vec<(SetId, Entry)>,
    /// Elements of nf_tables that come with no virtual server.
    pub(crate) elements: Vec<Element>,
    /// Ranges of ports in layouts with ipset, and what comes with them.
    pub(crate) ranges: Vec<RangeRule>,
    /// Whether a policy finds no endpoint on this node where there are some elsewhere.
    pub(crate) no_local: NoLocalEndpoints<bool>,
    /// Claims that are refused whoever else claims the same, since the address is not a Service's.
    pub(crate) refused: Vec<Conflict>,
}

impl ServiceClaims {
    /// Takes out what a node port has at loopback addresses, as a claim of one of them.
    pub(crate) fn take_loopback(&mut self, at: Ipv4Addr) -> Option<Claim> {
        let mut elements = BTreeSet::new();
        let mut take = |of: &mut Vec<Element>| {
            of.retain(|element| {
                let is_taken = element.set().is_of_loopback();
                elements.extend(is_taken.then_some(*element));
                !is_taken
            });
        };
        take(&mut self.elements);
        for claim in &mut self.claims {
            if let Some(Extra::Elements(elements)) = claim.extra.as_deref_mut() {
                take(elements);
            }
        }
        let port = elements.iter().find_map(|element| match element {
            Element::LoopbackPort(port) => Some(*port),
            _ => None,
        })?;
        let endpoints: BTreeSet<_> = elements
            .iter()
            .filter_map(|element| match element {
                Element::LoopbackEndpoint(.., to) => Some(*to),
                _ => None,
            })
            .collect();
        let destination = |to: SocketAddrV4| Destination {
            id: (IpAddr::V4(*to.ip()), to.port()).into(),
            config: DestinationConfig::masquerade(1),
        };
        Some(Claim {
            id: VirtualServerId::Address {
                protocol: port.protocol,
                address: at.into(),
                port: port.port,
            },
            destinations: endpoints.into_iter().map(destination).collect(),
            bind: false,
            cluster_ip: false,
            entries: Vec::new(),
            extra: Some(Box::new(Extra::Elements(elements.into_iter().collect()))),
            ..self.claims.first()?.clone()
        })
    }
}

impl Claim {
    /// The rule that drops whoever is not in the source ranges.
    pub(crate) fn drop(&self) -> Option<SourceRangeDrop> {
        match self.extra.as_deref()? {
            Extra::Drop(drop) => Some(*drop),
            Extra::Elements(_) | Extra::Marked(_) | Extra::Rules(_) => None,
        }
    }

    /// What it means in iptables mode.
    pub(crate) fn rules(&self) -> Option<&PortClaim> {
        match self.extra.as_deref()? {
            Extra::Rules(rules) => Some(rules),
            Extra::Drop(_) | Extra::Elements(_) | Extra::Marked(_) => None,
        }
    }

    /// What marks packets.
    pub(crate) fn marked(&self) -> Option<&MarkedRange> {
        match self.extra.as_deref()? {
            Extra::Marked(range) => Some(range),
            Extra::Drop(_) | Extra::Elements(_) | Extra::Rules(_) => None,
        }
    }

    /// What goes into the table of nf_tables.
    pub(crate) fn elements(&self) -> &[Element] {
        match self.extra.as_deref() {
            Some(Extra::Elements(elements)) => elements,
            _ => &[],
        }
    }

    /// Whether it is a node port at loopback addresses, which rules of nf_tables serve without a virtual server.
    pub(crate) fn is_at_loopback(&self) -> bool {
        let mut elements = self.elements().iter();
        elements.any(|element| element.set().is_of_loopback())
    }

    /// Of claims of one virtual server, those that sort first come before the others: cluster IPs, then the order of
    /// the Services' seniority. `translate` sorts by it, and so does the engine's queue; the property
    /// `the_engine_comes_to_what_the_full_path_comes_to` holds the two together.
    pub(crate) const fn precedence(&self) -> Precedence {
        if self.cluster_ip {
            Precedence::ClusterIp
        } else {
            Precedence::Other
        }
    }

    /// Why this claim of a Service is refused where another claim comes first; `None` if it is granted along with
    /// it, as those of one Service port are.
    pub(crate) fn refused_by(
        &self,
        service: &ObjectName,
        (holder, first): (&ObjectName, &Self),
    ) -> Option<Conflict> {
        let refused = (service, &self.port) != (holder, &first.port);
        refused.then(|| {
            let holder = holder.clone();
            let holder = match first.precedence() {
                Precedence::ClusterIp => Holder::ClusterIp(holder),
                Precedence::Other => Holder::Service(holder),
            };
            self.conflict(service, holder)
        })
    }

    pub(super) fn conflict(&self, service: &ObjectName, holder: Holder) -> Conflict {
        Conflict {
            service: service.clone(),
            port: Arc::clone(&self.port),
            family: self.id.family(),
            server: self.id,
            holder,
        }
    }
}

/// Which claims of one virtual server come first, whatever the seniority of their Services.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Precedence {
    ClusterIp,
    Other,
}
