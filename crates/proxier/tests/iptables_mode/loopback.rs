//! What guards loopback addresses, for node ports that are served at them.

use iptables_restore::TableName;
use proxier::{
    Config, Kernel, KernelError, KernelErrorKind, KernelPart, MemoryKernel, Operation, Plan,
    Sysctl, reconcile,
};

use super::{bring, cluster, desired, in_iptables_mode};

fn places(plan: &Plan, is: impl Fn(&Operation) -> bool) -> Vec<usize> {
    let found = plan.iter().enumerate();
    found
        .filter(|(_, (_, op))| is(op))
        .map(|(at, _)| at)
        .collect()
}

fn sets_localnet(operation: &Operation) -> bool {
    matches!(
        operation,
        Operation::SetSysctl {
            sysctl: Sysctl::RouteLocalnet,
            ..
        }
    )
}

fn localnet(kernel: &MemoryKernel) -> i64 {
    kernel.state().sysctls[&Sysctl::RouteLocalnet]
}

/// The rule is there before `route_localnet` is set, and it goes after it was reset.
#[test]
fn loopback_addresses_are_guarded_at_every_step() {
    let guarded = |operation: &Operation| {
        operation
            .lines()
            .iter()
            .any(|line| line.text.contains("block incoming localnet"))
    };
    let mut kernel = MemoryKernel::new();
    let services = cluster([&[1], &[2], &[3]]);
    let plan = bring(&mut kernel, &services, &in_iptables_mode());
    let (guard, set) = (places(&plan, guarded), places(&plan, sets_localnet));
    assert_eq!((guard.len(), set.len(), localnet(&kernel)), (1, 1, 1));
    assert!(guard[0] < set[0], "{plan}");

    for config in [Config::default(), {
        let mut config = in_iptables_mode();
        config.localhost_node_ports = Some(false);
        config
    }] {
        bring(&mut kernel, &services, &in_iptables_mode());
        let plan = bring(&mut kernel, &services, &config);
        let (guard, reset) = (places(&plan, guarded), places(&plan, sets_localnet));
        assert_eq!((guard.len(), reset.len(), localnet(&kernel)), (1, 1, 0));
        assert!(reset[0] < guard[0], "{plan}");
    }
}

#[test]
fn without_the_guard_loopback_addresses_are_not_opened_and_with_them_open_it_stays() {
    let services = cluster([&[1], &[2], &[3]]);
    let fail = |what: fn(&Operation) -> bool| {
        let faults = move |operation: &Operation| {
            let refused = || {
                KernelError::new(
                    KernelPart::of(operation),
                    KernelErrorKind::Other,
                    "by the test",
                )
            };
            what(operation).then(refused)
        };
        Some(Box::new(faults) as proxier::kernel::Faults)
    };
    let mut kernel = MemoryKernel::new();
    kernel.fail_with(fail(|op| matches!(op, Operation::RestoreRules(_))));
    let plan = reconcile(&desired(&services, &in_iptables_mode()), &kernel.state());
    assert!(!kernel.apply(&plan).is_ok());
    assert_eq!(localnet(&kernel), 0);

    kernel.fail_with(None);
    bring(&mut kernel, &services, &in_iptables_mode());
    kernel.fail_with(fail(sets_localnet));
    let plan = reconcile(&desired(&services, &Config::default()), &kernel.state());
    assert!(!kernel.apply(&plan).is_ok());
    let state = kernel.state();
    let filter = state.rules.v4.table(&TableName::Filter).unwrap();
    let guard = &filter.chain("KUBE-FIREWALL").unwrap().rules;
    assert_eq!((guard.len(), localnet(&kernel)), (1, 1));
    kernel.fail_with(None);
    bring(&mut kernel, &services, &Config::default());
    assert_eq!(localnet(&kernel), 0);
}
