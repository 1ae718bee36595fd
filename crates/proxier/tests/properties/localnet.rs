//! Loopback addresses are never open to others without what guards them.

use iptables_restore::TableName;
use nftables_netlink::Expression;
use proxier::{Observed, Sysctl};

/// Whether packets from elsewhere are routed to loopback addresses, and no rule of the proxy's keeps them out.
pub(crate) fn is_open(state: &Observed) -> bool {
    let routed = state.sysctls.get(&Sysctl::RouteLocalnet) == Some(&1);
    routed && !is_guarded_by_iptables(state) && !is_guarded_by_table(state)
}

fn is_guarded_by_iptables(state: &Observed) -> bool {
    let filter = state.rules.v4.table(&TableName::Filter);
    let Some(filter) = filter else {
        return false;
    };
    let rules = |chain: &str| {
        let chain = filter.chain(chain);
        chain.map_or_else(Vec::new, |chain| {
            chain.rules.iter().map(ToString::to_string).collect()
        })
    };
    let has = |chain, text: &str| rules(chain).iter().any(|rule| rule.contains(text));
    has("KUBE-FIREWALL", "block incoming localnet") && has("INPUT", "KUBE-FIREWALL")
}

fn is_guarded_by_table(state: &Observed) -> bool {
    let Some(table) = &state.tables.v4 else {
        return false;
    };
    let is_guard = |name: &Option<nftables_netlink::Name>| {
        name.as_ref().is_some_and(|name| *name == *"loopback-guard")
    };
    let mut chains = table.structure.chains.iter();
    let hooked = chains.any(|chain| is_guard(&chain.name) && chain.hook.is_some());
    let mut rules = table.structure.rules.iter();
    let drops = |rule: &nftables_netlink::Rule| {
        let last = rule.expressions.0.last();
        matches!(last, Some(Expression::Immediate(_)))
    };
    hooked && rules.any(|rule| is_guard(&rule.chain) && drops(rule))
}
