//! Iptables mode: what a change writes, and what is others'.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that fails should panic"
)]

mod loopback;
mod opening;

use std::collections::BTreeSet;

use iptables_restore::{Edit, Ruleset, TableEdits, TableName};
use proxier::cluster::{Change, Cluster, Host, ObjectName};
use proxier::{
    Config, Desired, Engine, Kernel, KernelError, KernelErrorKind, KernelPart, Layout,
    MemoryKernel, Operation, Phase, Plan, reconcile, translate,
};
use scenarios::clusters::with_node_ports as cluster;

fn desired(cluster: &Cluster, config: &Config) -> Desired {
    translate(cluster, &Host::new("node-a"), config)
}

fn in_iptables_mode() -> Config {
    Config::with_layout(Layout::Iptables)
}

/// Brings a kernel to a cluster, and gives the plan.
fn bring(kernel: &mut MemoryKernel, cluster: &Cluster, config: &Config) -> Plan {
    let plan = reconcile(&desired(cluster, config), &kernel.state());
    let applied = kernel.apply(&plan);
    assert!(applied.is_ok(), "{:?}", applied.failures);
    plan
}

/// The chains that a plan writes, and how many rules it adds to them and deletes.
fn written(plan: &Plan) -> (BTreeSet<String>, usize) {
    let mut chains = BTreeSet::new();
    let mut rules = 0;
    for (_, operation) in plan.iter() {
        let Operation::RestoreRules(change) = operation else {
            panic!("{operation}");
        };
        for edit in change.input.tables().iter().flat_map(TableEdits::edits) {
            chains.insert(edit.chain().to_string());
            rules += usize::from(!matches!(
                edit,
                Edit::DeclareChain { .. } | Edit::DeleteChain { .. }
            ));
        }
    }
    (chains, rules)
}

/// A rule of `KUBE-SERVICES` and one of `KUBE-NODEPORTS`, which come in the place of their names.
#[test]
fn a_change_writes_the_chains_that_it_touches() {
    let mut kernel = MemoryKernel::new();
    let config = in_iptables_mode();
    let three: [&[u8]; 3] = [&[1, 2], &[3, 4], &[5, 6]];
    bring(&mut kernel, &cluster(three), &config);

    // One endpoint more: its chain, and the one that chooses.
    let plan = bring(
        &mut kernel,
        &cluster([three[0], &[3, 4, 7], three[2]]),
        &config,
    );
    let (chains, rules) = written(&plan);
    assert_eq!((plan.len(), chains.len(), rules), (1, 2, 2 + 3), "{plan}");
    assert!(chains.iter().all(|name| name.starts_with("KUBE-S")));

    // And it goes.
    let plan = bring(&mut kernel, &cluster(three), &config);
    let (chains, rules) = written(&plan);
    assert_eq!((plan.len(), chains.len(), rules), (1, 2, 2), "{plan}");

    // A Service without endpoints has its own chains no more, and two rules refuse it.
    let none = cluster([three[0], &[], three[2]]);
    let plan = bring(&mut kernel, &none, &config);
    let (chains, rules) = written(&plan);
    let shared = ["KUBE-SERVICES", "KUBE-NODEPORTS", "KUBE-EXTERNAL-SERVICES"];
    let own = chains
        .iter()
        .filter(|name| !shared.contains(&name.as_str()));
    assert_eq!((own.count(), chains.len()), (4, 4 + 3), "{chains:?}");
    // Two that refuse, and the two that led to it.
    assert_eq!(rules, 4, "{plan}");

    // It comes back: its chains first, then what refuses it goes.
    let plan = bring(&mut kernel, &cluster(three), &config);
    let tables: Vec<_> = plan
        .iter()
        .map(|(phase, operation)| (phase, operation.summary()))
        .collect();
    let expected = [(Phase::Rules, "nat"), (Phase::Trim, "filter")]
        .map(|(phase, table)| (phase, format!("iptables rules of table {table}")));
    assert_eq!(tables, expected);

    // Wherever it came from, the order is that of names.
    let state = kernel.state();
    let nat = state.rules.v4.table(&TableName::Nat).unwrap();
    let services = &nat.chain("KUBE-SERVICES").unwrap().rules;
    let order: Vec<_> = services.iter().map(ToString::to_string).collect();
    for (rule, ip) in order
        .iter()
        .zip(["-d 10.0.0.0/32", "-d 10.0.0.1/32", "-d 10.0.0.2/32"])
    {
        assert!(rule.starts_with(ip), "{order:#?}");
    }
    assert!(order[3].contains("must be the last rule"));
}

/// A kubelet writes the same rule; while it is there, it is the kubelet's.
#[test]
fn what_a_kubelet_writes_stays() {
    let kubelet = Ruleset::parse(
        "*filter\n:INPUT ACCEPT\n:FORWARD ACCEPT\n:OUTPUT ACCEPT\n:KUBE-FIREWALL -\n:KUBE-KUBELET-CANARY -\n\
         -A INPUT -j KUBE-FIREWALL\n-A OUTPUT -j KUBE-FIREWALL\n\
         -A KUBE-FIREWALL ! -s 127.0.0.0/8 -d 127.0.0.0/8 -m comment --comment \"block incoming localnet connections\" \
         -m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j DROP\nCOMMIT\n",
    );
    let mut found = MemoryKernel::new().state();
    found.rules.v4 = kubelet.unwrap();
    let mut kernel = MemoryKernel::holding(&found);
    let services = cluster([&[1], &[2], &[3]]);
    for config in [Config::default(), in_iptables_mode(), Config::default()] {
        bring(&mut kernel, &services, &config);
        let state = kernel.state();
        let filter = state.rules.v4.table(&TableName::Filter).unwrap();
        let lines = filter.to_string();
        assert_eq!(
            lines.matches("block incoming localnet").count(),
            1,
            "{lines}"
        );
        assert_eq!(lines.matches("-j KUBE-FIREWALL").count(), 2, "{lines}");
    }
    let nothing = Desired::nothing(&kernel.state(), &Host::new("node-a"));
    assert!(kernel.apply(&reconcile(&nothing, &kernel.state())).is_ok());
    assert_eq!(
        kernel.state().rules.v4.table(&TableName::Filter),
        found.rules.v4.table(&TableName::Filter)
    );
}

/// A chain that others jump to is emptied; it cannot be deleted.
#[test]
fn a_chain_of_a_service_that_others_jump_to_stays_empty() {
    let mut kernel = MemoryKernel::new();
    let config = in_iptables_mode();
    bring(&mut kernel, &cluster([&[1], &[2], &[3]]), &config);
    let mut state = kernel.state();
    let nat = state.rules.v4.table_mut(&TableName::Nat).unwrap();
    let chain = nat
        .chains
        .iter()
        .find(|chain| chain.name.as_str().starts_with("KUBE-SVC-"));
    let name = chain.unwrap().name.to_string();
    let jump = iptables_restore::Rule::new()
        .source(std::net::IpAddr::from([10, 9, 0, 1]))
        .jump(name.as_str());
    nat.chain_mut("OUTPUT").unwrap().rules.push(jump.clone());
    let mut kernel = MemoryKernel::holding(&state);
    bring(&mut kernel, &cluster([&[], &[], &[]]), &config);
    let state = kernel.state();
    let nat = state.rules.v4.table(&TableName::Nat).unwrap();
    assert!(nat.chain(&name).unwrap().rules.is_empty());
    assert!(nat.chain("OUTPUT").unwrap().rules.contains(&jump));
    let of_services = nat
        .chains
        .iter()
        .filter(|chain| chain.name.as_str().len() > 20);
    assert_eq!(of_services.count(), 1);
    assert!(reconcile(&desired(&cluster([&[], &[], &[]]), &config), &state).is_empty());
}

/// A chain of a Service that nothing leads to, as a rule leaves it that somebody deletes, goes last: until then the chains
/// that it jumps to cannot be deleted.
#[test]
fn a_chain_that_nothing_leads_to_is_in_nobodys_way() {
    let mut kernel = MemoryKernel::new();
    let config = in_iptables_mode();
    bring(&mut kernel, &cluster([&[1], &[2], &[3]]), &config);
    let mut state = kernel.state();
    let nat = state.rules.v4.table_mut(&TableName::Nat).unwrap();
    let name = |chain: &iptables_restore::Chain| chain.name.to_string();
    let mut names = nat.chains.iter().map(name);
    let endpoint = names.find(|name| name.starts_with("KUBE-SEP-")).unwrap();
    let stray = iptables_restore::ChainName::new("KUBE-SVC-AAAAAAAAAAAAAAAA").unwrap();
    let mut stray = iptables_restore::Chain::new(stray);
    let jump = iptables_restore::Rule::new().jump(endpoint.as_str());
    stray.rules.push(jump);
    nat.chains.push(stray);
    let mut kernel = MemoryKernel::holding(&state);
    bring(&mut kernel, &cluster([&[], &[], &[]]), &config);
    let state = kernel.state();
    let nat = state.rules.v4.table(&TableName::Nat).unwrap();
    let mut names = nat.chains.iter().map(name);
    assert!(!names.any(|name| name.starts_with("KUBE-SVC-") || name.starts_with("KUBE-SEP-")));
}

/// An engine and the kernel that it keeps.
struct Kept {
    engine: Engine,
    kernel: MemoryKernel,
}

impl Kept {
    fn new(cluster: &Cluster) -> Self {
        let mut kept = Self {
            engine: Engine::new(Host::new("node-a"), in_iptables_mode()),
            kernel: MemoryKernel::new(),
        };
        kept.change(cluster);
        let plan = kept.engine.audit(&kept.kernel.state());
        kept.carry_out(&plan);
        assert!(kept.engine.plan().is_empty());
        kept
    }

    fn change(&mut self, cluster: &Cluster) {
        let services = cluster.services.values().cloned().collect();
        self.engine.change(Change::Services(services));
        let slices = cluster.slices.values().cloned().collect();
        self.engine.change(Change::Slices(slices));
    }

    fn carry_out(&mut self, plan: &Plan) {
        let applied = self.kernel.apply(plan);
        assert!(applied.is_ok(), "{:?}", applied.failures);
        self.engine.applied(plan, &applied);
    }

    /// Brings the kernel to a cluster, and gives the plan.
    fn bring(&mut self, cluster: &Cluster) -> Plan {
        self.change(cluster);
        let plan = self.engine.plan();
        self.carry_out(&plan);
        assert!(self.engine.plan().is_empty());
        let desired = desired(cluster, &in_iptables_mode());
        let left = reconcile(&desired, &self.kernel.state());
        assert!(left.is_empty(), "{left}");
        plan
    }
}

#[test]
fn the_engine_writes_the_chains_that_a_change_touches() {
    let three: [&[u8]; 3] = [&[1, 2], &[3, 4], &[5, 6]];
    let mut kept = Kept::new(&cluster(three));

    // One endpoint more, and it goes.
    let plan = kept.bring(&cluster([three[0], &[3, 4, 7], three[2]]));
    let (chains, rules) = written(&plan);
    assert_eq!((plan.len(), chains.len(), rules), (1, 2, 2 + 3), "{plan}");
    let plan = kept.bring(&cluster(three));
    let (chains, rules) = written(&plan);
    assert_eq!((plan.len(), chains.len(), rules), (1, 2, 2), "{plan}");

    // A Service goes, and comes back in its place: its chains, and a rule in each of two others.
    let all = cluster(three);
    let mut two = all.clone();
    let b = ObjectName::new("default", "b");
    two.services.remove(&b);
    let plan = kept.bring(&two);
    let (chains, rules) = written(&plan);
    assert_eq!((plan.len(), chains.len(), rules), (1, 4 + 2, 2), "{plan}");
    let plan = kept.bring(&all);
    let (chains, rules) = written(&plan);
    // Of an endpoint two rules, three for the choice and masquerading, two for what comes from outside.
    assert_eq!(
        (plan.len(), chains.len(), rules),
        (1, 4 + 2, 2 + 2 * 2 + 2 + 2),
        "{plan}"
    );
    let inserted = plan.iter().flat_map(|(_, operation)| match operation {
        Operation::RestoreRules(change) => {
            assert_eq!(change.services, std::slice::from_ref(&b));
            let edits = change.input.tables().iter().flat_map(TableEdits::edits);
            edits.cloned().collect::<Vec<_>>()
        }
        other => panic!("{other}"),
    });
    let positions: Vec<_> = inserted
        .filter_map(|edit| match edit {
            Edit::Insert { position, .. } => Some(position),
            _ => None,
        })
        .collect();
    assert_eq!(positions, [2, 2], "behind those of a");
}

/// A change that is refused keeps its own Service waiting and no other, and is tried again by itself.
#[test]
fn a_service_whose_rules_are_refused_keeps_no_other_waiting() {
    let before: [&[u8]; 3] = [&[1], &[], &[5]];
    let after = cluster([&[1, 2], &[3], &[5, 6]]);
    let mut kept = Kept::new(&cluster(before));
    kept.change(&after);
    let plan = kept.engine.plan();
    kept.kernel.fail_with(Some(Box::new(|operation| {
        let Operation::RestoreRules(change) = operation else {
            return None;
        };
        let nat = change.input.tables()[0].name() == &TableName::Nat;
        let b = change.services.iter().any(|name| name.name() == "b");
        (nat && b)
            .then(|| KernelError::new(KernelPart::Rules, KernelErrorKind::Invalid, "by the test"))
    })));
    let applied = kept.kernel.apply(&plan);
    kept.engine.applied(&plan, &applied);
    // What refuses packets to it stays: it could not be served yet.
    assert_eq!(applied.failures.len(), 2, "{:?}", applied.failures);
    let state = kept.kernel.state();
    let text = state.rules.v4.to_string();
    assert!(text.contains("10.244.1.2:8080") && text.contains("10.244.1.6:8080"));
    assert!(!text.contains("10.244.1.3:8080") && text.contains("default/b has no endpoints"));

    kept.kernel.fail_with(None);
    let plan = kept.engine.plan();
    let b = ObjectName::new("default", "b");
    assert!(plan.iter().all(|(_, operation)| matches!(operation, Operation::RestoreRules(change) if change.services == [b.clone()])));
    assert_eq!(plan.len(), 2, "{plan}");
    kept.carry_out(&plan);
    assert!(kept.engine.plan().is_empty());
    let desired = desired(&after, &in_iptables_mode());
    assert!(reconcile(&desired, &kept.kernel.state()).is_empty());
}
