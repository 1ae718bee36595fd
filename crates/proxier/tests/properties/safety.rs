//! What must hold at every moment while a plan is carried out.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnetwork::IpNetwork;
use ipset_netlink::{Element, Entry, SetName};
use iptables_restore::{Chain, Rule, Target};
use ipvs_netlink::{Protocol, VirtualServerId};
use proxier::cluster::{Family, Host};
use proxier::{Desired, LINK, Observed, SetId};

use crate::{held, localnet, marks, ranges};

/// The sets whose members have traffic masqueraded, or let it through as the policy says.
const SERVING: [SetId; 7] = [
    SetId::ClusterIp,
    SetId::ExternalIp,
    SetId::ExternalIpLocal,
    SetId::LoadBalancer,
    SetId::NodePortTcp,
    SetId::NodePortUdp,
    SetId::NodePortSctp,
];

pub(crate) const EXEMPTING: [SetId; 4] = [
    SetId::LoadBalancerLocal,
    SetId::NodePortLocalTcp,
    SetId::NodePortLocalUdp,
    SetId::NodePortLocalSctp,
];

/// Looks at states on the way from one that was found to the one desired. What was wrong when it was found
/// is not held against the plan; everything else is.
pub(crate) struct Watch<'a> {
    desired: &'a Desired,
    local: BTreeSet<IpAddr>,
    /// Addresses found bound with no virtual server.
    orphans: BTreeSet<IpAddr>,
    /// By which sets each virtual server is served in the end, and by which it was when found.
    wanted: BTreeMap<VirtualServerId, BTreeSet<SetId>>,
    /// Virtual servers found that are the proxy's to remove.
    owned: BTreeSet<VirtualServerId>,
    found: BTreeMap<VirtualServerId, BTreeSet<SetId>>,
    /// Those that could be reached when found, though nothing served them.
    neglected: BTreeSet<VirtualServerId>,
    /// Exempted from masquerading when found, though with destinations that should not be.
    exposed: BTreeSet<VirtualServerId>,
    /// Whether loopback addresses were open to others when found.
    open: bool,
    tables: marks::Watch<'a>,
    ranges: ranges::Watch<'a>,
}

impl<'a> Watch<'a> {
    pub(crate) fn new(desired: &'a Desired, host: &Host, found: &Observed) -> Self {
        let links = host.links.iter().filter(|(link, _)| link.as_str() != LINK);
        let mut local: BTreeSet<_> = links.flat_map(|(_, a)| a).map(IpNetwork::ip).collect();
        local.insert("127.0.0.1".parse().unwrap());
        local.insert("::1".parse().unwrap());
        let mut wanted: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
        for family in Family::ALL {
            let sets = desired
                .families
                .get(family)
                .iter()
                .flat_map(|state| &state.sets);
            for set in sets.filter(|set| SERVING.contains(&set.id)) {
                for server in desired.servers.iter().filter(|s| of(s.id) == Some(family)) {
                    if set.entries.iter().any(|e| reaches(set.id, e, server.id)) {
                        wanted.entry(server.id).or_default().insert(set.id);
                    }
                }
            }
        }
        let mut watch = Self {
            desired,
            local,
            orphans: BTreeSet::new(),
            wanted,
            owned: held::owned(desired, found),
            found: BTreeMap::new(),
            neglected: BTreeSet::new(),
            exposed: BTreeSet::new(),
            open: localnet::is_open(found),
            tables: marks::Watch::new(desired, found),
            ranges: ranges::Watch::new(desired, found),
        };
        watch.orphans = orphans(found);
        let ways = Ways::of(found);
        for server in &found.servers {
            let serving = ways.serving(found, server.id).collect();
            watch.found.insert(server.id, serving);
        }
        let neglected: Vec<_> = found
            .servers
            .iter()
            .map(|s| s.id)
            .filter(|id| watch.is_neglected(found, &ways, *id))
            .collect();
        watch.neglected.extend(neglected);
        watch.exposed = watch.exposed(found);
        watch
    }

    /// What is wrong with a state.
    pub(crate) fn problems(&self, state: &Observed) -> Vec<String> {
        self.problems_by(state, &Ways::of(state))
    }

    /// The same where the ways of packets are known already.
    pub(crate) fn problems_by(&self, state: &Observed, ways: &Ways) -> Vec<String> {
        let mut problems = Vec::new();
        for address in orphans(state).difference(&self.orphans) {
            problems.push(format!("{address} is bound and has no virtual server"));
        }
        for name in &ways.names {
            if !state.sets.contains_key(name) {
                problems.push(format!("a rule names the set {name}, which is missing"));
            }
        }
        for server in state
            .servers
            .iter()
            .filter(|s| !self.neglected.contains(&s.id))
        {
            // What is somebody else's is theirs to serve.
            let ours = self.owned.contains(&server.id) || self.desired.server(&server.id).is_some();
            if ours && self.is_neglected(state, ways, server.id) {
                problems.push(format!(
                    "{} can be reached and is not masqueraded",
                    server.id
                ));
            }
        }
        for id in self.exposed(state).difference(&self.exposed) {
            problems.push(format!("{id} is exempted and sends to endpoints elsewhere"));
        }
        if !self.open && localnet::is_open(state) {
            problems.push("loopback addresses are open to others".to_owned());
        }
        problems.extend(self.tables.problems(state));
        problems.extend(self.ranges.problems(state));
        problems
    }

    fn reachable(&self, state: &Observed, id: VirtualServerId) -> bool {
        match id {
            VirtualServerId::Address { address, .. } => {
                self.local.contains(&address) || state.binds(address)
            }
            VirtualServerId::FirewallMark { .. } => false,
        }
    }

    /// Whether traffic gets to it though neither what served it when found nor what shall serve it does.
    fn is_neglected(&self, state: &Observed, ways: &Ways, id: VirtualServerId) -> bool {
        let empty = BTreeSet::new();
        let wanted = self.wanted.get(&id).unwrap_or(&empty);
        let found = self.found.get(&id).unwrap_or(&empty);
        let neither = wanted.is_empty() && found.is_empty();
        if neither || !self.reachable(state, id) || marks::leads_to(state, id) {
            return false;
        }
        let serving: BTreeSet<_> = ways.serving(state, id).collect();
        let by = |sets: &BTreeSet<SetId>| !sets.is_empty() && sets.is_subset(&serving);
        !by(wanted) && !by(found)
    }

    /// Virtual servers that are exempted and should be, but still send to endpoints they should not.
    fn exposed(&self, state: &Observed) -> BTreeSet<VirtualServerId> {
        let members = |family| {
            EXEMPTING.into_iter().filter_map(move |set| {
                let members = state.sets.get(&set.name(family))?;
                (!members.entries.is_empty()).then_some((set, members))
            })
        };
        let members: [Vec<_>; 2] = Family::ALL.map(|family| members(family).collect());
        let exempted = |id: VirtualServerId| {
            let members = &members[of(id).map_or(0, |family| family as usize)];
            members
                .iter()
                .any(|(set, members)| members.entries.iter().any(|entry| reaches(*set, entry, id)))
        };
        let exposed = state.servers.iter().filter(|server| {
            exempted(server.id)
                && self.desired.server(&server.id).is_some_and(|wanted| {
                    let active = server
                        .destinations
                        .iter()
                        .filter(|d| d.destination.config.weight > 0);
                    active
                        .clone()
                        .any(|d| !wanted.destinations.iter().any(|w| w.id == d.destination.id))
                })
        });
        exposed.map(|server| server.id).collect()
    }
}

/// What rules do with packets to virtual servers.
pub(crate) struct Ways {
    /// The sets that any rule names.
    names: BTreeSet<SetName>,
    /// The sets whose members have their traffic masqueraded, with their names.
    serving: Vec<(Family, SetId, SetName)>,
}

impl Ways {
    pub(crate) fn of(state: &Observed) -> Self {
        let mut ways = Self {
            names: BTreeSet::new(),
            serving: Vec::new(),
        };
        for family in Family::ALL {
            let tables = &state.rules.get(family).tables;
            let chains = tables.iter().flat_map(|table| &table.chains);
            let named = chains
                .flat_map(|chain| &chain.rules)
                .flat_map(Rule::set_names);
            ways.names
                .extend(named.map(|name| name.parse::<SetName>().unwrap()));
            let nat = tables
                .iter()
                .find(|t| t.name == iptables_restore::TableName::Nat);
            let nat = nat.map_or(&[][..], |table| &table.chains);
            let serving = SERVING
                .into_iter()
                .map(|set| (family, set, set.name(family)));
            if masquerades(nat) {
                ways.serving
                    .extend(serving.filter(|(_, _, name)| matched(nat, name)));
            }
        }
        ways
    }

    /// The sets that serve a virtual server: it is reached by a member, a rule names the set, and packets
    /// come by that rule.
    fn serving(&self, state: &Observed, id: VirtualServerId) -> impl Iterator<Item = SetId> {
        let own = self
            .serving
            .iter()
            .filter(move |(family, ..)| Some(*family) == of(id));
        own.filter_map(move |(_, set, name)| {
            let members = state.sets.get(name)?;
            members
                .entries
                .iter()
                .any(|entry| reaches(*set, entry, id))
                .then_some(*set)
        })
    }
}

fn jumps(nat: &[Chain], from: &str, to: &str) -> bool {
    nat.iter().any(|chain| {
        chain.name == from
            && chain
                .rules
                .iter()
                .any(|r| r.target.as_ref().and_then(|t| t.chain()) == Some(to))
    })
}

/// Whether marked packets are masqueraded, and packets come to where they are marked.
fn masquerades(nat: &[Chain]) -> bool {
    jumps(nat, "PREROUTING", "KUBE-SERVICES")
        && jumps(nat, "OUTPUT", "KUBE-SERVICES")
        && jumps(nat, "POSTROUTING", "KUBE-POSTROUTING")
        && nat.iter().any(|chain| {
            chain.name == "KUBE-POSTROUTING"
                && chain
                    .rules
                    .iter()
                    .any(|r| matches!(r.target, Some(Target::Masquerade(_))))
        })
        && nat
            .iter()
            .any(|chain| chain.name == "KUBE-MARK-MASQ" && !chain.rules.is_empty())
}

/// Whether packets come by a rule that names a set.
fn matched(nat: &[Chain], set: &SetName) -> bool {
    nat.iter().any(|chain| {
        (chain.name == "KUBE-SERVICES"
            || chain.name == "KUBE-NODE-PORT" && jumps(nat, "KUBE-SERVICES", "KUBE-NODE-PORT"))
            && chain
                .rules
                .iter()
                .any(|rule| rule.set_names().any(|n| n == set.as_str()))
    })
}

fn of(id: VirtualServerId) -> Option<Family> {
    match id {
        VirtualServerId::Address { address, .. } => Some(Family::of(address)),
        VirtualServerId::FirewallMark { .. } => None,
    }
}

fn orphans(state: &Observed) -> BTreeSet<IpAddr> {
    let served: BTreeSet<_> = state
        .servers
        .iter()
        .filter_map(|server| match server.id {
            VirtualServerId::Address { address, .. } => Some(address),
            VirtualServerId::FirewallMark { .. } => None,
        })
        .collect();
    let bound = state.addresses.iter().flatten().map(IpNetwork::ip);
    bound.filter(|address| !served.contains(address)).collect()
}

/// Whether a set member is there for a virtual server: worked out here, not by the library.
fn reaches(set: SetId, entry: &Entry, id: VirtualServerId) -> bool {
    let VirtualServerId::Address {
        protocol,
        address,
        port,
    } = id
    else {
        return false;
    };
    match entry.element() {
        Element::Port(ports) => {
            let of = match set {
                SetId::NodePortTcp | SetId::NodePortLocalTcp => Protocol::TCP,
                _ => Protocol::UDP,
            };
            protocol == of && ports.first() == port
        }
        Element::IpPort(addresses, ports) => {
            let same = (ports.protocol().0, ports.port_range().first()) == (protocol.0, port);
            same && addresses.as_ip() == Some(address)
        }
        _ => false,
    }
}
