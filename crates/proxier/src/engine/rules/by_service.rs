//! Rules of iptables mode, by Service.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Write as _;

use iptables_restore::{Chain, ChainName, Edit, Rule, Ruleset, TableName};

use crate::cluster::{Family, ObjectName};
use crate::engine::ranks::{Counts, Ranks};
use crate::engine::rules::RuleCounts;
use crate::layout::{SharedChain, is_service_chain, is_service_chain_name};
use crate::plan::RulesChange;
use crate::reconcile::{FoundChain, FoundService, targets_of_others};

/// See the module.
#[derive(Debug)]
pub(in crate::engine) struct ByService {
    /// All other rules, the shared chains with what is behind the rules of Services.
    base: Ruleset,
    /// Chains that rules of others jump to.
    kept: HashSet<String>,
    /// The rules of Services in shared chains.
    shared: HashMap<ObjectName, Vec<(SharedChain, Rule)>>,
    ranks: Ranks,
    /// In which chains the Services are in order.
    sorted: [bool; SharedChain::COUNT],
    /// The rules of the chains of Services and endpoints, a line for each.
    chains: HashMap<ChainName, Box<str>>,
    /// How many lines these are.
    lines: usize,
}

impl ByService {
    /// Takes rules apart; gives them back where they are not as iptables mode has them.
    pub(super) fn of(family: Family, mut whole: Ruleset) -> Result<Self, Ruleset> {
        let Some(order) = order(&whole).filter(|_| each_has_its_chains(&whole)) else {
            return Err(whole);
        };
        let kept = targets_of_others(family, &whole);
        let mut shared: HashMap<ObjectName, Vec<(SharedChain, Rule)>> = HashMap::new();
        for (of, (owners, _)) in SharedChain::ALL.into_iter().zip(&order) {
            let table = whole.table_mut(&of.table());
            if let Some(chain) = table.and_then(|table| table.chain_mut(of.name())) {
                let rules = chain.rules.drain(..owners.len());
                for (owner, rule) in owners.iter().zip(rules) {
                    shared.entry(owner.clone()).or_default().push((of, rule));
                }
                chain.rules.shrink_to_fit();
            }
        }
        let mut chains: HashMap<ChainName, Box<str>> = HashMap::new();
        if let Some(nat) = whole.table_mut(&TableName::Nat) {
            let all = std::mem::take(&mut nat.chains).into_iter();
            let (own, others): (Vec<_>, _) = all.partition(|chain| is_service_chain(&chain.name));
            nat.chains = others;
            for chain in own {
                chains.insert(chain.name, text(&chain.rules));
            }
        }
        let sorted = order.map(|(_, sorted)| sorted);
        let counts = shared
            .iter()
            .map(|(name, rules)| (name.clone(), count(rules)));
        let counts: BTreeMap<_, _> = counts.collect();
        Ok(Self {
            base: whole,
            kept,
            shared,
            ranks: Ranks::new(counts),
            sorted,
            lines: chains.values().map(|text| text.lines().count()).sum(),
            chains,
        })
    }

    /// All rules.
    pub(super) fn whole(&self) -> Ruleset {
        let mut whole = self.base.clone();
        for of in SharedChain::ALL {
            let table = whole.table_mut(&of.table());
            let Some(chain) = table.and_then(|table| table.chain_mut(of.name())) else {
                continue;
            };
            let names = self.ranks.names();
            let rules = names.flat_map(|name| self.shared.get(name).into_iter().flatten());
            let rules = rules.filter(|(chain, _)| *chain == of);
            chain
                .rules
                .splice(0..0, rules.map(|(_, rule)| rule.clone()));
        }
        if let Some(nat) = whole.table_mut(&TableName::Nat) {
            let mut own: Vec<_> = self.chains.iter().collect();
            own.sort_unstable_by_key(|(name, _)| *name);
            nat.chains.extend(own.into_iter().map(|(name, text)| {
                let mut chain = Chain::new(name.clone());
                chain.rules = FoundChain::Text(text).rules().into();
                chain
            }));
        }
        whole
    }

    /// What there is of a Service, and of the chains that it is to have.
    pub(super) fn found<'c>(
        &self,
        name: &ObjectName,
        wanted: impl Iterator<Item = &'c ChainName>,
    ) -> FoundService<'_> {
        let mut found = FoundService::default();
        let mut left = Vec::new();
        for (of, rule) in self.shared.get(name).into_iter().flatten() {
            if let Some(rules) = found.shared.get_mut(of.index()) {
                rules.push(rule);
            }
            left.extend(rule.target.as_ref().and_then(|target| target.chain()));
        }
        let before = self.ranks.before(name);
        for of in SharedChain::ALL {
            let at = of.index();
            if let (Some(place), Some(true)) = (found.before.get_mut(at), self.sorted.get(at)) {
                *place = before.get(at).copied();
            }
        }
        while let Some(target) = left.pop() {
            let known = self.chains.get_key_value(target);
            let Some((name, text)) = known.filter(|_| is_service_chain_name(target)) else {
                continue;
            };
            let chain = FoundChain::Text(text);
            if found.chains.insert(name.clone(), chain).is_none() {
                left.extend(targets(text));
            }
        }
        for name in wanted {
            if let Some(text) = self.chains.get(name) {
                found.chains.insert(name.clone(), FoundChain::Text(text));
            }
        }
        found
    }

    /// How many rules the proxy's chains have.
    pub(super) fn counts(&self) -> RuleCounts {
        let mut counts = RuleCounts::of(&self.base);
        counts.nat += self.lines;
        let shared = self.ranks.total();
        for (of, count) in SharedChain::ALL.into_iter().zip(shared) {
            match of.table() {
                TableName::Nat => counts.nat += count,
                _ => counts.filter += count,
            }
        }
        counts
    }

    /// Whether rules of others jump to a chain.
    pub(super) fn is_kept(&self, chain: &str) -> bool {
        self.kept.contains(chain)
    }

    /// Makes a change of Services.
    pub(super) fn take(&mut self, change: &RulesChange) {
        let mut concerned: Vec<ObjectName> = Vec::new();
        let mut written: HashMap<&ChainName, String> = HashMap::new();
        for table in change.input.tables() {
            for edit in table.edits() {
                match (SharedChain::of(table.name(), edit.chain().as_str()), edit) {
                    (Some(of), edit) => {
                        let Some(name) = edit.rule().and_then(|rule| of.service_of(rule)) else {
                            continue;
                        };
                        if let (Edit::Insert { .. }, Some(sorted)) =
                            (edit, self.sorted.get_mut(of.index()))
                        {
                            // Of several Services they are put in front of all others.
                            *sorted &= change.services.len() == 1;
                        }
                        self.edit_shared(of, &name, edit);
                        concerned.push(name);
                    }
                    (None, Edit::DeclareChain { chain }) => {
                        written.insert(chain, String::new());
                    }
                    (None, Edit::Append { chain, rule }) => {
                        // Nothing fails that is written to a string.
                        let _ = writeln!(written.entry(chain).or_default(), "{rule}");
                    }
                    (None, Edit::DeleteChain { chain }) => {
                        written.remove(chain);
                        let gone = self.chains.remove(chain);
                        self.lines -= gone.map_or(0, |text| text.lines().count());
                    }
                    (None, _) => {}
                }
            }
        }
        for (chain, text) in written {
            self.lines += text.lines().count();
            let before = self.chains.insert(chain.clone(), text.into());
            self.lines -= before.map_or(0, |text| text.lines().count());
        }
        for name in concerned {
            let counts = self
                .shared
                .get(&name)
                .map_or(Counts::default(), |r| count(r));
            self.ranks.set(&name, counts);
        }
    }

    fn edit_shared(&mut self, of: SharedChain, name: &ObjectName, edit: &Edit) {
        match edit {
            Edit::Insert { position, rule, .. } => {
                let before = self.ranks.before(name);
                let rules = self.shared.entry(name.clone()).or_default();
                let first = before.get(of.index()).copied().unwrap_or_default() + 1;
                // In the order of the chain, as far as it is known.
                let skip = position.saturating_sub(first);
                let own = rules
                    .iter()
                    .enumerate()
                    .filter(|(_, (chain, _))| *chain == of);
                let at = own.skip(skip).map(|(at, _)| at).next();
                rules.insert(at.unwrap_or(rules.len()), (of, rule.clone()));
            }
            Edit::Delete { rule, .. } => {
                let Some(rules) = self.shared.get_mut(name) else {
                    return;
                };
                let found = rules
                    .iter()
                    .position(|(chain, found)| *chain == of && found == rule);
                if let Some(at) = found {
                    rules.remove(at);
                }
                if rules.is_empty() {
                    self.shared.remove(name);
                }
            }
            _ => {}
        }
    }
}

/// Of each shared chain the Services whose rules it has, one for each rule, and whether they are in order; `None` where
/// other rules are among them, or a chain is missing.
fn order(rules: &Ruleset) -> Option<[(Vec<ObjectName>, bool); SharedChain::COUNT]> {
    let mut all: [(Vec<ObjectName>, bool); SharedChain::COUNT] = Default::default();
    for of in SharedChain::ALL {
        let chain = rules.table(&of.table())?.chain(of.name())?;
        let owners = chain.rules.iter().map(|rule| of.service_of(rule));
        let owners: Vec<_> = owners.collect();
        let services = owners.iter().take_while(|owner| owner.is_some()).count();
        let behind = owners.get(services..)?;
        let in_place = match of {
            SharedChain::Services => behind.iter().all(Option::is_none),
            _ => behind.is_empty(),
        };
        if !in_place {
            return None;
        }
        let owners: Vec<_> = owners.into_iter().flatten().collect();
        let sorted = owners.is_sorted();
        *all.get_mut(of.index())? = (owners, sorted);
    }
    Some(all)
}

/// Whether no Service leads to the chains of another.
fn each_has_its_chains(rules: &Ruleset) -> bool {
    let Some(nat) = rules.table(&TableName::Nat) else {
        return false;
    };
    let chains: HashMap<&str, &Chain> = nat
        .chains
        .iter()
        .map(|chain| (chain.name.as_str(), chain))
        .collect();
    let mut owners: HashMap<&str, ObjectName> = HashMap::new();
    let target = |rule| -> Option<&str> {
        let rule: &Rule = rule;
        rule.target.as_ref()?.chain()
    };
    for of in [SharedChain::Services, SharedChain::NodePorts] {
        for rule in chains.get(of.name()).iter().flat_map(|chain| &chain.rules) {
            let Some(owner) = of.service_of(rule) else {
                continue;
            };
            let mut left: Vec<&str> = target(rule).into_iter().collect();
            while let Some(name) = left.pop() {
                let Some(chain) = chains.get(name).filter(|_| is_service_chain_name(name)) else {
                    continue;
                };
                match owners.get(name) {
                    Some(known) if *known == owner => {}
                    Some(_) => return false,
                    None => {
                        owners.insert(name, owner.clone());
                        left.extend(chain.rules.iter().filter_map(target));
                    }
                }
            }
        }
    }
    true
}

fn count(rules: &[(SharedChain, Rule)]) -> Counts {
    let mut counts = Counts::default();
    for (of, _) in rules {
        if let Some(count) = counts.get_mut(of.index()) {
            *count += 1;
        }
    }
    counts
}

fn text(rules: &[Rule]) -> Box<str> {
    let mut text = String::new();
    for rule in rules {
        // Nothing fails that is written to a string.
        let _ = writeln!(text, "{rule}");
    }
    text.into()
}

/// What the rules of a chain jump to, extensions included.
fn targets(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|line| {
        let target = match line.strip_prefix("-j ") {
            Some(target) => target,
            None => line.rsplit_once(" -j ")?.1,
        };
        target.split(' ').next()
    })
}
