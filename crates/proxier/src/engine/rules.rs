//! Rules as last applied, and the rules of Services as part of a plan.
//!
//! In iptables mode a large cluster has ten thousands of rules, of which a change concerns a few. So once the rules that
//! all Services share are as they should be, those of Services are kept by Service, and as text.

mod by_service;

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::mem;

use iptables_restore::{RestoreInput, Ruleset, TableName};

use self::by_service::ByService;
use super::delta::DeltaBuilder;
use super::dirty::Dirty;
use super::last_applied::LastApplied;
use crate::cluster::{Family, ObjectName, PerFamily};
use crate::desired::FamilyState;
use crate::layout::{Layout, SetIds, is_plain};
use crate::plan::{Operation, Plan, RulesChange};
use crate::reconcile::ServiceChanges;

/// The rules of a family.
#[derive(Debug)]
pub(super) enum AppliedRules {
    /// As they were observed, and changed since.
    Whole(Ruleset),
    /// The same, with those of iptables mode by Service.
    ByService(Box<ByService>),
}

/// How many rules the proxy has in each table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RuleCounts {
    /// In the nat table.
    pub nat: usize,
    /// In the filter table.
    pub filter: usize,
    /// In the mangle table, where layouts with ipset have ranges of ports.
    pub mangle: usize,
}

impl RuleCounts {
    /// Those in chains of the proxy's, or of a kubelet's.
    fn of(rules: &Ruleset) -> Self {
        let count = |name: &TableName| {
            let chains = rules
                .table(name)
                .into_iter()
                .flat_map(|table| &table.chains);
            let own = chains.filter(|chain| chain.name.as_str().starts_with("KUBE-"));
            own.map(|chain| chain.rules.len()).sum()
        };
        Self {
            nat: count(&TableName::Nat),
            filter: count(&TableName::Filter),
            mangle: count(&TableName::Mangle),
        }
    }
}

impl AppliedRules {
    pub(super) fn counts(&self) -> RuleCounts {
        match self {
            Self::Whole(rules) => RuleCounts::of(rules),
            Self::ByService(rules) => rules.counts(),
        }
    }

    pub(super) const fn new(found: Ruleset) -> Self {
        Self::Whole(found)
    }

    /// All of them.
    pub(super) fn whole(&self) -> Cow<'_, Ruleset> {
        match self {
            Self::Whole(rules) => Cow::Borrowed(rules),
            Self::ByService(rules) => Cow::Owned(rules.whole()),
        }
    }

    /// Keeps them by Service from now on. Returns false where they are not in the form that iptables mode gives them.
    pub(super) fn keep_by_service(&mut self, family: Family) -> bool {
        let Self::Whole(rules) = self else {
            return true;
        };
        match ByService::of(family, mem::take(rules)) {
            Ok(by_service) => {
                *self = Self::ByService(Box::new(by_service));
                true
            }
            Err(whole) => {
                *rules = whole;
                false
            }
        }
    }

    /// Makes changes that were carried out.
    pub(super) fn take(&mut self, family: Family, changes: &[&RulesChange]) {
        let shared = changes.iter().rposition(|c| c.services.is_empty());
        let (until, rest) = changes.split_at(shared.map_or(0, |at| at + 1));
        self.make(until);
        // As values, what Services get in the beginning would take as much memory as the plan that has it.
        let plain = |change: &&RulesChange| change.services.iter().all(is_plain);
        if !rest.is_empty() && rest.iter().all(plain) {
            self.keep_by_service(family);
        }
        self.make(rest);
    }

    fn make(&mut self, changes: &[&RulesChange]) {
        if changes.is_empty() {
            return;
        }
        if let Self::ByService(rules) = self {
            if changes.iter().all(|change| !change.services.is_empty()) {
                changes.iter().for_each(|change| rules.take(change));
                return;
            }
            *self = Self::Whole(rules.whole());
        }
        if let Self::Whole(rules) = self {
            let all = changes.iter().map(|change| &change.input);
            if RestoreInput::apply_all(all.clone(), rules).is_err() {
                // The kernel took them; if this copy does not take one, the next audit shows why.
                for change in all {
                    let _ = change.apply(rules);
                }
            }
        }
    }
}

/// Prepares the rules of dirty Services to be planned by themselves; where that cannot be, all rules are dirty.
pub(super) fn prepare(dirty: &mut Dirty, last_applied: &mut LastApplied) {
    for family in Family::ALL {
        let services = dirty.services.get(family);
        let whole = dirty.rules.get_mut(family);
        if services.is_empty() || *whole {
            continue;
        }
        let rules = last_applied.rules.get_mut(family);
        *whole = !services.iter().all(is_plain) || !rules.keep_by_service(family);
    }
}

/// Whether a plan changes rules otherwise than by Service.
pub(super) fn changes_all(plan: &Plan) -> bool {
    let mut operations = plan.iter().map(|(_, operation)| operation);
    operations.any(|operation| {
        matches!(operation, Operation::RestoreRules(change) if change.services.is_empty())
    })
}

/// Keeps rules by Service as soon as all of them are as they should be, and not only when the first Service changes: as
/// text they take a tenth of the memory, and that first change is as quick as others.
pub(super) fn settle(layout: Layout, last_applied: &mut LastApplied) {
    if layout == Layout::Iptables {
        for family in Family::ALL {
            last_applied.rules.get_mut(family).keep_by_service(family);
        }
    }
}

impl DeltaBuilder<'_> {
    /// All rules of a family in iptables mode; `None` in another, and for a family that is not written.
    pub(super) fn iptables_mode(&self, family: Family) -> Option<FamilyState> {
        if self.config.layout != Layout::Iptables || !self.writes(family) {
            return None;
        }
        let mut rules = self.context(family).rules(SetIds::NONE);
        rules.iptables.ports = self.wanted.all_ports(family);
        Some(FamilyState::new(Vec::new(), rules))
    }

    /// Plans the rules of the Services that are dirty, in families whose rules are not planned whole.
    pub(super) fn services(&self, dirty: &Dirty, plan: &mut Plan) {
        if self.config.layout != Layout::Iptables {
            return;
        }
        for family in Family::ALL
            .into_iter()
            .filter(|family| self.writes(*family))
        {
            let names = dirty.services.get(family);
            if names.is_empty() || *dirty.rules.get(family) {
                continue;
            }
            if let AppliedRules::ByService(applied) = self.last_applied.rules.get(family) {
                self.of_services(family, names, applied, plan);
            }
        }
    }

    fn of_services(
        &self,
        family: Family,
        names: &BTreeSet<ObjectName>,
        applied: &ByService,
        plan: &mut Plan,
    ) {
        let mut rules = self.context(family).rules(SetIds::NONE);
        rules.iptables.ports = self.wanted.ports(family, names);
        let chains = rules.service_chains();
        let found = names.iter().map(|name| {
            let chains = chains.get(name).into_iter().flatten();
            (name.clone(), applied.found(name, chains))
        });
        let found: Vec<_> = found.collect();
        let wanted = |name: &ObjectName| rules.service_tables(name);
        let is_kept = |chain: &str| applied.is_kept(chain);
        ServiceChanges::of(family, &found, &wanted, &is_kept).into_plan(plan);
    }
}

/// Changes of rules that were carried out, by family.
#[derive(Default)]
pub(super) struct Taken<'a>(PerFamily<Vec<&'a RulesChange>>);

impl<'a> Taken<'a> {
    pub(super) fn note(&mut self, change: &'a RulesChange) {
        self.0.get_mut(change.family).push(change);
    }

    pub(super) fn apply(self, rules: &mut PerFamily<AppliedRules>) {
        for family in Family::ALL {
            rules.get_mut(family).take(family, self.0.get(family));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_of_the_proxys_chains_are_counted_by_table() {
        let text = "*mangle\n:OUTPUT ACCEPT\n:KUBE-RANGE-MARKS -\n\
                    -A OUTPUT -j KUBE-RANGE-MARKS\n\
                    -A KUBE-RANGE-MARKS -d 192.0.2.1/32 -p tcp -j MARK --set-xmark 0x1/0xffffffff\n\
                    -A KUBE-RANGE-MARKS -j RETURN\nCOMMIT\n\
                    *nat\n:KUBE-SERVICES -\n-A KUBE-SERVICES -j RETURN\nCOMMIT\n";
        let rules = Ruleset::parse(text).unwrap();
        let expected = RuleCounts {
            nat: 1,
            filter: 0,
            mangle: 2,
        };
        assert_eq!(RuleCounts::of(&rules), expected);
    }
}
