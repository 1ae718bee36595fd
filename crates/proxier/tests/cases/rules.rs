//! Rules of node ports, and of chains that others write too.

use proxier::{Kernel, MemoryKernel, reconcile};
use proxier_manifest::Snapshot;

use crate::{case, desired};

/// A Service's port may have the number of a node port. Traffic to the Service's address is then not taken for node port traffic.
#[test]
fn node_port_rules_leave_out_service_addresses() {
    let wanted = desired(&case("cluster-ip-port-equals-node-port.yaml"));
    let mut kernel = MemoryKernel::new();
    assert!(kernel.apply(&reconcile(&wanted, &kernel.state())).is_ok());
    let state = Snapshot::of(&kernel.state());
    assert!(
        state
            .ipset
            .contains(&"add KUBE-IPVS-IPS 10.0.1.20".to_owned())
    );
    assert!(
        !state
            .ipset
            .contains(&"add KUBE-IPVS-IPS 192.168.10.10".to_owned())
    );
    let node_port = |line: &&String| line.starts_with("-A KUBE-NODE-PORT ");
    let rules: Vec<_> = state.iptables.iter().filter(node_port).collect();
    assert!(
        rules[0].ends_with("--match-set KUBE-IPVS-IPS dst -j RETURN"),
        "{rules:?}"
    );
    assert!(
        rules[1].contains("KUBE-NODE-PORT-TCP dst -j KUBE-MARK-MASQ"),
        "{rules:?}"
    );

    // Without addresses that are bound, or without node ports, there is nothing to leave out.
    let mut bare = case("cluster-ip-port-equals-node-port.yaml");
    bare.services.retain(|name, _| name.name() == "c");
    let mut kernel = MemoryKernel::new();
    assert!(
        kernel
            .apply(&reconcile(&desired(&bare), &kernel.state()))
            .is_ok()
    );
    let state = Snapshot::of(&kernel.state());
    assert!(
        !state
            .iptables
            .iter()
            .any(|line| line.contains("KUBE-IPVS-IPS dst -j RETURN"))
    );
}

/// Whatever others, or a table that could not be read, made there be twice.
#[test]
fn jumps_found_several_times_are_reduced_to_one() {
    let wanted = desired(&case("cluster-ip-port-equals-node-port.yaml"));
    let mut kernel = MemoryKernel::new();
    assert!(kernel.apply(&reconcile(&wanted, &kernel.state())).is_ok());
    let right = kernel.state();
    let mut state = right.clone();
    for rules in [&mut state.rules.v4, &mut state.rules.v6] {
        for chain in rules.tables.iter_mut().flat_map(|table| &mut table.chains) {
            let once = chain.rules.clone();
            if !chain.name.as_str().starts_with("KUBE-") {
                chain.rules.extend(once.iter().cloned());
                chain.rules.extend(once);
            }
        }
    }
    assert_ne!(state.rules, right.rules);
    let mut kernel = MemoryKernel::holding(&state);
    let plan = reconcile(&wanted, &state);
    let applied = kernel.apply(&plan);
    assert!(applied.is_ok(), "{:?}", applied.failures);
    assert_eq!(
        Snapshot::of(&kernel.state()),
        Snapshot::of(&right),
        "{plan}"
    );
    assert!(reconcile(&wanted, &kernel.state()).is_empty());
}
