//! Rules of iptables mode: what all Services share, and around it the changes of each Service.
//!
//! What leads packets to rules of Services is added after the rules have changed ([`open`]), unless there are none yet: a
//! packet that comes by a new way finds what will be there, and never what was.

use std::collections::{BTreeMap, HashMap, HashSet};

use iptables_restore::{Chain, ChainName, Edit, RestoreInput, Rule, Ruleset, TableName, Target};

use super::change::{Change, Extent};
use super::services::{FoundChain, FoundService, ServiceChanges};
use crate::cluster::{Family, ObjectName};
use crate::layout::{
    FORWARD_CHAIN, FamilyRules, OwnChain, SharedChain, TableRules, is_plain, is_service_chain,
    is_service_chain_name,
};
use crate::plan::{Dependents, Phase, Plan, RulesChange};

/// Plans the rules of a family in iptables mode, and makes the changes in this copy of the kernel's rules.
pub(super) fn plan(family: Family, wanted: &FamilyRules, kernel: &mut Ruleset, plan: &mut Plan) {
    let [nat, filter] = wanted.base_tables();
    let chains = wanted.service_chains();
    let odd = odd_rules(wanted, chains.keys());
    let owner = |chain: SharedChain, rule: &Rule| {
        let odd = odd.get(&chain).and_then(|odd| odd.get(rule));
        odd.cloned().or_else(|| chain.service_of(rule))
    };
    let shared = add(family, &filter, &owner, kernel);
    make(shared.as_ref(), kernel);
    let translation = add(family, &nat, &owner, kernel);
    make(translation.as_ref(), kernel);

    let changes = {
        let found = found(&chains, &owner, kernel);
        let mut kept = targets_of_others(family, kernel);
        kept.extend(targets_of_strays(&found, kernel));
        let tables = |name: &ObjectName| wanted.service_tables(name);
        ServiceChanges::of(family, &found, &tables, &|name| kept.contains(name))
    };
    make_bare(&changes.refuse, kernel);
    make_bare(&changes.translate, kernel);
    make_bare(&changes.trim, kernel);
    let opening = open(family, &nat, kernel);
    make(opening.as_ref(), kernel);
    let all_nat = with_chains(&nat, chains);
    let nat = trim(family, (&nat, &all_nat), &owner, kernel);
    let filter = trim(family, (&filter, &filter), &owner, kernel);
    let ranges = super::trim(family, &TableName::Mangle, None, kernel);
    for (phase, changes) in [
        (Phase::Rules, shared.into_iter().collect()),
        (Phase::Rules, changes.refuse),
        (Phase::Rules, translation.into_iter().collect()),
        (Phase::Rules, changes.translate),
        (Phase::Rules, opening.into_iter().collect()),
        (Phase::Trim, nat.into_iter().collect()),
        (Phase::Trim, changes.trim),
        (Phase::Trim, filter.into_iter().collect::<Vec<_>>()),
        (Phase::Trim, ranges.into_iter().collect()),
    ] {
        super::push(phase, changes, plan);
    }
}

/// The rules of Services whose names do not show in them.
fn odd_rules<'a>(
    wanted: &FamilyRules,
    names: impl Iterator<Item = &'a ObjectName>,
) -> BTreeMap<SharedChain, HashMap<Rule, ObjectName>> {
    let mut odd: BTreeMap<SharedChain, HashMap<Rule, ObjectName>> = BTreeMap::new();
    for name in names.filter(|name| !is_plain(name)) {
        let tables = wanted.service_tables(name);
        for (chain, rules) in SharedChain::ALL.into_iter().zip(tables.shared) {
            let rules = rules.into_iter().map(|rule| (rule, name.clone()));
            odd.entry(chain).or_default().extend(rules);
        }
    }
    odd
}

/// The nat table with the chains of Services, whose rules no longer matter.
fn with_chains(nat: &TableRules, chains: BTreeMap<ObjectName, Vec<ChainName>>) -> TableRules {
    let mut all = nat.clone();
    let own = chains.into_values().flatten().map(|name| OwnChain {
        name,
        shared: false,
        unordered: false,
        tail: 0,
        rules: Vec::new(),
    });
    all.chains.extend(own);
    all
}

/// The chains of the nat table that rules of others jump to: they cannot be deleted.
pub(crate) fn targets_of_others(family: Family, kernel: &Ruleset) -> HashSet<String> {
    let change = Change::new(family, &TableName::Nat, kernel);
    let targets = change.targets_of_others().into_iter();
    targets.map(str::to_owned).collect()
}

/// The chains that chains of Services which no Service has jump to. Those go last, so until then these cannot be deleted.
fn targets_of_strays(
    services: &[(ObjectName, FoundService<'_>)],
    kernel: &Ruleset,
) -> HashSet<String> {
    let held = services.iter().flat_map(|(_, found)| found.chains.keys());
    let held: HashSet<_> = held.collect();
    let nat = kernel.table(&TableName::Nat);
    let chains = nat.iter().flat_map(|table| &table.chains);
    let strays =
        chains.filter(|chain| is_service_chain(&chain.name) && !held.contains(&chain.name));
    let rules = strays.flat_map(|chain| &chain.rules);
    let targets = rules.filter_map(|rule| rule.target.as_ref()?.chain());
    targets.map(str::to_owned).collect()
}

/// Makes a change in this copy of the kernel's rules.
fn make(change: Option<&RulesChange>, kernel: &mut Ruleset) {
    // A kernel that refuses reports it when the plan is carried out.
    let _ = change.map(|change| change.input.apply(kernel));
}

/// Makes changes of Services in this copy of the kernel's rules, with their chains left empty: nothing looks into those any
/// more, and their rules would take as much memory as the plan itself.
fn make_bare(changes: &[RulesChange], kernel: &mut Ruleset) {
    let mut bare = RestoreInput::new();
    for table in changes.iter().flat_map(|change| change.input.tables()) {
        let edits = table.edits().iter();
        let is_rule = |edit: &&Edit| edit.rule().is_some() && is_service_chain(edit.chain());
        for edit in edits.filter(|edit| !is_rule(edit)) {
            // It was taken once.
            let _ = bare.table(table.name().clone()).push(edit.clone());
        }
    }
    // A kernel that refuses reports it when the plan is carried out.
    let _ = bare.apply(kernel);
}

type Owner<'a> = &'a dyn Fn(SharedChain, &Rule) -> Option<ObjectName>;

/// What adds the rules of a table that all Services share, where they are missing, but for those that [`open`] adds.
fn add(
    family: Family,
    wanted: &TableRules,
    owner: Owner<'_>,
    kernel: &Ruleset,
) -> Option<RulesChange> {
    let mut change = Change::new(family, &wanted.name, kernel);
    let found = kernel.table(&wanted.name);
    let rules_of = |name: &str| {
        let chain = found.and_then(|table| table.chain(name));
        chain.map(|chain| &chain.rules[..])
    };
    match wanted.name {
        TableName::Nat => change.write_ordered(wanted, Extent::Final),
        _ => change.write_ordered(&with_accepted(wanted, rules_of), Extent::Meanwhile),
    }
    // With rules of Services there, which change only now.
    let is_in_use = |name: &str| rules_of(name).is_some_and(|rules| !rules.is_empty());
    for own in wanted.chains.iter().filter(|own| own.unordered) {
        let chain = rules_of(own.name.as_str());
        let rules = chain.unwrap_or_default();
        let to_node_ports = rules_to_node_ports(rules);
        let tail = match is_in_use(SharedChain::NodePorts.name()) {
            true => meanwhile(&own.rules, &to_node_ports),
            false => own.rules.clone(),
        };
        if chain.is_some() && rules.ends_with(&tail) && to_node_ports.len() == tail.len() {
            continue;
        }
        // The rules of Services come first, then what may be for a node port. What IPVS mode left is needed until its
        // virtual servers are gone.
        let of = SharedChain::of(&wanted.name, own.name.as_str());
        let is_of_service = |rule: &&Rule| of.is_some_and(|of| owner(of, rule).is_some());
        let services = rules.iter().filter(is_of_service);
        let others = rules
            .iter()
            .filter(|rule| !is_of_service(rule) && !leads_to_node_ports(rule));
        let all = services.chain(&tail).chain(others);
        let all = all.cloned().collect();
        change.rewrite(&own.name, all);
    }
    let opens = |rule: &Rule| {
        let target = rule.target.as_ref().and_then(|target| target.chain());
        target.is_some_and(|name| {
            let of = SharedChain::of(&wanted.name, name);
            of == Some(SharedChain::Services) && is_in_use(name)
        })
    };
    change.jumps_but(wanted, opens);
    change.finish()
}

/// The table with what its chain for forwarded packets accepts now at the end of that chain: until the nat table is written,
/// packets have the mark of before.
fn with_accepted<'a>(
    wanted: &TableRules,
    rules_of: impl Fn(&str) -> Option<&'a [Rule]>,
) -> TableRules {
    let mut both = wanted.clone();
    for own in both
        .chains
        .iter_mut()
        .filter(|own| own.name == FORWARD_CHAIN)
    {
        let found = rules_of(FORWARD_CHAIN).unwrap_or_default().iter();
        let accepts = found.filter(|rule| rule.target == Some(Target::Accept));
        let lost: Vec<_> = accepts.filter(|rule| !own.rules.contains(rule)).collect();
        own.rules.extend(lost.into_iter().cloned());
    }
    both
}

/// The rules for what may be for a node port, while Services change: node ports are served at addresses where they were and
/// will be.
fn meanwhile(wanted: &[Rule], found: &[Rule]) -> Vec<Rule> {
    let narrower = wanted
        .iter()
        .filter(|rule| found.iter().any(|all| covers(all, rule)));
    let kept = found
        .iter()
        .filter(|rule| !wanted.contains(rule) && wanted.iter().any(|all| covers(all, rule)));
    narrower.chain(kept).cloned().collect()
}

/// Whether a rule for what may be for a node port takes all that another one takes. Such a rule is for one address, for all,
/// or for all but a network.
fn covers(all: &Rule, rule: &Rule) -> bool {
    let (Some(of_all), Some(of_rule)) = (&all.destination, &rule.destination) else {
        return all.destination.is_none();
    };
    let networks = of_all.value.network().zip(of_rule.value.network());
    match (of_all.negated, of_rule.negated) {
        (true, false) => networks.is_some_and(|(but, of)| !but.contains(of.ip())),
        _ => all == rule,
    }
}

fn leads_to_node_ports(rule: &Rule) -> bool {
    let target = rule.target.as_ref().and_then(|target| target.chain());
    target == Some(SharedChain::NodePorts.name())
}

fn rules_to_node_ports(rules: &[Rule]) -> Vec<Rule> {
    let rules = rules.iter().filter(|rule| leads_to_node_ports(rule));
    rules.cloned().collect()
}

/// What leads packets to Services, once those are as they should be: node ports are served at all addresses, and jumps from
/// built-in chains are there.
fn open(family: Family, nat: &TableRules, kernel: &Ruleset) -> Option<RulesChange> {
    let mut change = Change::new(family, &nat.name, kernel);
    for own in nat.chains.iter().filter(|own| own.tail > 0) {
        let chain = kernel.table(&nat.name)?.chain(own.name.as_str())?;
        let found = rules_to_node_ports(&chain.rules);
        if found != own.rules {
            change.replace_rules(&own.name, &found, &own.rules);
        }
    }
    change.jumps(nat);
    let change = change.finish()?;
    let dependents = Dependents::Ways;
    Some(RulesChange {
        dependents,
        ..change
    })
}

/// What takes away the rules and chains of a table that are nobody's any more. `wanted` is what all Services share, and
/// the whole table.
fn trim(
    family: Family,
    wanted: (&TableRules, &TableRules),
    owner: Owner<'_>,
    kernel: &Ruleset,
) -> Option<RulesChange> {
    let (shared, all) = wanted;
    let mut change = Change::new(family, &shared.name, kernel);
    change.write_ordered(shared, Extent::Final);
    change.reduce_jumps(shared);
    for own in shared.chains.iter().filter(|own| own.unordered) {
        let of = SharedChain::of(&shared.name, own.name.as_str());
        change.delete_rules(&own.name, |rule| {
            !own.rules.contains(rule) && of.is_none_or(|of| owner(of, rule).is_none())
        });
    }
    change.remove_stale(Some(all));
    change.finish()
}

/// All Services that are wanted or that the kernel has something of, sorted, with what it has of each. `wanted` has the
/// chains that each is to have.
fn found<'a>(
    wanted: &BTreeMap<ObjectName, Vec<ChainName>>,
    owner: Owner<'_>,
    kernel: &'a Ruleset,
) -> Vec<(ObjectName, FoundService<'a>)> {
    let nat = kernel.table(&TableName::Nat);
    let chains = nat.iter().flat_map(|table| &table.chains);
    let chains: HashMap<&str, &'a Chain> =
        chains.map(|chain| (chain.name.as_str(), chain)).collect();
    let mut services: BTreeMap<ObjectName, FoundService<'a>> = BTreeMap::new();
    let mut places = Vec::new();
    for shared in SharedChain::ALL {
        let table = kernel.table(&shared.table());
        let chain = table.and_then(|table| table.chain(shared.name()));
        let mut owners = Vec::new();
        for (at, rule) in chain.iter().flat_map(|chain| &chain.rules).enumerate() {
            let Some(name) = owner(shared, rule) else {
                continue;
            };
            let service = services.entry(name.clone()).or_default();
            if let Some(rules) = service.shared.get_mut(shared.index()) {
                rules.push(rule);
            }
            owners.push((name, at));
        }
        let sorted = owners.is_sorted_by(|(one, _), (next, _)| one <= next);
        places.push(sorted.then_some(owners));
    }
    for name in wanted.keys() {
        services.entry(name.clone()).or_default();
    }
    let all_wanted: HashSet<&ChainName> = wanted.values().flatten().collect();
    for (name, found) in &mut services {
        for (before, owners) in found.before.iter_mut().zip(&places) {
            *before = owners.as_ref().map(|owners| {
                let at = owners.partition_point(|(owner, _)| owner < name);
                let behind = || owners.last().map_or(0, |(_, at)| at + 1);
                owners.get(at).map_or_else(behind, |(_, at)| *at)
            });
        }
        let reached = reached(&found.shared, |name| {
            chains.get(name).map(|chain| chain.rules.as_slice())
        });
        let wanted = wanted.get(name).map_or(&[][..], Vec::as_slice);
        for (name, rules) in reached {
            // That of another Service is left to it.
            if !all_wanted.contains(&name) || wanted.contains(&name) {
                found.chains.insert(name, FoundChain::Rules(rules));
            }
        }
        for name in wanted {
            if let Some(chain) = chains.get(name.as_str()) {
                let rules = FoundChain::Rules(&chain.rules);
                found.chains.insert(name.clone(), rules);
            }
        }
    }
    services.into_iter().collect()
}

/// The chains of Services and endpoints that rules of shared chains lead to.
fn reached<'a>(
    shared: &[Vec<&'a Rule>; SharedChain::COUNT],
    rules_of: impl Fn(&str) -> Option<&'a [Rule]>,
) -> BTreeMap<ChainName, &'a [Rule]> {
    let target = |rule: &'a Rule| rule.target.as_ref().and_then(|target| target.chain());
    let mut reached = BTreeMap::new();
    let nat = SharedChain::ALL.into_iter().zip(shared);
    let nat = nat.filter(|(chain, _)| chain.table() == TableName::Nat);
    let mut left: Vec<&str> = nat
        .flat_map(|(_, rules)| rules.iter().filter_map(|rule| target(rule)))
        .collect();
    while let Some(name) = left.pop() {
        if !is_service_chain_name(name) {
            continue;
        }
        let (Ok(chain), Some(rules)) = (ChainName::new(name), rules_of(name)) else {
            continue;
        };
        if reached.insert(chain, rules).is_none() {
            left.extend(rules.iter().filter_map(target));
        }
    }
    reached
}
