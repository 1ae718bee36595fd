//! Chains and rules.
//!
//! They change in two steps, each a transaction per table. The first adds what is wanted and keeps what
//! virtual servers that are about to go still need; the second, once they are gone, takes that away.
//!
//! Ranges of ports, which have marks in the mangle table, come in when their virtual servers are there, and go before them.
//!
//! Iptables mode has no virtual servers, and its steps are four. The filter table gets its new rules first: a packet is
//! refused there before the nat table changes. Then the nat table is written, and chains without a jump to them are
//! deleted. Once all of that is in place, new ways into it are opened. Last, rules that are no longer needed are
//! deleted from the filter table. See [`iptables`] and [`services`].

mod change;
mod handover;
mod iptables;
mod ranges;
mod services;
mod unordered;

pub(crate) use iptables::targets_of_others;
pub(crate) use services::{FoundChain, FoundService, ServiceChanges};

use std::collections::{BTreeSet, HashSet};

use ipset_netlink::SetName;
use iptables_restore::{ChainName, Rule, Ruleset, TableName};

use self::change::{Change, Extent};
use crate::cluster::Family;
use crate::desired::Desired;
use crate::layout::{
    FamilyRules, LOCALNET_CHAIN, Layout, SetId, SetIds, TableRules, is_localnet_rule, owned_table,
};
use crate::observed::Observed;
use crate::plan::{Operation, Phase, Plan, RulesChange};

use super::Members;
use super::dependents::dependents;

pub(super) fn plan(
    family: Family,
    desired: &Desired,
    observed: &Observed,
    misfits: &BTreeSet<SetName>,
    members: Members<'_>,
    plan: &mut Plan,
) {
    let mut kernel = observed.rules.get(family).clone();
    let wanted = desired
        .families
        .get(family)
        .as_ref()
        .map(|state| &state.rules);
    let tables = wanted
        .filter(|wanted| wanted.layout != Layout::Iptables)
        .map(FamilyRules::tables);
    let mut first: Vec<_> = ranges::withdraw(family, tables.as_ref(), &kernel)
        .into_iter()
        .collect();
    make(&first, &mut kernel);
    if !misfits.is_empty() {
        let forgotten = forget(family, &kernel, misfits);
        make(&forgotten, &mut kernel);
        first.extend(forgotten);
    }
    // Both may write one chain: they are carried out in the order in which they were worked out.
    for change in first.into_iter().rev() {
        plan.push_front(Phase::Fill, Operation::RestoreRules(Box::new(change)));
    }
    if let Some(wanted) = wanted.filter(|wanted| wanted.layout == Layout::Iptables) {
        iptables::plan(family, wanted, &mut kernel, plan);
        return;
    }
    if let (Some(wanted), Some(tables)) = (wanted, &tables) {
        let lingering = lingering(wanted, observed, &kernel);
        let meanwhile = (!lingering.is_empty()).then(|| {
            let filled = wanted.filled | lingering;
            FamilyRules {
                filled,
                ..wanted.clone()
            }
            .tables()
        });
        let [of_sets @ .., marks] = meanwhile.as_ref().unwrap_or(tables);
        let changes = of_sets.iter().filter_map(|table| {
            let change = add(family, table, &kernel)?;
            let dependents = dependents(&change, &kernel, members);
            Some(RulesChange {
                dependents,
                ..change
            })
        });
        let changes = changes.collect();
        push_and_make(Phase::Rules, changes, &mut kernel, plan);
        let marks = ranges::add(family, marks, &kernel);
        push_and_make(Phase::Map, Vec::from_iter(marks), &mut kernel, plan);
    }
    let changes = [TableName::Mangle, TableName::Nat, TableName::Filter]
        .iter()
        .filter_map(|name| {
            let wanted = tables.iter().flatten().find(|table| table.name == *name);
            trim(family, name, wanted, &kernel)
        })
        .collect();
    push_and_make(Phase::Trim, changes, &mut kernel, plan);
}

/// Adds the changes to the plan, and makes them in this copy of the kernel's rules.
fn push_and_make(phase: Phase, changes: Vec<RulesChange>, kernel: &mut Ruleset, plan: &mut Plan) {
    make(&changes, kernel);
    push(phase, changes, plan);
}

/// Makes changes in this copy of the kernel's rules.
fn make(changes: &[RulesChange], kernel: &mut Ruleset) {
    for change in changes {
        // A kernel that refuses reports it when the plan is carried out.
        let _ = change.input.apply(kernel);
    }
}

fn push(phase: Phase, changes: Vec<RulesChange>, plan: &mut Plan) {
    for change in changes {
        plan.push(phase, Operation::RestoreRules(Box::new(change)));
    }
}

/// The sets that have members no longer wanted, and the rules that go with having members: the virtual
/// servers concerned are still there while other rules change.
fn lingering(wanted: &FamilyRules, observed: &Observed, kernel: &Ruleset) -> SetIds {
    let emptied = SetId::of(wanted.layout).filter(|id| {
        let name = id.name(wanted.family);
        !wanted.filled.contains(*id)
            && observed
                .sets
                .get(&name)
                .is_some_and(|set| !set.entries.is_empty())
    });
    let emptied: Vec<_> = emptied.collect();
    if emptied.is_empty() {
        return SetIds::NONE;
    }
    let rules_with = |filled: SetIds| {
        all_rules(&FamilyRules {
            filled,
            ..wanted.clone()
        })
    };
    let bare = rules_with(SetIds::NONE);
    let found = |(table, chain, rule): &(TableName, ChainName, Rule)| {
        let chain = kernel
            .table(table)
            .and_then(|table| table.chain(chain.as_str()));
        chain.is_some_and(|chain| chain.rules.contains(rule))
    };
    emptied
        .into_iter()
        .filter(|id| {
            let with = rules_with([*id].into_iter().collect());
            with.iter().any(|rule| !bare.contains(rule) && found(rule))
        })
        .collect()
}

fn all_rules(rules: &FamilyRules) -> HashSet<(TableName, ChainName, Rule)> {
    let tables = rules.tables().into_iter();
    let chains = tables.flat_map(|t| {
        t.chains
            .into_iter()
            .map(move |chain| (t.name.clone(), chain))
    });
    let each = chains.flat_map(|(table, own)| {
        own.rules
            .into_iter()
            .map(move |rule| (table.clone(), own.name.clone(), rule))
    });
    each.collect()
}

/// What adds the rules of a table that are missing.
fn add(family: Family, wanted: &TableRules, kernel: &Ruleset) -> Option<RulesChange> {
    let both = handover::with_iptables_mode(wanted, kernel);
    let wanted = both.as_ref().unwrap_or(wanted);
    let mut change = Change::new(family, &wanted.name, kernel);
    change.write(wanted, Extent::Meanwhile);
    change.jumps(wanted);
    change.finish()
}

/// What takes away the rules and chains of a table that are not wanted any more, and puts right what is
/// still amiss.
fn trim(
    family: Family,
    name: &TableName,
    wanted: Option<&TableRules>,
    kernel: &Ruleset,
) -> Option<RulesChange> {
    let mut change = Change::new(family, name, kernel);
    if let Some(wanted) = wanted {
        change.write(wanted, Extent::Final);
        change.reduce_jumps(wanted);
    }
    change.remove_stale(wanted);
    change.finish()
}

/// What takes the rules that name certain sets out of the proxy's own chains.
fn forget(family: Family, kernel: &Ruleset, sets: &BTreeSet<SetName>) -> Vec<RulesChange> {
    let names = |rule: &Rule| {
        rule.set_names()
            .any(|name| sets.iter().any(|set| set.as_str() == name))
    };
    kernel
        .tables
        .iter()
        .filter_map(|table| {
            let mut change = Change::new(family, &table.name, kernel);
            let owned = owned_table(family, &table.name);
            for chain in &table.chains {
                let mut own = owned.iter().flat_map(|table| &table.chains);
                if own.any(|own| own.name == chain.name) && chain.rules.iter().any(names) {
                    let rules = chain
                        .rules
                        .iter()
                        .filter(|rule| !names(rule))
                        .cloned()
                        .collect();
                    change.rewrite(&chain.name, rules);
                }
            }
            change.finish()
        })
        .collect()
}

/// Whether the rule that keeps packets from elsewhere from loopback addresses is there. Not where a kubelet writes it too.
pub(super) fn has_localnet_rule(observed: &Observed) -> bool {
    let filter = observed.rules.v4.table(&TableName::Filter);
    let filter = filter.filter(|table| !change::has_kubelet(table));
    let chain = filter.and_then(|table| table.chain(LOCALNET_CHAIN));
    chain.is_some_and(|chain| chain.rules.iter().any(is_localnet_rule))
}
