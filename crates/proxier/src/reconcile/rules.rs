//! Chains and rules.
//!
//! They change in two steps, each a transaction per table. The first adds what is wanted and keeps what
//! virtual servers that are about to go still need; the second, once they are gone, takes that away.

use std::collections::{BTreeSet, HashMap, HashSet};

use ipset_netlink::SetName;
use iptables_restore::{
    Chain, ChainName, Edit, RestoreInput, Rule, Ruleset, Table, TableName, Target,
};

use crate::cluster::Family;
use crate::desired::Desired;
use crate::layout::{FamilyRules, OwnChain, SetId, SetIds, TableRules, owned_tables};
use crate::observed::Observed;
use crate::plan::{Dependents, Operation, Phase, Plan, RulesChange};

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
    if !misfits.is_empty() {
        let changes = forget(family, &kernel, misfits);
        push(Phase::Fill, changes, &mut kernel, plan, true);
    }
    let wanted = desired
        .families
        .get(family)
        .as_ref()
        .map(|state| &state.rules);
    let tables = wanted.map(FamilyRules::tables);
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
        let changes = meanwhile
            .as_ref()
            .unwrap_or(tables)
            .iter()
            .filter_map(|t| add(family, t, &kernel))
            .map(|change| RulesChange {
                dependents: dependents(&change, &kernel, members),
                ..change
            })
            .collect();
        push(Phase::Rules, changes, &mut kernel, plan, false);
    }
    let changes = [TableName::Nat, TableName::Filter]
        .iter()
        .filter_map(|name| {
            let wanted = tables.iter().flatten().find(|table| table.name == *name);
            trim(family, name, wanted, &kernel)
        })
        .collect();
    push(Phase::Trim, changes, &mut kernel, plan, false);
}

/// Adds the changes to the plan, and makes them in this copy of the kernel's rules.
fn push(
    phase: Phase,
    changes: Vec<RulesChange>,
    kernel: &mut Ruleset,
    plan: &mut Plan,
    first: bool,
) {
    for change in changes {
        // A kernel that refuses reports it when the plan is carried out.
        let _ = change.input.apply(kernel);
        let operation = Operation::RestoreRules(Box::new(change));
        if first {
            plan.push_front(phase, operation);
        } else {
            plan.push(phase, operation);
        }
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
    let owned: Vec<_> = owned_tables(family)
        .iter()
        .filter(|t| t.name == *name)
        .collect();
    change.remove_stale(&owned, wanted);
    change.finish()
}

/// What takes the rules that name certain sets out of the proxy's own chains.
fn forget(family: Family, kernel: &Ruleset, sets: &BTreeSet<SetName>) -> Vec<RulesChange> {
    let names = |rule: &Rule| {
        rule.set_names()
            .any(|name| sets.iter().any(|set| set.as_str() == name))
    };
    let owned = owned_tables(family);
    kernel
        .tables
        .iter()
        .filter_map(|table| {
            let mut change = Change::new(family, &table.name, kernel);
            for chain in &table.chains {
                let own = owned
                    .iter()
                    .filter(|t| t.name == table.name)
                    .flat_map(|t| &t.chains);
                if own.clone().any(|own| own.name == chain.name) && chain.rules.iter().any(names) {
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

/// How much of a chain is made as it is wanted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Extent {
    /// Rules of virtual servers that are about to go may stay.
    Meanwhile,
    /// All of it.
    Final,
}

/// A transaction on one table in the making.
struct Change<'a> {
    family: Family,
    name: TableName,
    table: Option<&'a Table>,
    declare: Vec<Edit>,
    edits: Vec<Edit>,
    before: Vec<Chain>,
}

impl<'a> Change<'a> {
    fn new(family: Family, name: &TableName, kernel: &'a Ruleset) -> Self {
        let table = kernel.table(name);
        Self {
            family,
            name: name.clone(),
            table,
            declare: Vec::new(),
            edits: Vec::new(),
            before: Vec::new(),
        }
    }

    fn chain(&self, name: &ChainName) -> Option<&'a Chain> {
        self.table?.chain(name.as_str())
    }

    fn rules(&self, name: &ChainName) -> &'a [Rule] {
        self.chain(name).map_or(&[], |chain| &chain.rules)
    }

    /// Makes a chain anew with these rules.
    fn rewrite(&mut self, name: &ChainName, rules: Vec<Rule>) {
        self.before.extend(self.chain(name).cloned());
        self.declare.push(Edit::DeclareChain {
            chain: name.clone(),
        });
        self.edits
            .extend(rules.into_iter().map(|rule| Edit::Append {
                chain: name.clone(),
                rule,
            }));
    }

    fn write(&mut self, wanted: &TableRules, extent: Extent) {
        for own in &wanted.chains {
            if self.chain(&own.name).is_none() {
                self.rewrite(&own.name, own.rules.clone());
            } else if own.shared || own.unordered {
                self.write_each(own, extent);
            } else if self.rules(&own.name) != own.rules {
                self.rewrite(&own.name, own.rules.clone());
            }
        }
    }

    /// Adds the rules that are missing, and deletes those that are too many, one by one.
    fn write_each(&mut self, own: &OwnChain, extent: Extent) {
        let found: HashSet<_> = self.rules(&own.name).iter().collect();
        let wanted: HashSet<_> = own.rules.iter().collect();
        let chain = || own.name.clone();
        for rule in own.rules.iter().filter(|rule| !found.contains(rule)) {
            self.edits.push(Edit::Append {
                chain: chain(),
                rule: rule.clone(),
            });
        }
        if extent == Extent::Final {
            self.reduce(&own.name, &own.rules);
        }
        if extent == Extent::Final && !own.shared {
            for rule in self
                .rules(&own.name)
                .iter()
                .filter(|rule| !wanted.contains(rule))
            {
                self.edits.push(Edit::Delete {
                    chain: chain(),
                    rule: rule.clone(),
                });
            }
        }
    }

    /// Deletes all but the last of each of these rules that a chain has several times.
    fn reduce(&mut self, chain: &ChainName, rules: &[Rule]) {
        let mut found: HashMap<&Rule, usize> = HashMap::new();
        for rule in self.rules(chain) {
            *found.entry(rule).or_default() += 1;
        }
        for rule in rules {
            // Taken out, so that a rule listed twice is reduced once.
            let count = found.remove(rule).unwrap_or_default();
            for _ in 1..count {
                self.edits.push(Edit::Delete {
                    chain: chain.clone(),
                    rule: rule.clone(),
                });
            }
        }
    }

    /// Deletes jumps that are there several times.
    fn reduce_jumps(&mut self, wanted: &TableRules) {
        let chains: BTreeSet<_> = wanted.jumps.iter().map(|(chain, _)| chain).collect();
        for chain in chains {
            let jumps = wanted.jumps.iter().filter(|(from, _)| from == chain);
            let jumps: Vec<_> = jumps.map(|(_, rule)| rule.clone()).collect();
            self.reduce(chain, &jumps);
        }
    }

    /// Puts the jumps that are missing at the end of the built-in chains, and then those that are missing at the top of
    /// them, in their order.
    fn jumps(&mut self, wanted: &TableRules) {
        for (chain, rule) in &wanted.last_jumps {
            self.jump_last(chain, rule);
        }
        for (chain, rule) in wanted.jumps.iter().rev() {
            if !self.rules(chain).contains(rule) {
                let (chain, rule) = (chain.clone(), rule.clone());
                self.edits.push(Edit::Insert {
                    chain,
                    position: 1,
                    rule,
                });
            }
        }
    }

    /// Puts a jump at the end of a built-in chain, or before the first rule there that refuses whatever comes to it:
    /// behind that no rule has any effect. A jump that is there already, once and to some effect, stays where it is.
    fn jump_last(&mut self, chain: &ChainName, rule: &Rule) {
        let rules = self.rules(chain);
        let refuses = |rule: &Rule| {
            let refusal = matches!(rule.target, Some(Target::Drop | Target::Reject { .. }));
            refusal && rule.is_unconditional()
        };
        let end = rules.iter().position(refuses).unwrap_or(rules.len());
        let found = || rules.iter().enumerate().filter(|(_, found)| *found == rule);
        if found().count() == 1 && found().all(|(at, _)| at < end) {
            return;
        }
        let before = found().filter(|(at, _)| *at < end).count();
        let (chain, rule) = (chain.clone(), rule.clone());
        for _ in found() {
            let (chain, rule) = (chain.clone(), rule.clone());
            self.edits.push(Edit::Delete { chain, rule });
        }
        self.edits.push(Edit::Insert {
            chain,
            position: end - before + 1,
            rule,
        });
    }

    /// Removes what any layout could have left in this table and `wanted` does not have.
    fn remove_stale(&mut self, owned: &[&TableRules], wanted: Option<&TableRules>) {
        let kept = |chain: &ChainName| {
            wanted.is_some_and(|wanted| wanted.chains.iter().any(|own| own.name == *chain))
        };
        let mut flush = Vec::new();
        let mut delete = Vec::new();
        for own in owned
            .iter()
            .flat_map(|table| &table.chains)
            .filter(|own| !kept(&own.name))
        {
            let Some(found) = self.chain(&own.name) else {
                continue;
            };
            if delete.contains(&own.name) || flush.contains(&own.name) {
                continue;
            }
            // What others put into a chain they write too keeps it there.
            let foreign = own.shared && found.rules.iter().any(|rule| !own.rules.contains(rule));
            if foreign {
                for rule in own.rules.iter().filter(|rule| found.rules.contains(rule)) {
                    self.edits.push(Edit::Delete {
                        chain: own.name.clone(),
                        rule: rule.clone(),
                    });
                }
            } else if self.jumped_to_by_others(&own.name, owned) {
                flush.push(own.name.clone());
            } else {
                delete.push(own.name.clone());
            }
        }
        let jumps = owned.iter().flat_map(|table| table.all_jumps());
        let mut gone = Vec::new();
        for (chain, rule) in jumps {
            let target = rule.target.as_ref().and_then(|target| target.chain());
            let stale = delete
                .iter()
                .chain(&flush)
                .any(|name| Some(name.as_str()) == target);
            let there = self
                .rules(chain)
                .iter()
                .filter(|found| *found == rule)
                .count();
            if stale && !gone.contains(&(chain, rule)) {
                gone.push((chain, rule));
                for _ in 0..there {
                    self.edits.push(Edit::Delete {
                        chain: chain.clone(),
                        rule: rule.clone(),
                    });
                }
            }
        }
        for name in flush.iter().chain(&delete) {
            if !(flush.contains(name) && self.rules(name).is_empty()) {
                self.rewrite(name, Vec::new());
            }
        }
        self.edits
            .extend(delete.into_iter().map(|chain| Edit::DeleteChain { chain }));
    }

    /// Whether a rule that is not the proxy's jumps to a chain, which cannot be deleted then.
    fn jumped_to_by_others(&self, name: &ChainName, owned: &[&TableRules]) -> bool {
        let own_chain = |chain: &ChainName| {
            owned
                .iter()
                .flat_map(|table| &table.chains)
                .any(|own| own.name == *chain)
        };
        let own_jump = |chain: &ChainName, rule: &Rule| {
            owned
                .iter()
                .flat_map(|table| table.all_jumps())
                .any(|(c, r)| c == chain && r == rule)
        };
        self.table
            .iter()
            .flat_map(|table| &table.chains)
            .any(|chain| {
                !own_chain(&chain.name)
                    && chain.rules.iter().any(|rule| {
                        let target = rule.target.as_ref().and_then(|target| target.chain());
                        target == Some(name.as_str()) && !own_jump(&chain.name, rule)
                    })
            })
    }

    fn finish(self) -> Option<RulesChange> {
        if self.declare.is_empty() && self.edits.is_empty() {
            return None;
        }
        let mut input = RestoreInput::new();
        let table = input.table(self.name);
        for edit in self.declare.into_iter().chain(self.edits) {
            // All names and rules are the proxy's own or were read from the kernel: none is invalid.
            let _ = table.push(edit);
        }
        Some(RulesChange {
            family: self.family,
            input,
            before: self.before,
            dependents: Dependents::All,
        })
    }
}
