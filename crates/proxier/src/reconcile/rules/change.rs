//! A transaction on one table in the making.

use std::collections::{BTreeSet, HashMap, HashSet};

use iptables_restore::{
    Chain, ChainName, Edit, RestoreInput, Rule, Ruleset, Table, TableName, Target,
};

use super::unordered;
use crate::cluster::Family;
use crate::layout::{OwnChain, TableRules, is_localnet_rule, is_service_chain, owned_table};
use crate::plan::{Dependents, RulesChange};

/// How much of a chain is made as it is wanted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    /// Rules that are not wanted may stay where the order does not matter.
    Meanwhile,
    /// All of it.
    Final,
}

/// See the module.
pub(super) struct Change<'a> {
    family: Family,
    name: TableName,
    table: Option<&'a Table>,
    chains: HashMap<&'a str, &'a Chain>,
    declare: Vec<Edit>,
    edits: Vec<Edit>,
    /// Chains that go once all edits are made.
    delete: Vec<Edit>,
    before: Vec<Chain>,
}

/// Whether a kubelet writes rules too: it has a chain by which it notices that they were flushed.
pub(super) fn has_kubelet(table: &Table) -> bool {
    table.chain("KUBE-KUBELET-CANARY").is_some()
}

fn target(rule: &Rule) -> Option<&str> {
    rule.target.as_ref().and_then(Target::chain)
}

impl<'a> Change<'a> {
    pub(super) fn new(family: Family, name: &TableName, kernel: &'a Ruleset) -> Self {
        let table = kernel.table(name);
        let chains = table.iter().flat_map(|table| &table.chains);
        Self {
            family,
            name: name.clone(),
            table,
            chains: chains.map(|chain| (chain.name.as_str(), chain)).collect(),
            declare: Vec::new(),
            edits: Vec::new(),
            delete: Vec::new(),
            before: Vec::new(),
        }
    }

    fn chain(&self, name: &ChainName) -> Option<&'a Chain> {
        self.chains.get(name.as_str()).copied()
    }

    fn rules(&self, name: &ChainName) -> &'a [Rule] {
        self.chain(name).map_or(&[], |chain| &chain.rules)
    }

    /// Makes a chain anew with these rules.
    pub(super) fn rewrite(&mut self, name: &ChainName, rules: Vec<Rule>) {
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

    pub(super) fn write(&mut self, wanted: &TableRules, extent: Extent) {
        self.write_ordered(wanted, extent);
        for own in wanted.chains.iter().filter(|own| own.unordered) {
            if self.chain(&own.name).is_none() {
                self.rewrite(&own.name, own.rules.clone());
            } else {
                self.write_unordered(own, extent);
            }
        }
    }

    /// Writes the chains whose rules depend on their order.
    pub(super) fn write_ordered(&mut self, wanted: &TableRules, extent: Extent) {
        for own in wanted.chains.iter().filter(|own| !own.unordered) {
            if self.chain(&own.name).is_none() {
                self.rewrite(&own.name, own.rules.clone());
            } else if own.shared {
                self.write_each(own, extent);
            } else if self.rules(&own.name) != own.rules {
                self.rewrite(&own.name, own.rules.clone());
            }
        }
    }

    /// Adds the rules that are missing in a chain that others write too, and in the end deletes those that are there
    /// several times.
    fn write_each(&mut self, own: &OwnChain, extent: Extent) {
        let found: HashSet<_> = self.rules(&own.name).iter().collect();
        for rule in own.rules.iter().filter(|rule| !found.contains(rule)) {
            self.edits.push(Edit::Append {
                chain: own.name.clone(),
                rule: rule.clone(),
            });
        }
        if extent == Extent::Final {
            self.reduce(&own.name, &own.rules);
        }
    }

    fn write_unordered(&mut self, own: &OwnChain, extent: Extent) {
        match unordered::edits(own, self.rules(&own.name), extent) {
            Some(edits) => self.edits.extend(edits),
            None => self.rewrite(&own.name, own.rules.clone()),
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
                self.delete_rule(chain, rule);
            }
        }
    }

    fn delete_rule(&mut self, chain: &ChainName, rule: &Rule) {
        self.edits.push(Edit::Delete {
            chain: chain.clone(),
            rule: rule.clone(),
        });
    }

    /// Deletes jumps that are there several times.
    pub(super) fn reduce_jumps(&mut self, wanted: &TableRules) {
        let chains: BTreeSet<_> = wanted.jumps.iter().map(|(chain, _)| chain).collect();
        for chain in chains {
            let jumps = wanted.jumps.iter().filter(|(from, _)| from == chain);
            let jumps: Vec<_> = jumps.map(|(_, rule)| rule.clone()).collect();
            self.reduce(chain, &jumps);
        }
    }

    /// Puts the jumps that are missing at the end of the built-in chains, and then those that are missing at the top of
    /// them, in their order: each right behind those that come before it and are there already.
    pub(super) fn jumps(&mut self, wanted: &TableRules) {
        self.jumps_but(wanted, |_| false);
    }

    /// The same without some of those at the top.
    pub(super) fn jumps_but(&mut self, wanted: &TableRules, waits: impl Fn(&Rule) -> bool) {
        for (chain, rule) in &wanted.last_jumps {
            self.jump_last(chain, rule);
        }
        let builtin: BTreeSet<_> = wanted.jumps.iter().map(|(chain, _)| chain).collect();
        for chain in builtin {
            let jumps = || wanted.jumps.iter().filter(|(from, _)| from == chain);
            if jumps().all(|(_, rule)| self.rules(chain).contains(rule)) {
                continue;
            }
            let mut rules = self.edited(chain);
            let mut inserted = Vec::new();
            let mut behind = 0;
            for (_, rule) in jumps() {
                match rules.iter().position(|found| *found == rule) {
                    Some(at) => behind = behind.max(at + 1),
                    None if waits(rule) => {}
                    None => {
                        rules.insert(behind, rule);
                        behind += 1;
                        inserted.push(Edit::Insert {
                            chain: chain.clone(),
                            position: behind,
                            rule: rule.clone(),
                        });
                    }
                }
            }
            self.edits.extend(inserted);
        }
    }

    /// The rules of a chain after the edits so far.
    fn edited<'s>(&'s self, chain: &ChainName) -> Vec<&'s Rule> {
        let mut rules: Vec<&Rule> = self.rules(chain).iter().collect();
        for edit in self.edits.iter().filter(|edit| edit.chain() == chain) {
            match edit {
                Edit::Insert { position, rule, .. } => {
                    rules.insert(position.saturating_sub(1).min(rules.len()), rule);
                }
                Edit::Delete { rule, .. } => {
                    if let Some(at) = rules.iter().position(|found| *found == rule) {
                        rules.remove(at);
                    }
                }
                Edit::Append { rule, .. } => rules.push(rule),
                _ => {}
            }
        }
        rules
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
        for _ in found() {
            self.delete_rule(chain, rule);
        }
        let (chain, rule) = (chain.clone(), rule.clone());
        self.edits.push(Edit::Insert {
            chain,
            position: end - before + 1,
            rule,
        });
    }

    /// Deletes rules of a chain, and puts others at its end.
    pub(super) fn replace_rules(&mut self, chain: &ChainName, found: &[Rule], wanted: &[Rule]) {
        found.iter().for_each(|rule| self.delete_rule(chain, rule));
        self.edits.extend(wanted.iter().map(|rule| Edit::Append {
            chain: chain.clone(),
            rule: rule.clone(),
        }));
    }

    /// Deletes the rules of a chain for which `unwanted` says so.
    pub(super) fn delete_rules(&mut self, chain: &ChainName, unwanted: impl Fn(&Rule) -> bool) {
        for rule in self.rules(chain).iter().filter(|rule| unwanted(rule)) {
            self.delete_rule(chain, rule);
        }
    }

    /// Removes what any layout could have left in this table and `wanted` does not have.
    pub(super) fn remove_stale(&mut self, wanted: Option<&TableRules>) {
        let Some((table, owned)) = self.table.zip(owned_table(self.family, &self.name)) else {
            return;
        };
        let kept: HashMap<_, _> = wanted
            .iter()
            .flat_map(|wanted| &wanted.chains)
            .map(|own| (&own.name, own))
            .collect();
        let others = self.targets_of_others();
        let kubelet = has_kubelet(table);
        let (mut flush, mut delete) = (Vec::new(), Vec::new());
        let mut stale = |name| match others.contains(ChainName::as_str(name)) {
            true => flush.push(name),
            false => delete.push(name),
        };
        for own in &owned.chains {
            let Some(found) = self.chain(&own.name) else {
                continue;
            };
            let wanted = kept.get(&own.name).map(|own| &own.rules[..]);
            if !own.shared {
                if wanted.is_none() {
                    stale(&own.name);
                }
                continue;
            }
            // What others put into a chain they write too keeps it there.
            let is_own =
                |rule: &&Rule| own.rules.contains(rule) && !(kubelet && is_localnet_rule(rule));
            if wanted.is_none() && found.rules.iter().all(|rule| is_own(&rule)) {
                stale(&own.name);
                continue;
            }
            let wanted = wanted.unwrap_or_default();
            let unwanted = found.rules.iter().filter(is_own);
            for rule in unwanted.filter(|rule| !wanted.contains(rule)) {
                self.edits.push(Edit::Delete {
                    chain: own.name.clone(),
                    rule: rule.clone(),
                });
            }
        }
        if self.name == TableName::Nat {
            let services = table.chains.iter().map(|chain| &chain.name);
            services
                .filter(|name| is_service_chain(name) && !kept.contains_key(name))
                .for_each(stale);
        }
        self.remove_jumps(owned, wanted, &[&flush[..], &delete[..]].concat());
        self.remove_chains(&flush, &delete);
    }

    /// Removes the jumps of any layout to chains that go, and to others that are jumped to in another way now.
    fn remove_jumps(
        &mut self,
        owned: &TableRules,
        wanted: Option<&TableRules>,
        gone: &[&ChainName],
    ) {
        let gone: HashSet<_> = gone.iter().map(|name| name.as_str()).collect();
        let chains = wanted.iter().flat_map(|wanted| &wanted.chains);
        let kept: HashSet<_> = chains.map(|own| own.name.as_str()).collect();
        let jumps: HashSet<_> = wanted
            .iter()
            .flat_map(|wanted| wanted.all_jumps())
            .collect();
        for jump in owned.all_jumps() {
            let (chain, rule) = jump;
            let stale = target(rule).is_some_and(|target| {
                gone.contains(target) || kept.contains(target) && !jumps.contains(jump)
            });
            if stale {
                let found = self.rules(chain).iter().filter(|found| *found == rule);
                for _ in 0..found.count() {
                    self.delete_rule(chain, rule);
                }
            }
        }
    }

    fn remove_chains(&mut self, flush: &[&ChainName], delete: &[&ChainName]) {
        for name in flush {
            if !self.rules(name).is_empty() {
                self.rewrite(name, Vec::new());
            }
        }
        for name in delete {
            self.rewrite(name, Vec::new());
            self.delete.push(Edit::DeleteChain {
                chain: (*name).clone(),
            });
        }
    }

    /// The chains that rules jump to which are not the proxy's. They cannot be deleted.
    pub(super) fn targets_of_others(&self) -> HashSet<&'a str> {
        let owned = owned_table(self.family, &self.name);
        let owned_chains: HashSet<_> = owned
            .iter()
            .flat_map(|table| &table.chains)
            .map(|own| &own.name)
            .collect();
        let jumps: HashSet<_> = owned.iter().flat_map(|table| table.all_jumps()).collect();
        let nat = self.name == TableName::Nat;
        let is_own = |name| owned_chains.contains(name) || nat && is_service_chain(name);
        let found = self.table.iter().flat_map(|table| &table.chains);
        let others = found.filter(|chain| !is_own(&chain.name));
        let rules = others.flat_map(|chain| chain.rules.iter().map(move |rule| (chain, rule)));
        // A jump is compared with the proxy's only where it could be one of them.
        rules
            .filter_map(|(chain, rule)| Some((chain, rule, target(rule)?)))
            .filter(|(chain, rule, _)| !jumps.contains(&(chain.name.clone(), (*rule).clone())))
            .map(|(_, _, target)| target)
            .collect()
    }

    pub(super) fn finish(self) -> Option<RulesChange> {
        if self.declare.is_empty() && self.edits.is_empty() {
            return None;
        }
        let mut input = RestoreInput::new();
        let table = input.table(self.name);
        for edit in [self.declare, self.edits, self.delete]
            .into_iter()
            .flatten()
        {
            // All names and rules are the proxy's own or were read from the kernel: none is invalid.
            let _ = table.push(edit);
        }
        Some(RulesChange {
            family: self.family,
            input,
            before: self.before,
            services: Vec::new(),
            dependents: Dependents::All,
        })
    }
}
