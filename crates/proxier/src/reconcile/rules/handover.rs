//! From iptables mode to IPVS mode.
//!
//! Both modes have a chain called `KUBE-SERVICES` in the nat table. While one takes over from the other, it has the
//! rules of both: what is sent to chains of Services goes there first, and what is not is still IPVS's. So no Service is
//! without either in between, nor is a virtual server that is about to go without its masquerading. The way back is in
//! [`super::iptables`].

use iptables_restore::{Rule, Ruleset, TableName};

use crate::layout::{TableRules, is_service_chain_name};

const SERVICES: &str = "KUBE-SERVICES";
/// Where iptables mode has node ports; IPVS mode has another.
const NODE_PORTS: &str = "KUBE-NODEPORTS";

/// The rules of a table with those that iptables mode left; `None` where it left none.
pub(super) fn with_iptables_mode(wanted: &TableRules, kernel: &Ruleset) -> Option<TableRules> {
    if wanted.name != TableName::Nat {
        return None;
    }
    let at = wanted.chains.iter().position(|own| own.name == SERVICES)?;
    let found = kernel.table(&wanted.name)?.chain(SERVICES)?;
    let own = &wanted.chains.get(at)?.rules;
    let left: Vec<Rule> = found
        .rules
        .iter()
        .filter(|rule| leads_to_services(rule) && !own.contains(rule))
        .cloned()
        .collect();
    if left.is_empty() {
        return None;
    }
    let mut both = wanted.clone();
    let services = both.chains.get_mut(at)?;
    services.unordered = false;
    services.tail = 0;
    services.rules.splice(0..0, left);
    Some(both)
}

/// Whether it is a rule of iptables mode.
fn leads_to_services(rule: &Rule) -> bool {
    let target = rule.target.as_ref().and_then(|target| target.chain());
    target.is_some_and(|target| target == NODE_PORTS || is_service_chain_name(target))
}
