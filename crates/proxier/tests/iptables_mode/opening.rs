//! New ways to Services come when the rules of those are as they should be.

use iptables_restore::{Edit, Rule, TableEdits, TableName, Target};
use proxier::cluster::{Cluster, Host};
use proxier::kernel::FailureReason;
use proxier::{
    Config, Kernel, KernelError, KernelErrorKind, KernelPart, MemoryKernel, NodePortAddresses,
    Operation, Plan,
};
use proxier::{reconcile, translate};

use super::{cluster, in_iptables_mode};

/// A node with two addresses.
fn host() -> Host {
    let mut host = Host::new("node-a");
    let eth0 = "eth0".parse().unwrap();
    for address in ["192.168.10.10/24", "172.20.5.7/16"] {
        host.links.insert(eth0, address.parse().unwrap());
    }
    host
}

/// Node ports at addresses within this network.
fn at(network: &str) -> Config {
    let mut config = in_iptables_mode();
    config.localhost_node_ports = Some(false);
    config.node_port_addresses = NodePortAddresses::Within(vec![network.parse().unwrap()]);
    config
}

fn bring(kernel: &mut MemoryKernel, cluster: &Cluster, config: &Config) -> Plan {
    let plan = reconcile(&translate(cluster, &host(), config), &kernel.state());
    let applied = kernel.apply(&plan);
    assert!(applied.is_ok(), "{:?}", applied.failures);
    plan
}

/// The steps of a plan that have such an edit.
fn steps(plan: &Plan, is: impl Fn(&Edit) -> bool) -> Vec<usize> {
    let has = |operation: &Operation| match operation {
        Operation::RestoreRules(change) => {
            let edits = change.input.tables().iter().flat_map(TableEdits::edits);
            edits.clone().any(&is)
        }
        _ => false,
    };
    let steps = plan.iter().enumerate();
    let steps = steps.filter(|(_, (_, operation))| has(operation));
    steps.map(|(at, _)| at).collect()
}

fn leads_to(rule: Option<&Rule>, chain: &str) -> bool {
    rule.and_then(|rule| rule.target.as_ref()?.chain()) == Some(chain)
}

/// Whether it adds a rule by which packets to an address come to `KUBE-NODEPORTS`.
fn opens(edit: &Edit, address: &str) -> bool {
    let adds = matches!(edit, Edit::Append { .. } | Edit::Insert { .. });
    let text = edit.rule().map(ToString::to_string).unwrap_or_default();
    adds && leads_to(edit.rule(), "KUBE-NODEPORTS") && text.contains(address)
}

/// A way to Services is opened in one step, and after the one that takes a rule out of `KUBE-NODEPORTS`.
#[track_caller]
fn assert_opened_last(plan: &Plan, opens: impl Fn(&Edit) -> bool, from: &str) {
    let opened = steps(plan, opens);
    let withdrawn = steps(plan, withdraws);
    assert_eq!((opened.len(), withdrawn.len()), (1, 1), "{plan}");
    assert!(withdrawn[0] < opened[0], "from {from}:\n{plan}");
}

/// Whether it takes a rule out of `KUBE-NODEPORTS`.
fn withdraws(edit: &Edit) -> bool {
    matches!(edit, Edit::Delete { chain, .. } if chain.as_str() == "KUBE-NODEPORTS")
}

/// Otherwise packets to the new address would go to endpoints that the Service no longer has.
#[test]
fn node_ports_are_opened_at_another_address_after_services_have_lost_their_endpoints() {
    for from in [
        // Nowhere so far, or at the other address.
        "127.0.0.0/8",
        "172.20.0.0/16",
    ] {
        let mut kernel = MemoryKernel::new();
        bring(&mut kernel, &cluster([&[1], &[2], &[3]]), &at(from));
        let plan = bring(
            &mut kernel,
            &cluster([&[], &[2], &[3]]),
            &at("192.168.0.0/16"),
        );
        assert_opened_last(&plan, |edit| opens(edit, "192.168.10.10"), from);
    }
}

/// The kernel refuses what Services share in the nat table, so that they keep their rules: a new address leads to none of them.
#[test]
fn no_new_address_leads_to_rules_that_could_not_be_changed() {
    let mut kernel = MemoryKernel::new();
    let before = at("172.20.0.0/16");
    bring(&mut kernel, &cluster([&[1], &[2], &[3]]), &before);
    let found = kernel.state();
    let mut after = at("192.168.0.0/16");
    after.masquerade_bit = 20;
    let services = cluster([&[4], &[5], &[6]]);
    let plan = reconcile(&translate(&services, &host(), &after), &found);
    let writes = |edit: &Edit| matches!(edit, Edit::DeclareChain { chain } if chain.as_str() == "KUBE-MARK-MASQ");
    let shared = steps(&plan, writes);
    let opening = steps(&plan, |edit| opens(edit, "192.168.10.10"));
    let (&[v4, _], &[opening]) = (&shared[..], &opening[..]) else {
        panic!("{shared:?}, {opening:?}\n{plan}");
    };
    assert!(v4 < opening, "{plan}");

    let (_, refused) = plan.iter().nth(v4).unwrap();
    let refused = refused.clone();
    kernel.fail_with(Some(Box::new(move |operation| {
        let kind = KernelErrorKind::Other;
        (*operation == refused).then(|| KernelError::new(KernelPart::Rules, kind, "by the test"))
    })));
    let applied = kernel.apply(&plan);
    let waits = |of: &proxier::kernel::Failure| {
        of.index == opening && matches!(of.reason, FailureReason::Skipped { after } if after == v4)
    };
    assert!(applied.failures.iter().any(waits), "{:?}", applied.failures);
    let nat = |state: &proxier::Observed| state.rules.v4.table(&TableName::Nat).cloned();
    assert_eq!(nat(&kernel.state()), nat(&found), "{plan}");

    // Once it is taken, all of it comes.
    kernel.fail_with(None);
    bring(&mut kernel, &services, &after);
    assert!(reconcile(&translate(&services, &host(), &after), &kernel.state()).is_empty());
}

/// "All but loopback addresses" has none of those in it.
#[test]
fn node_ports_are_opened_at_loopback_addresses_after_services_have_changed() {
    let mut everywhere = in_iptables_mode();
    everywhere.localhost_node_ports = Some(false);
    let mut loopback = at("127.0.0.0/8");
    loopback.localhost_node_ports = Some(true);
    let mut kernel = MemoryKernel::new();
    bring(&mut kernel, &cluster([&[1], &[2], &[3]]), &everywhere);
    let plan = bring(&mut kernel, &cluster([&[], &[2], &[3]]), &loopback);
    assert_opened_last(&plan, |edit| opens(edit, "127.0.0.1"), "everywhere else");
}

/// Where no Service has a node port there is nothing to wait for.
#[test]
fn a_new_kernel_gets_all_ways_to_services_with_the_chains() {
    let mut kernel = MemoryKernel::new();
    let plan = bring(
        &mut kernel,
        &cluster([&[1], &[2], &[3]]),
        &at("192.168.0.0/16"),
    );
    let made = steps(&plan, |edit| {
        let chain = edit.chain().as_str();
        matches!(edit, Edit::DeclareChain { .. }) && chain == "KUBE-MARK-MASQ"
    });
    // IPv4, and IPv6.
    assert_eq!(made.len(), 2, "{plan}");
    let opened = steps(&plan, |edit| opens(edit, "192.168.10.10"));
    assert_eq!(opened, [made[0]], "{plan}");
    let jumps = |from: &str| {
        steps(&plan, |edit| {
            edit.chain().as_str() == from && leads_to(edit.rule(), "KUBE-SERVICES")
        })
    };
    assert_eq!(jumps("PREROUTING"), made, "{plan}");
}

/// Somebody deletes a jump, then a Service loses its endpoints.
#[test]
fn a_jump_that_was_deleted_comes_back_after_services_have_changed() {
    for from in ["PREROUTING", "OUTPUT"] {
        let mut kernel = MemoryKernel::new();
        let config = in_iptables_mode();
        bring(&mut kernel, &cluster([&[1], &[2], &[3]]), &config);
        let mut state = kernel.state();
        let nat = state.rules.v4.table_mut(&TableName::Nat).unwrap();
        nat.chain_mut(from).unwrap().rules = Vec::new().into();
        let mut kernel = MemoryKernel::holding(&state);
        let plan = bring(&mut kernel, &cluster([&[], &[2], &[3]]), &config);
        let opens = |edit: &Edit| leads_to(edit.rule(), "KUBE-SERVICES");
        assert_opened_last(&plan, opens, from);
    }
}

/// A policy that drops what is forwarded drops no packet of a Service while the mark becomes another one.
#[test]
fn marked_packets_are_accepted_at_every_step_while_the_mark_changes() {
    let services = cluster([&[1], &[2], &[3]]);
    let mut config = in_iptables_mode();
    let mut kernel = MemoryKernel::new();
    bring(&mut kernel, &services, &config);
    config.masquerade_bit = 20;
    let plan = reconcile(&translate(&services, &host(), &config), &kernel.state());
    for (_, operation) in plan.iter() {
        kernel.perform(operation).unwrap();
        let state = kernel.state();
        let chain = |table: TableName, chain: &str| {
            let table = state.rules.v4.table(&table).unwrap();
            table.chain(chain).unwrap().rules.clone()
        };
        let marks = chain(TableName::Nat, "KUBE-MARK-MASQ");
        let Some(Target::Mark(mark)) = marks[0].target else {
            panic!("{}", marks[0]);
        };
        let accepted = format!("--mark {0:#x}/{0:#x} -j ACCEPT", mark.value);
        let forward = chain(TableName::Filter, "KUBE-FORWARD");
        assert!(
            forward
                .iter()
                .any(|rule| rule.to_string().contains(&accepted)),
            "{accepted} after {operation}\n{plan}"
        );
    }
    let state = kernel.state();
    let filter = state.rules.v4.table(&TableName::Filter).unwrap();
    assert_eq!(filter.chain("KUBE-FORWARD").unwrap().rules.len(), 3);
}
