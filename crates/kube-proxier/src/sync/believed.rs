//! Rules that cannot be read as the daemon starts, since a tool hangs.
//!
//! Whoever was the proxy before has most likely left them, and what is there already needs no tool. The sets are the evidence:
//! the kernel counts each rule that matches a set as a reference to it, and tells without any tool.

use std::collections::BTreeMap;

use ipset_netlink::SetName;
use iptables_restore::{Rule, Ruleset};
use proxier::cluster::Family;
use proxier::{Desired, Observed, Operation, Phase, reconcile};

/// The rules of a family that an earlier run left, if the sets' references bear it out; else none. `observed` has no rules of
/// that family, but what the sets hold, which decides most of the rules.
pub(super) fn believed(
    desired: &Desired,
    observed: &Observed,
    family: Family,
    references: &BTreeMap<SetName, u32>,
) -> Ruleset {
    let mut left = desired.clone();
    let Some(state) = left.families.get_mut(family) else {
        return Ruleset::default();
    };
    let found = |set: &SetName| references.get(set).copied().unwrap_or_default();
    let filled = |name: &SetName| {
        let set = observed.sets.get(name);
        set.is_some_and(|set| !set.entries.is_empty()) && found(name) > 0
    };
    let ids = state.sets.iter().map(|set| set.id);
    state.rules.filled = ids.filter(|id| filled(&id.name(family))).collect();
    // They match no set, so nothing bears them out.
    state.rules.drops.clear();

    let mut rules = Ruleset::default();
    for (phase, operation) in reconcile(&left, observed).iter() {
        let Operation::RestoreRules(change) = operation else {
            continue;
        };
        if change.family != family || phase == Phase::Trim {
            continue;
        }
        if change.input.apply(&mut rules).is_err() {
            return Ruleset::default();
        }
    }
    let mut wanted: BTreeMap<SetName, u32> = BTreeMap::new();
    for set in all(&rules).flat_map(sets) {
        *wanted.entry(set).or_default() += 1;
    }
    let borne_out = wanted.iter().all(|(set, count)| found(set) >= *count);
    if wanted.is_empty() || !borne_out {
        return Ruleset::default();
    }
    rules
}

fn all(rules: &Ruleset) -> impl Iterator<Item = &Rule> {
    let chains = rules.tables.iter().flat_map(|table| &table.chains);
    chains.flat_map(|chain| &chain.rules)
}

fn sets(rule: &Rule) -> impl Iterator<Item = SetName> {
    rule.set_names().filter_map(|name| name.parse().ok())
}

#[cfg(test)]
mod tests {
    use proxier::cluster::Host;
    use proxier::{Config, Kernel, MemoryKernel, translate};

    use super::*;

    const WEB: &str = "{clusterIP: 10.0.0.7, ports: [{name: http, port: 80}]}";
    const NODE_PORT: &str =
        "{type: NodePort, clusterIP: 10.0.0.7, ports: [{name: http, port: 80, nodePort: 30080}]}";

    fn desired(spec: &str) -> Desired {
        let text = format!(
            "apiVersion: v1\nkind: Service\nmetadata: {{name: web}}\nspec: {spec}\n---\n\
             apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\naddressType: IPv4\n\
             metadata: {{name: web, labels: {{kubernetes.io/service-name: web}}}}\n\
             ports: [{{name: http, port: 8080}}]\nendpoints: [{{addresses: [10.244.1.5]}}]\n"
        );
        let cluster = proxier_manifest::read_cluster("test", text.as_bytes()).cluster;
        assert_eq!(cluster.slices.len(), 1);
        let mut host = Host::new("node-a");
        let address = "192.168.10.10/24".parse().unwrap();
        host.links.insert("eth0".parse().unwrap(), address);
        translate(&cluster, &host, &Config::default())
    }

    /// What a kernel holds of it, without the rules of IPv4; these; and the references to sets that come of them.
    fn left(spec: &str) -> (Observed, Ruleset, BTreeMap<SetName, u32>) {
        let mut kernel = MemoryKernel::new();
        let plan = reconcile(&desired(spec), &kernel.observe().unwrap());
        assert!(kernel.apply(&plan).is_ok());
        let mut observed = kernel.observe().unwrap();
        let rules = std::mem::take(&mut observed.rules.v4);
        let mut references = BTreeMap::new();
        for set in all(&rules).flat_map(sets) {
            *references.entry(set).or_default() += 1;
        }
        assert!(!references.is_empty());
        (observed, rules, references)
    }

    #[test]
    fn rules_are_believed_that_references_to_sets_show() {
        let (mut observed, rules, references) = left(WEB);
        let found = believed(&desired(WEB), &observed, Family::V4, &references);
        assert_eq!(found, rules);
        // Nothing is to be done then.
        observed.rules.v4 = found;
        assert!(reconcile(&desired(WEB), &observed).is_empty());
    }

    #[test]
    fn rules_that_nothing_shows_are_not_believed() {
        let (observed, ..) = left(WEB);
        let found = believed(&desired(WEB), &observed, Family::V4, &BTreeMap::new());
        assert_eq!(found, Ruleset::default());
        // A Service that came since has no rules of its own yet: they are to be made, and only they.
        let (mut observed, _, references) = left(WEB);
        let wanted = desired(NODE_PORT);
        observed.rules.v4 = believed(&wanted, &observed, Family::V4, &references);
        let plan = reconcile(&wanted, &observed);
        let changes: Vec<_> = plan
            .iter()
            .filter(|(_, operation)| matches!(operation, Operation::RestoreRules(_)))
            .map(|(_, operation)| operation.to_string())
            .collect();
        assert!(
            changes
                .iter()
                .all(|change| change.contains("KUBE-NODE-PORT-TCP")),
            "{plan}"
        );
        assert!(!changes.is_empty(), "{plan}");
        // One rule of a set is missing.
        for set in references.keys() {
            let mut fewer = references.clone();
            *fewer.get_mut(set).unwrap() -= 1;
            let (observed, ..) = left(WEB);
            let found = believed(&desired(WEB), &observed, Family::V4, &fewer);
            assert_eq!(found, Ruleset::default(), "{set}");
        }
    }
}
