//! Which new virtual servers need a change of rules.

use std::collections::HashSet;

use ipset_netlink::SetName;
use iptables_restore::{Chain, ChainName, Edit, Match, Rule, Ruleset, Table, TableEdits};
use ipvs_netlink::Protocol;

use crate::layout::{ACCEPT_CHAIN, Reach, SetId, SetIds};
use crate::plan::{Dependents, RulesChange};

use super::Members;

/// Who must wait until a change has been made, given the rules before it.
///
/// A rule that matches one of the proxy's sets is needed by the virtual servers that have members in it. Any other rule,
/// a new chain and a new jump may be needed by all. Only the chain that accepts what is refused otherwise is needed by
/// none: without it packets are dropped, but never forwarded wrongly.
pub(super) fn dependents(
    change: &RulesChange,
    kernel: &Ruleset,
    members: Members<'_>,
) -> Dependents {
    let mut needs = Needs::default();
    for edits in change.input.tables() {
        needs.table(edits, kernel.table(edits.name()));
    }
    if needs.all {
        return Dependents::All;
    }
    let mut reaches = needs.reaches;
    for id in SetId::ALL.into_iter().filter(|id| needs.sets.contains(*id)) {
        members(change.family, id, &mut |entry| {
            reaches.extend(Reach::of_entry(id, entry));
        });
    }
    Dependents::At(reaches)
}

#[derive(Default)]
struct Needs {
    all: bool,
    sets: SetIds,
    reaches: Vec<Reach>,
}

impl Needs {
    fn table(&mut self, edits: &TableEdits, table: Option<&Table>) {
        let found = |name: &ChainName| table.and_then(|table| table.chain(name.as_str()));
        let mut written: Vec<(&ChainName, Vec<&Rule>)> = Vec::new();
        for edit in edits.edits() {
            match edit {
                Edit::DeclareChain { chain } => written.push((chain, Vec::new())),
                Edit::Append { chain, rule } | Edit::Insert { chain, rule, .. } => {
                    match written.iter_mut().find(|(name, _)| *name == chain) {
                        Some((_, rules)) => rules.push(rule),
                        None => self.rule(chain, rule),
                    }
                }
                Edit::Delete { chain, rule } => self.rule(chain, rule),
                _ => self.all = true,
            }
        }
        for (name, rules) in written {
            if name.as_str() == ACCEPT_CHAIN {
                continue;
            }
            match found(name) {
                Some(chain) => self.rewritten(chain, &rules),
                None => self.all = true,
            }
        }
    }

    /// A chain that gets these rules instead of those that it has.
    fn rewritten(&mut self, chain: &Chain, rules: &[&Rule]) {
        let before: HashSet<&Rule> = chain.rules.iter().collect();
        let after: HashSet<&Rule> = rules.iter().copied().collect();
        let come = rules.iter().copied().filter(|rule| !before.contains(rule));
        let go = chain.rules.iter().filter(|rule| !after.contains(rule));
        for rule in come.chain(go) {
            self.rule(&chain.name, rule);
        }
        let kept = chain.rules.iter().filter(|rule| after.contains(rule));
        let stay = rules.iter().copied().filter(|rule| before.contains(rule));
        self.all |= !kept.eq(stay);
    }

    /// A rule that comes, or one that goes.
    fn rule(&mut self, chain: &ChainName, rule: &Rule) {
        let target = rule.target.as_ref().and_then(|target| target.chain());
        if chain.as_str() == ACCEPT_CHAIN || target == Some(ACCEPT_CHAIN) {
            return;
        }
        let server = rule.matches.iter().find_map(of_server);
        let mut known = server.is_some();
        self.reaches.extend(server);
        for name in rule.set_names() {
            let owner = SetName::new(name).ok().and_then(|name| SetId::owner(&name));
            match owner {
                Some((_, id)) => {
                    self.sets.insert(id);
                    known = true;
                }
                None => self.all = true,
            }
        }
        self.all |= !known;
    }
}

/// The virtual server that a rule is for.
fn of_server(part: &Match) -> Option<Reach> {
    let Match::Ipvs(server) = part else {
        return None;
    };
    let (protocol, address, port) = (server.protocol?, server.address?, server.port?);
    let exact = !(protocol.negated || address.negated || port.negated);
    exact.then_some(Reach::Address(
        Protocol(protocol.value),
        address.value.ip(),
        port.value,
    ))
}
