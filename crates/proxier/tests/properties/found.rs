//! States found: what an earlier run left, in part, changed by somebody, beside what is foreign.

use std::collections::BTreeSet;

use ipset_netlink::{Entry, Family as SetFamily, Set, SetName, SetSpec, SetType};
use iptables_restore::{Rule, Ruleset, Target};
use ipvs_netlink::Connections;
use proptest::collection::vec;
use proptest::prelude::*;
use proxier::cluster::Family;
use proxier::dummy_link::Table;
use proxier::nftables::{Element, Options, Routing};
use proxier::{Kernel, MemoryKernel, Observed, ObservedTable, SetId, reconcile, translate};
use proxier_manifest::Snapshot;

use crate::strategies::{cluster, config, host};

/// Something that somebody did to the state an earlier run left.
#[derive(Clone, Debug)]
pub(crate) enum Meddling {
    LoseServer(usize),
    LoseDestination(usize),
    Weigh(usize, u32),
    Connect(usize, u32),
    LoseEntry(usize),
    AddEntry(u16),
    LoseRule(usize),
    AddRule(usize),
    LoseAddress(usize),
    AddAddress(u8),
    /// A set with less or more room, or with timeouts.
    Remake(usize, u8),
    /// A set of another type under one of the proxy's names.
    Misfit(usize),
    LoseSet(usize),
    LeftOver(usize),
    LoseLink,
    LoseTable(usize),
    LoseElement(usize),
    /// A cluster IP, or an endpoint, that is gone.
    StaleElement(u8),
    /// An element that the proxy does not make.
    ForeignElement(usize),
    LoseChain(usize),
    LoseRouting(usize),
    StaleRouting(u32),
}

pub(crate) fn meddling() -> impl Strategy<Value = Meddling> {
    let n = || any::<prop::sample::Index>().prop_map(|index| index.index(1 << 16));
    prop_oneof![
        n().prop_map(Meddling::LoseServer),
        n().prop_map(Meddling::LoseDestination),
        (n(), 0..3u32).prop_map(|(n, weight)| Meddling::Weigh(n, weight)),
        (n(), 1..9u32).prop_map(|(n, active)| Meddling::Connect(n, active)),
        n().prop_map(Meddling::LoseEntry),
        any::<u16>().prop_map(Meddling::AddEntry),
        n().prop_map(Meddling::LoseRule),
        n().prop_map(Meddling::AddRule),
        n().prop_map(Meddling::LoseAddress),
        (1..9u8).prop_map(Meddling::AddAddress),
        (n(), 0..3u8).prop_map(|(n, how)| Meddling::Remake(n, how)),
        n().prop_map(Meddling::Misfit),
        n().prop_map(Meddling::LoseSet),
        n().prop_map(Meddling::LeftOver),
        Just(Meddling::LoseLink),
        n().prop_map(Meddling::LoseTable),
        n().prop_map(Meddling::LoseElement),
        (1..9u8).prop_map(Meddling::StaleElement),
        n().prop_map(Meddling::ForeignElement),
        n().prop_map(Meddling::LoseChain),
        n().prop_map(Meddling::LoseRouting),
        (1..9u32).prop_map(Meddling::StaleRouting),
    ]
}

pub(crate) fn found() -> impl Strategy<Value = Observed> {
    let earlier = proptest::option::weighted(0.8, (cluster(), host(), config()));
    (earlier, vec(meddling(), 0..6), any::<bool>()).prop_map(|(earlier, meddlings, foreign)| {
        let mut kernel = MemoryKernel::new();
        if let Some((cluster, host, config)) = earlier {
            let desired = translate(&cluster, &host, &config);
            let plan = reconcile(&desired, &kernel.state());
            assert!(kernel.apply(&plan).is_ok());
        }
        let mut state = kernel.state();
        if foreign {
            add_foreign(&mut state);
        }
        for meddling in meddlings {
            meddle(&mut state, &meddling);
        }
        state
    })
}

fn add_foreign(state: &mut Observed) {
    let mut foreign = Snapshot::default();
    foreign.ipvs = [
        "-A -t 172.31.0.5:80 -s wlc",
        "-a -t 172.31.0.5:80 -r 10.9.0.1:80 -m -w 3",
        "-A -f 7 -s rr",
        "-a -f 7 -r 10.9.0.1:0 -m -w 1",
    ]
    .map(Into::into)
    .to_vec();
    foreign.ipset = vec![
        "create MY-SET hash:ip family inet hashsize 1024 maxelem 65536".into(),
        "add MY-SET 10.9.9.9".into(),
    ];
    let foreign = foreign.state().unwrap();
    for server in foreign.servers {
        if state.server(&server.id).is_none() {
            state.servers.push(server);
        }
    }
    state.servers.sort_by_key(|server| server.id);
    state.sets.extend(foreign.sets);
    // Under one of the proxy's chains' names is nothing foreign; a rule beside its jumps is.
    let nat = "*nat\n:PREROUTING ACCEPT\n:INPUT ACCEPT\n:OUTPUT ACCEPT\n:POSTROUTING ACCEPT\n:MINE -\n\
               -A POSTROUTING -s 10.77.0.0/16 -j MINE\n-A MINE -m set --match-set MY-SET src -j DROP\nCOMMIT\n";
    let nat = Ruleset::parse(nat).unwrap();
    let rules = &mut state.rules.v4;
    match rules.table_mut(&nat.tables[0].name) {
        None => rules.tables.extend(nat.tables),
        Some(table) => {
            for chain in &nat.tables[0].chains {
                match table.chain_mut(chain.name.as_str()) {
                    Some(known) => known.rules.extend(chain.rules.iter().cloned()),
                    None => table.chains.push(chain.clone()),
                }
            }
        }
    }
}

fn pick<T>(n: usize, items: &mut [T]) -> Option<&mut T> {
    let count = items.len().max(1);
    items.get_mut(n % count)
}

fn own_sets(state: &mut Observed) -> Vec<&mut Set> {
    state
        .sets
        .values_mut()
        .filter(|set| SetId::owner(&set.spec.name).is_some())
        .collect()
}

pub(crate) fn meddle(state: &mut Observed, meddling: &Meddling) {
    match *meddling {
        Meddling::LoseServer(n) => {
            let count = state.servers.len().max(1);
            if n % count < state.servers.len() {
                state.servers.remove(n % count);
            }
        }
        Meddling::LoseDestination(n) => {
            if let Some(server) = pick(n, &mut state.servers) {
                server.destinations.pop();
            }
        }
        Meddling::Weigh(n, weight) => {
            if let Some(server) = pick(n, &mut state.servers) {
                server
                    .destinations
                    .iter_mut()
                    .for_each(|d| d.destination.config.weight = weight);
            }
        }
        Meddling::Connect(n, active) => {
            if let Some(server) = pick(n, &mut state.servers) {
                let connections = Connections {
                    active,
                    ..Connections::default()
                };
                server
                    .destinations
                    .iter_mut()
                    .for_each(|d| d.connections = connections);
            }
        }
        Meddling::LoseEntry(n) => {
            if let Some(set) = pick(n, &mut own_sets(state)) {
                set.entries.pop();
            }
        }
        Meddling::AddEntry(port) => {
            let stale = Entry::port(port);
            for set in own_sets(state) {
                if set.spec.check(&stale).is_ok() && !set.entries.contains(&stale) {
                    set.entries.push(stale.clone());
                    set.entries.sort();
                }
            }
        }
        Meddling::LoseRule(n) => {
            for chain in own_chains(state) {
                if n % 3 == 0 {
                    chain.rules.pop();
                }
            }
        }
        Meddling::AddRule(n) => {
            let mut chains = own_chains(state);
            if let Some(chain) = pick(n, &mut chains) {
                chain.rules.insert(0, Rule::new().jump(Target::Return));
            }
        }
        Meddling::LoseAddress(n) => {
            if let Some(addresses) = &mut state.addresses {
                let count = addresses.len().max(1);
                if n % count < addresses.len() {
                    addresses.remove(n % count);
                }
            }
        }
        Meddling::AddAddress(last) => {
            if let Some(addresses) = &mut state.addresses {
                let stale = format!("10.0.0.{last}/32").parse().unwrap();
                if !addresses.contains(&stale) {
                    addresses.push(stale);
                    addresses.sort();
                }
            }
        }
        Meddling::Remake(n, how) => {
            if let Some(set) = pick(n, &mut own_sets(state)) {
                let options = &mut set.spec.options;
                match how {
                    0 if options.maxelem.is_some() && set.entries.len() < 16 => {
                        options.maxelem = Some(16);
                    }
                    1 if options.maxelem.is_some() => options.maxelem = Some(1 << 20),
                    _ => options.counters = true,
                }
            }
        }
        Meddling::Misfit(n) => {
            if let Some(set) = pick(n, &mut own_sets(state)) {
                set.spec = SetSpec::hash(set.spec.name, SetType::HASH_NET, SetFamily::V4);
                set.entries = vec![Entry::net("10.0.0.0/8".parse().unwrap())];
            }
        }
        Meddling::LoseSet(n) => {
            let named: BTreeSet<_> = rules_of(state)
                .flat_map(|r| r.set_names().map(String::from).collect::<Vec<_>>())
                .collect();
            let lost: Vec<SetName> = state
                .sets
                .keys()
                .copied()
                .filter(|name| !named.contains(name.as_str()))
                .collect();
            if let Some(name) = lost.get(n % lost.len().max(1)) {
                state.sets.remove(name);
            }
        }
        Meddling::LeftOver(n) => {
            let id = SetId::ALL[n % SetId::ALL.len()];
            let mut spec = id.spec(Family::V4, 0);
            spec.name = id.swap_name(Family::V4);
            state.sets.insert(spec.name, Set::new(spec));
        }
        Meddling::LoseLink => state.addresses = None,
        Meddling::LoseTable(n) => *state.tables.get_mut(Family::ALL[n % 2]) = None,
        Meddling::LoseElement(n) => {
            for table in own_tables(state) {
                let count = table.elements.len().max(1);
                if n % count < table.elements.len() {
                    table.elements.remove(n % count);
                }
            }
        }
        Meddling::StaleElement(last) => {
            if let Some(table) = &mut state.tables.v4 {
                let address = [10, 0, 0, last].into();
                for stale in [Element::ClusterIp(address), Element::Hairpin(address)] {
                    if let Err(at) = table.elements.binary_search(&stale) {
                        table.elements.insert(at, stale);
                    }
                }
            }
        }
        Meddling::ForeignElement(n) => {
            if let Some(table) = state.tables.get_mut(Family::ALL[n % 2]) {
                table.foreign_elements += 1;
            }
        }
        Meddling::LoseChain(n) => {
            for table in own_tables(state) {
                let count = table.structure.chains.len().max(1);
                if n % count < table.structure.chains.len() {
                    table.structure.chains.remove(n % count);
                }
            }
        }
        Meddling::LoseRouting(n) => {
            if n % 2 == 0 {
                state.routing.rules.pop();
            } else {
                state.routing.routes.pop();
            }
        }
        Meddling::StaleRouting(number) => {
            let mut options = Options::default();
            options.routing_table = Table(number);
            let stale = Routing::of(&options, [Family::V4]);
            let routing = &mut state.routing;
            for rule in stale.rules {
                if !routing.rules.contains(&rule) {
                    routing.rules.push(rule);
                }
            }
            for route in stale.routes {
                if !routing.routes.contains(&route) {
                    routing.routes.push(route);
                }
            }
            routing.rules.sort();
            routing.routes.sort();
        }
    }
}

fn own_tables(state: &mut Observed) -> impl Iterator<Item = &mut ObservedTable> {
    let proxier::cluster::PerFamily { v4, v6 } = &mut state.tables;
    v4.iter_mut().chain(v6)
}

fn own_chains(state: &mut Observed) -> Vec<&mut iptables_restore::Chain> {
    let proxier::cluster::PerFamily { v4, v6 } = &mut state.rules;
    [v4, v6]
        .into_iter()
        .flat_map(|rules| &mut rules.tables)
        .flat_map(|table| &mut table.chains)
        .filter(|chain| {
            chain.name.as_str().starts_with("KUBE-")
                && chain.name != "KUBE-FIREWALL"
                && chain.name != "KUBE-MARK-DROP"
        })
        .collect()
}

fn rules_of(state: &Observed) -> impl Iterator<Item = &Rule> {
    [&state.rules.v4, &state.rules.v6]
        .into_iter()
        .flat_map(|rules| &rules.tables)
        .flat_map(|table| &table.chains)
        .flat_map(|chain| &chain.rules)
}
