//! What Services add to the rules of iptables mode, a change for each Service.
//!
//! For each Service, new rules of the filter table come first, then those of the nat table. Rules of the filter table that
//! are no longer needed are deleted last. The changes are made in reverse order of names: so the place of a rule in a shared
//! chain does not depend on the other changes of the plan, and a change that is refused moves no other rule. Services
//! between which an address moves are changed together, at the end.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write as _;

use iptables_restore::{Chain, ChainName, Edit, Match, RestoreInput, Rule, TableName};

use crate::cluster::{Family, ObjectName};
use crate::layout::{ServiceTables, SharedChain};
use crate::plan::{Dependents, Operation, Phase, Plan, RulesChange};

/// What the kernel has of a Service.
#[derive(Debug, Default)]
pub(crate) struct FoundService<'a> {
    /// Its rules in shared chains, by [`SharedChain::index`].
    pub(crate) shared: [Vec<&'a Rule>; SharedChain::COUNT],
    /// How many rules are before its own in each, or would be; `None` where the rules are in no order.
    pub(crate) before: [Option<usize>; SharedChain::COUNT],
    /// Its chains, and those that it is to have and that are there.
    pub(crate) chains: BTreeMap<ChainName, FoundChain<'a>>,
}

/// The rules of a chain.
#[derive(Clone, Copy, Debug)]
pub(crate) enum FoundChain<'a> {
    /// As values.
    Rules(&'a [Rule]),
    /// As text, a line for each.
    Text(&'a str),
}

impl FoundChain<'_> {
    pub(crate) fn rules(&self) -> Vec<Rule> {
        match self {
            Self::Rules(rules) => rules.to_vec(),
            // They were printed from rules.
            Self::Text(text) => text.lines().filter_map(|line| line.parse().ok()).collect(),
        }
    }

    const fn is_empty(&self) -> bool {
        match self {
            Self::Rules(rules) => rules.is_empty(),
            Self::Text(text) => text.is_empty(),
        }
    }

    fn has(&self, wanted: &[Rule]) -> bool {
        let text = match self {
            Self::Rules(rules) => return *rules == wanted,
            Self::Text(text) => text,
        };
        let mut lines = text.lines();
        let mut line = String::new();
        wanted.iter().all(|rule| {
            line.clear();
            // Nothing fails that is written to a string. What another wrote may be the same in other words.
            let _ = write!(line, "{rule}");
            lines.next().is_some_and(|found| {
                found == line || found.parse().is_ok_and(|found: Rule| found == *rule)
            })
        }) && lines.next().is_none()
    }
}

/// The changes of a plan, in their order.
#[derive(Debug, Default)]
pub(crate) struct ServiceChanges {
    /// What the filter table gets.
    pub(crate) refuse: Vec<RulesChange>,
    /// The nat table.
    pub(crate) translate: Vec<RulesChange>,
    /// What the filter table loses.
    pub(crate) trim: Vec<RulesChange>,
}

impl ServiceChanges {
    /// Of Services sorted by name, with what was found of each. `wanted` gives what one is to have, which is never there
    /// for all of them at once: it takes as much memory as the changes. `is_kept` names chains that others jump to, which
    /// cannot be deleted.
    pub(crate) fn of(
        family: Family,
        services: &[(ObjectName, FoundService<'_>)],
        wanted: &dyn Fn(&ObjectName) -> ServiceTables,
        is_kept: &dyn Fn(&str) -> bool,
    ) -> Self {
        let mut singles = Vec::new();
        for (n, (name, found)) in services.iter().enumerate() {
            let difference = Difference::of(wanted(name), found, false, is_kept);
            if !difference.is_empty() {
                singles.push((n, difference));
            }
        }
        let mut changes = Self::default();
        let joined = joined(&singles);
        for (n, difference) in singles.into_iter().rev() {
            if !joined.iter().any(|group| group.contains(&n)) {
                let name = services.get(n).map(|(name, _)| name.clone());
                changes.push(family, name.as_slice(), difference);
            }
        }
        for group in joined {
            let services = || group.iter().filter_map(|n| services.get(*n));
            let mut all = Difference::default();
            for (name, found) in services() {
                all.extend(Difference::of(wanted(name), found, true, is_kept));
            }
            let names: Vec<_> = services().map(|(name, _)| name.clone()).collect();
            changes.push(family, &names, all);
        }
        changes
    }

    fn push(&mut self, family: Family, services: &[ObjectName], difference: Difference) {
        let Difference {
            refuse,
            declare,
            translate,
            delete,
            trim,
            before,
            ..
        } = difference;
        let change = |table: TableName, edits: [Vec<Edit>; 3], before: Vec<Chain>| {
            let mut input = RestoreInput::new();
            let table = input.table(table);
            table.reserve_exact(edits.iter().map(Vec::len).sum());
            for edit in edits.into_iter().flatten() {
                // All names and rules are the proxy's own or were read from the kernel: none is invalid.
                let _ = table.push(edit);
            }
            (!input.is_empty()).then(|| RulesChange {
                family,
                input,
                before,
                services: services.to_vec(),
                dependents: Dependents::At(Vec::new()),
            })
        };
        let filter = |edits| change(TableName::Filter, [edits, vec![], vec![]], Vec::new());
        self.refuse.extend(filter(refuse));
        let nat = [declare, translate, delete];
        self.translate.extend(change(TableName::Nat, nat, before));
        self.trim.extend(filter(trim));
    }

    /// Adds them to a plan that changes nothing else of the rules.
    pub(crate) fn into_plan(self, plan: &mut Plan) {
        for (phase, changes) in [
            (Phase::Rules, self.refuse),
            (Phase::Rules, self.translate),
            (Phase::Trim, self.trim),
        ] {
            for change in changes {
                plan.push(phase, Operation::RestoreRules(Box::new(change)));
            }
        }
    }
}

/// What differs of a Service.
#[derive(Default)]
struct Difference {
    /// Rules that the filter table gets.
    refuse: Vec<Edit>,
    /// The nat table: chains that are made or emptied, rules, and chains that are deleted.
    declare: Vec<Edit>,
    translate: Vec<Edit>,
    delete: Vec<Edit>,
    /// Rules that the filter table loses.
    trim: Vec<Edit>,
    /// Chains that are written anew or deleted.
    before: Vec<Chain>,
    /// What packets the rules that come are for, and those that go.
    gained: Vec<String>,
    lost: Vec<String>,
}

impl Difference {
    /// With rules put before all others in their chains, if `in_front`.
    fn of(
        wanted: ServiceTables,
        found: &FoundService<'_>,
        in_front: bool,
        is_kept: &dyn Fn(&str) -> bool,
    ) -> Self {
        let mut difference = Self::default();
        let gone = found.chains.iter();
        let gone: Vec<_> = gone
            .filter(|(name, _)| !wanted.chains.contains_key(*name))
            .collect();
        for (name, rules) in wanted.chains {
            let before = found.chains.get(&name);
            if before.is_none_or(|before| !before.has(&rules)) {
                difference.rewrite(&name, before, rules);
            }
        }
        for (chain, rules) in SharedChain::ALL.into_iter().zip(wanted.shared) {
            let at = chain.index();
            let before = found.shared.get(at).map_or(&[][..], Vec::as_slice);
            let place = found.before.get(at).copied().flatten();
            difference.shared(chain, &rules, before, place.filter(|_| !in_front));
        }
        for (name, rules) in gone {
            let kept = is_kept(name.as_str());
            if !(kept && rules.is_empty()) {
                difference.rewrite(name, Some(rules), Vec::new());
            }
            if !kept {
                let chain = name.clone();
                difference.delete.push(Edit::DeleteChain { chain });
            }
        }
        difference
    }

    fn is_empty(&self) -> bool {
        self.refuse.is_empty()
            && self.declare.is_empty()
            && self.translate.is_empty()
            && self.delete.is_empty()
            && self.trim.is_empty()
    }

    fn extend(&mut self, other: Self) {
        self.refuse.extend(other.refuse);
        self.declare.extend(other.declare);
        self.translate.extend(other.translate);
        self.delete.extend(other.delete);
        self.trim.extend(other.trim);
        self.before.extend(other.before);
    }

    fn rewrite(&mut self, name: &ChainName, before: Option<&FoundChain<'_>>, rules: Vec<Rule>) {
        self.before.extend(before.map(|before| {
            let mut chain = Chain::new(name.clone());
            chain.rules = before.rules().into();
            chain
        }));
        self.declare.push(Edit::DeclareChain {
            chain: name.clone(),
        });
        let appended = rules.into_iter().map(|rule| Edit::Append {
            chain: name.clone(),
            rule,
        });
        self.translate.extend(appended);
    }

    /// Its rules in a chain that all Services share.
    fn shared(
        &mut self,
        shared: SharedChain,
        wanted: &[Rule],
        found: &[&Rule],
        before: Option<usize>,
    ) {
        if wanted.len() == found.len() && wanted.iter().eq(found.iter().copied()) {
            return;
        }
        let Ok(chain) = ChainName::new(shared.name()) else {
            return;
        };
        let (mut come, mut go) = (Vec::new(), Vec::new());
        // What is in the chain, and whether it is to stay.
        let mut now: Vec<(&Rule, bool)> = found.iter().map(|rule| (*rule, false)).collect();
        let mut behind = 0;
        for rule in wanted {
            let there = now
                .iter()
                .position(|(found, stays)| !stays && *found == rule);
            if let Some(at) = there {
                if let Some((_, stays)) = now.get_mut(at) {
                    *stays = true;
                }
                behind = behind.max(at + 1);
                continue;
            }
            let position = before.map_or(come.len(), |before| before + behind) + 1;
            now.insert(behind, (rule, true));
            behind += 1;
            self.gained.push(condition(rule));
            come.push(Edit::Insert {
                chain: chain.clone(),
                position,
                rule: rule.clone(),
            });
        }
        for (rule, _) in now.iter().filter(|(_, stays)| !stays) {
            self.lost.push(condition(rule));
            go.push(Edit::Delete {
                chain: chain.clone(),
                rule: (*rule).clone(),
            });
        }
        match shared.table() {
            TableName::Nat => {
                self.translate.extend(come);
                self.translate.extend(go);
            }
            _ => {
                self.refuse.extend(come);
                self.trim.extend(go);
            }
        }
    }
}

/// What packets a rule of a shared chain is for, in whatever table and for whatever Service.
fn condition(rule: &Rule) -> String {
    let mut plain = Rule::new();
    plain.destination.clone_from(&rule.destination);
    plain.protocol.clone_from(&rule.protocol);
    let ports = rule
        .matches
        .iter()
        .filter(|part| matches!(part, Match::Tcp(_) | Match::Udp(_) | Match::Sctp(_)));
    plain.matches = ports.cloned().collect();
    plain.to_string()
}

/// The Services, by their places, of which one loses what another gains: they cannot be changed one after the other
/// without packets that no rule is for in between.
fn joined(differences: &[(usize, Difference)]) -> Vec<BTreeSet<usize>> {
    let mut gained: HashMap<&str, Vec<usize>> = HashMap::new();
    if differences.iter().all(|(_, of)| of.lost.is_empty()) {
        return Vec::new();
    }
    for (n, difference) in differences {
        for condition in &difference.gained {
            gained.entry(condition).or_default().push(*n);
        }
    }
    let mut groups: Vec<BTreeSet<usize>> = Vec::new();
    for (n, difference) in differences {
        let lost = difference.lost.iter();
        let others = lost.filter_map(|condition| gained.get(condition.as_str()));
        let mut group: BTreeSet<usize> = others.flatten().copied().collect();
        group.insert(*n);
        if group.len() > 1 {
            groups.retain(|known| {
                let apart = known.is_disjoint(&group);
                if !apart {
                    group.extend(known);
                }
                apart
            });
            groups.push(group);
        }
    }
    groups.sort();
    groups
}
