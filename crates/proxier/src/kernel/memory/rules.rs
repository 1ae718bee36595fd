//! Rules, as `net/netfilter/x_tables` and `iptables-restore` keep them.

use ipset_netlink::SetName;
use iptables_restore::{Edit, Ruleset};

use super::MemoryKernel;
use crate::cluster::Family;
use crate::kernel::{KernelError, KernelPart};
use crate::plan::RulesChange;

impl MemoryKernel {
    pub(super) fn restore_rules(&mut self, change: &RulesChange) -> Result<(), KernelError> {
        for table in change.input.tables() {
            for edit in table.edits() {
                if let Edit::Append { rule, .. } | Edit::Insert { rule, .. } = edit {
                    for name in rule.set_names() {
                        let there = name
                            .parse()
                            .is_ok_and(|name: SetName| self.sets.contains_key(&name));
                        if !there {
                            return Err(KernelError::missing(
                                KernelPart::Rules,
                                format_args!("set {name}, which {edit} names,"),
                            ));
                        }
                    }
                }
            }
        }
        let rules = self.rules.get_mut(change.family);
        let mut changed = rules.clone();
        change.input.apply(&mut changed).map_err(|error| {
            KernelError::invalid(KernelPart::Rules, "rules", &error).caused_by(error)
        })?;
        *rules = changed;
        Ok(())
    }

    /// A rule that names a set, which keeps it from being destroyed.
    pub(super) fn rule_naming(&self, set: &SetName) -> Option<String> {
        let naming = |rules: &Ruleset| {
            rules
                .tables
                .iter()
                .flat_map(|table| &table.chains)
                .find_map(|chain| {
                    let names = |rule: &&iptables_restore::Rule| {
                        rule.set_names().any(|name| name == set.as_str())
                    };
                    chain
                        .rules
                        .iter()
                        .find(names)
                        .map(|rule| rule.display_in(&chain.name).to_string())
                })
        };
        Family::ALL
            .into_iter()
            .find_map(|family| naming(self.rules.get(family)))
    }
}
