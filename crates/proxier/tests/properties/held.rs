//! What a kernel holds in the end: the proxy's own as it should be, and what is foreign as it was.

use std::collections::{BTreeMap, BTreeSet};

use ipset_netlink::{Set, SetName};
use iptables_restore::Rule;
use ipvs_netlink::{Connections, VirtualServerId};
use proxier::cluster::Family;
use proxier::{Desired, Layout, Observed, ObservedServer, ObservedTable, SetId};
use proxier_manifest::Snapshot;

/// The same state with all connections ended.
pub(crate) fn without_connections(state: &Observed) -> Observed {
    let mut state = state.clone();
    for server in &mut state.servers {
        server
            .destinations
            .iter_mut()
            .for_each(|d| d.connections = Connections::default());
    }
    state
}

/// What of a state is the proxy's, comparable whatever it was made of: sets without the room they were
/// found with, lines in order.
pub(crate) fn own(desired: &Desired, state: &Observed) -> Snapshot {
    let mut own = state.clone();
    own.servers
        .retain(|server| desired.owns(&server.id, state) || desired.server(&server.id).is_some());
    own.sets.retain(|name, _| SetId::owner(name).is_some());
    for set in own.sets.values_mut() {
        set.spec.options.maxelem = None;
        set.spec.options.hashsize = None;
    }
    let mut own = Snapshot::of(&own);
    own.sysctl.clear();
    own.ipvs_timeouts.clear();
    for lines in [&mut own.iptables, &mut own.ip6tables] {
        let mut table = String::new();
        for line in lines.iter_mut() {
            if let Some(name) = line.strip_prefix('*') {
                table = name.to_owned();
            } else if line.starts_with("-A ") {
                *line = format!("{line} # {table}");
            }
        }
        lines.retain(|line| line.starts_with("-A ") && line.contains("KUBE-"));
        // Only these chains' order depends on how it came about, and does not matter.
        let any_order = |chain: &str| match desired.layout {
            Layout::Iptables => scenarios::ANY_ORDER.contains(&chain),
            _ => chain == "KUBE-IPVS-OUT-FILTER",
        };
        let chain_of = |line: &String| line.split(' ').nth(1).unwrap_or_default().to_owned();
        lines.sort_by_key(|line| {
            let (chain, table) = (chain_of(line), line.split(" # ").last().map(str::to_owned));
            let rule = any_order(&chain).then(|| line.clone());
            (chain, table, rule)
        });
    }
    own
}

/// What every layout and mode may have left is gone.
pub(crate) fn assert_nothing_left(desired: &Desired, state: &Observed) {
    assert_holds(desired, state);
    let own = own(desired, state);
    // A chain that others write too stays with what is theirs, and so do the jumps to it.
    let shared = |line: &&String| {
        line.contains("KUBE-FIREWALL")
            || line.contains("KUBE-MARK-DROP")
            || line.contains("-j MINE")
    };
    for lines in [&own.iptables, &own.ip6tables] {
        let left: Vec<_> = lines.iter().filter(|line| !shared(line)).collect();
        assert!(left.is_empty(), "{left:#?}");
    }
    assert!(own.ipset.is_empty(), "{:?}", own.ipset);
    assert_eq!(state.addresses, None);
}

/// All rules, but for those there is one of for each load balancer address.
pub(crate) fn rules_but_drops(state: &Observed) -> Vec<String> {
    let snapshot = Snapshot::of(state);
    let lines = snapshot.iptables.into_iter().chain(snapshot.ip6tables);
    lines
        .filter(|line| !line.starts_with("-A KUBE-IPVS-OUT-FILTER"))
        .collect()
}

/// The kernel holds what it should.
pub(crate) fn assert_holds(desired: &Desired, state: &Observed) {
    for wanted in &desired.servers {
        let found = state
            .server(&wanted.id)
            .unwrap_or_else(|| panic!("{} is missing", wanted.id));
        assert_eq!(found.config, wanted.config);
        for destination in wanted.destinations.iter() {
            assert!(
                found
                    .destinations
                    .iter()
                    .any(|d| d.destination == *destination)
            );
        }
        for extra in found
            .destinations
            .iter()
            .filter(|d| !wanted.destinations.contains(&d.destination))
        {
            assert!(
                extra.destination.config.weight == 0 && extra.connections.active > 0,
                "{extra:?}"
            );
        }
    }
    for server in &state.servers {
        let drains = matches!(server.id, VirtualServerId::FirewallMark { .. })
            && server
                .destinations
                .iter()
                .all(|d| d.destination.config.weight == 0)
            && server.destinations.iter().any(|d| d.connections.active > 0);
        assert!(
            desired.server(&server.id).is_some() || drains || !desired.owns(&server.id, state),
            "{}",
            server.id
        );
    }
    let bound: BTreeSet<_> = state
        .addresses
        .iter()
        .flatten()
        .map(ipnetwork::IpNetwork::ip)
        .collect();
    assert_eq!(bound, desired.addresses);
    for (name, set) in &state.sets {
        let Some((family, id)) = SetId::owner(name) else {
            continue;
        };
        let wanted = desired
            .families
            .get(family)
            .as_ref()
            .and_then(|f| f.set(id));
        let wanted = wanted.unwrap_or_else(|| panic!("{name} should be gone"));
        assert_eq!(wanted.spec.name, *name, "left over from a swap");
        assert_eq!(set.entries, wanted.entries, "{name}");
    }
    for family in Family::ALL {
        for wanted in desired
            .families
            .get(family)
            .iter()
            .flat_map(|state| &state.sets)
        {
            assert!(
                state.sets.contains_key(&wanted.spec.name),
                "{} is missing",
                wanted.spec.name
            );
        }
    }
    assert_eq!(state.addresses.is_some(), desired.link);
    assert_eq!(state.routing, desired.routing);
    for family in Family::ALL {
        let (wanted, found) = (desired.tables.get(family), state.tables.get(family));
        let wanted = wanted
            .as_ref()
            .map(|wanted| ObservedTable::new(wanted.rules.structure(), wanted.elements.clone()));
        assert_eq!(*found, wanted);
    }
    for (sysctl, value) in &desired.sysctls {
        assert_eq!(state.sysctls.get(sysctl), Some(value));
    }
}

/// The virtual servers found that are the proxy's to remove.
pub(crate) fn owned(desired: &Desired, found: &Observed) -> BTreeSet<VirtualServerId> {
    let ids = found.servers.iter().map(|server| server.id);
    ids.filter(|id| desired.owns(id, found)).collect()
}

/// A state without the virtual servers that no Service wants and that are not recognized as the proxy's.
pub(crate) fn without_unrecognized(desired: &Desired, state: &Observed) -> Observed {
    let mut known = state.clone();
    known
        .servers
        .retain(|server| desired.server(&server.id).is_some() || desired.owns(&server.id, state));
    known
}

/// A state without the virtual servers by mark that only wait for their connections to end. Those of ranges go at once; but once
/// the elements of their mark are gone, nothing tells a plan any more that it was one of ranges, and it lets them drain.
pub(crate) fn without_drained(desired: &Desired, state: &Observed) -> Observed {
    let mut rest = state.clone();
    rest.servers.retain(|server| {
        let is_by_mark = matches!(server.id, VirtualServerId::FirewallMark { .. });
        let mut destinations = server.destinations.iter();
        let drains = destinations.all(|found| found.destination.config.weight == 0);
        !(is_by_mark && drains) || desired.server(&server.id).is_some()
    });
    rest
}

/// What is not the proxy's is as it was. `made` has what the proxy is known to have made, recognized or not.
pub(crate) fn assert_foreign_untouched(
    desired: &Desired,
    made: &BTreeSet<VirtualServerId>,
    before: &Observed,
    after: &Observed,
) {
    let owned = owned(desired, before);
    let foreign_servers = |state: &Observed| -> BTreeMap<VirtualServerId, ObservedServer> {
        let foreign = state.servers.iter().filter(|server| {
            let id = &server.id;
            !owned.contains(id) && !made.contains(id) && desired.server(id).is_none()
        });
        foreign.map(|server| (server.id, server.clone())).collect()
    };
    assert_eq!(foreign_servers(before), foreign_servers(after));
    let foreign_sets = |state: &Observed| -> BTreeMap<SetName, Set> {
        let foreign = state
            .sets
            .iter()
            .filter(|(name, _)| SetId::owner(name).is_none());
        foreign.map(|(name, set)| (*name, set.clone())).collect()
    };
    assert_eq!(foreign_sets(before), foreign_sets(after));
    let foreign_rules = |state: &Observed| -> Vec<Rule> {
        let tables = Family::ALL
            .into_iter()
            .flat_map(|family| &state.rules.get(family).tables);
        let chains = tables.flat_map(|table| &table.chains);
        let chains = chains.filter(|chain| !chain.name.as_str().starts_with("KUBE-"));
        let rules = chains.flat_map(|chain| chain.rules.clone());
        let own = |rule: &Rule| {
            let target = rule.target.as_ref().and_then(|target| target.chain());
            target.is_some_and(|target| target.starts_with("KUBE-"))
        };
        rules.filter(|rule| !own(rule)).collect()
    };
    assert_eq!(foreign_rules(before), foreign_rules(after));
}
