//! From one state to another: the order of a plan, its failures, and what an engine does.

use ipset_netlink::{Family as SetFamily, Set, SetSpec, SetType};
use iptables_restore::TableName;
use ipvs_netlink::VirtualServerId;
use proxier::cluster::{Change, Family, ObjectName};
use proxier::{
    Desired, Engine, Kernel, KernelError, KernelErrorKind, KernelPart, Layout, MemoryKernel,
    Operation, Phase, Plan, SetId, reconcile, translate,
};

use crate::{BALANCED, carried_out, chain, cluster, config, desired, host, named, programmed};

/// A packet never gets a mark whose virtual server is missing, or another Service's.
#[test]
fn an_address_loses_its_mark_before_another_gets_it() {
    let one_mark = |manifests: &str| {
        let mut config = config(Layout::Current);
        config.nftables.service_marks = 0x1;
        translate(&cluster(manifests), &host(), &config)
    };
    let younger = named("b", 8, "7/tcp", "");
    let before = one_mark(&younger);
    let found = programmed(&before);
    let after = one_mark(&format!("{younger}{}", named("a", 7, "7/tcp", "")));
    let plan = reconcile(&after, &found);
    let rules = |phase| {
        let changes = plan.phase(phase).iter();
        let changes = changes.filter(|one| matches!(one, Operation::RestoreRules(_)));
        changes.cloned().collect::<Vec<_>>()
    };
    let ([withdrawn], [marked]) = (&rules(Phase::Fill)[..], &rules(Phase::Map)[..]) else {
        panic!("{plan}");
    };
    // Whichever of them fails, nothing after it that would lead packets astray is done.
    for (failing, skipped) in [(withdrawn, true), (marked, false)] {
        let failing = failing.clone();
        let mut kernel = MemoryKernel::holding(&found);
        kernel.fail_with(Some(Box::new(move |operation| {
            (*operation == failing)
                .then(|| KernelError::new(KernelPart::Rules, KernelErrorKind::Other, "by the test"))
        })));
        assert!(!kernel.apply(&plan).is_ok());
        let state = kernel.state();
        let server = state.servers.iter();
        let mut server =
            server.filter(|one| matches!(one.id, VirtualServerId::FirewallMark { .. }));
        let destinations = &server.next().unwrap().destinations;
        let of_a = destinations
            .iter()
            .any(|found| found.destination.id.to_string() == "10.244.1.7:0");
        assert_eq!(of_a, !skipped, "{plan}");
        kernel.fail_with(None);
        let rest = reconcile(&after, &kernel.state());
        assert!(kernel.apply(&rest).is_ok());
        assert!(reconcile(&after, &kernel.state()).is_empty());
    }
}

#[test]
fn an_address_gets_no_mark_of_a_virtual_server_that_keeps_endpoints_of_another_service() {
    let one_mark = |manifests: &str| {
        let mut config = config(Layout::Current);
        config.nftables.service_marks = 0x1;
        translate(&cluster(manifests), &host(), &config)
    };
    let found = programmed(&one_mark(&named("b", 8, "7/tcp", "")));
    let after = one_mark(&named("a", 7, "7/tcp", ""));
    let plan = reconcile(&after, &found);
    let mut kernel = MemoryKernel::holding(&found);
    kernel.fail_with(Some(Box::new(|operation| {
        let is_by_mark = matches!(
            operation,
            Operation::DeleteDestination {
                server: VirtualServerId::FirewallMark { .. },
                ..
            }
        );
        is_by_mark
            .then(|| KernelError::new(KernelPart::Ipvs, KernelErrorKind::Other, "by the test"))
    })));
    assert!(!kernel.apply(&plan).is_ok());
    let rules = chain(&kernel.state(), &TableName::Mangle, "KUBE-RANGE-MARKS");
    let marking = rules.iter().filter(|rule| rule.contains("-j MARK"));
    assert_eq!(marking.count(), 0, "{plan}");
    kernel.fail_with(None);
    let rest = reconcile(&after, &kernel.state());
    assert!(kernel.apply(&rest).is_ok());
    assert!(reconcile(&after, &kernel.state()).is_empty());
}

/// A set of another type under the name of one of the proxy's has to go before it is made anew, and rules that name it before
/// that: these may be in the chain that loses a mark.
#[test]
fn a_mark_that_was_taken_off_does_not_come_back_with_another_change_of_its_chain() {
    let mut found = programmed(&desired(Layout::Current, &named("web", 7, "7/tcp", "")));
    let name = SetId::ClusterIp.name(Family::V4);
    let set = found.sets.get_mut(&name).unwrap();
    *set = Set::new(SetSpec::hash(name, SetType::HASH_NET, SetFamily::V4));
    let nothing = desired(Layout::Current, "");
    let plan = reconcile(&nothing, &found);
    let mut kernel = MemoryKernel::holding(&found);
    let mut changes_of_marks = 0;
    for (_, operation) in plan.iter() {
        kernel.perform(operation).unwrap();
        let state = kernel.state();
        let has_mark = chain(&state, &TableName::Mangle, "KUBE-RANGE-MARKS")
            .iter()
            .any(|rule| rule.contains("-j MARK"));
        changes_of_marks += usize::from(operation.to_string().contains("KUBE-RANGE-MARKS"));
        let marks = state.servers.iter();
        let mut marks = marks.filter(|one| matches!(one.id, VirtualServerId::FirewallMark { .. }));
        assert!(!has_mark || marks.next().is_some(), "{operation}\n{plan}");
    }
    assert!(changes_of_marks > 1, "{plan}");
}

#[test]
fn without_its_virtual_server_no_mark_is_set() {
    let desired = desired(Layout::Current, &named("web", 7, "7/tcp", ""));
    let mut kernel = MemoryKernel::new();
    kernel.fail_with(Some(Box::new(|operation| {
        let fails = matches!(
            operation,
            Operation::AddServer {
                id: VirtualServerId::FirewallMark { .. },
                ..
            }
        );
        fails.then(|| KernelError::new(KernelPart::Ipvs, KernelErrorKind::Other, "by the test"))
    })));
    let plan = reconcile(&desired, &kernel.state());
    assert!(!kernel.apply(&plan).is_ok());
    let state = kernel.state();
    assert!(chain(&state, &TableName::Mangle, "KUBE-RANGE-MARKS").is_empty());
    // Listed ports go on.
    assert_eq!(state.servers.len(), 2);
}

#[test]
fn the_engine_adds_changes_and_removes_ranges() {
    let mut kernel = MemoryKernel::new();
    let mut engine = Engine::new(host(), config(Layout::Current));
    let plan = engine.audit(&kernel.observe().unwrap());
    engine.applied(&plan, &kernel.apply(&plan));
    let mut states = Vec::new();
    for ports in ["7-9/tcp", "7-10/tcp, 1/udp"] {
        let cluster = cluster(&named("web", 7, ports, BALANCED));
        for service in cluster.services.values() {
            engine.change(Change::Service(Box::new(service.clone())));
        }
        for slice in cluster.slices.values() {
            engine.change(Change::Slice(Box::new(slice.clone())));
        }
        let plan = engine.plan();
        engine.applied(&plan, &kernel.apply(&plan));
        assert!(engine.plan().is_empty());
        states.push(chain(
            &kernel.state(),
            &TableName::Mangle,
            "KUBE-RANGE-MARKS",
        ));
    }
    assert_eq!(states[1].len() - states[0].len(), 3, "{states:#?}");
    engine.change(Change::ServiceGone(ObjectName::new("default", "web")));
    let plan = engine.plan();
    engine.applied(&plan, &kernel.apply(&plan));
    let mangle = kernel.state().rules.v4.table(&TableName::Mangle).cloned();
    let own = mangle.iter().flat_map(|table| &table.chains);
    assert!(
        !own.clone()
            .any(|chain| chain.name.as_str().starts_with("KUBE-"))
    );
    assert!(own.clone().all(|chain| chain.rules.is_empty()));
}

/// UDP flows to ports that were not served before must be forgotten.
#[test]
fn a_plan_tells_which_ports_are_marked_anew() {
    let found = programmed(&desired(Layout::Current, &named("web", 7, "7/udp", "")));
    let ports = "7/udp, 9-10/udp, all/sctp";
    let wider = desired(Layout::Current, &named("web", 7, ports, ""));
    let marked = |plan: &Plan| {
        let changes = plan.iter().filter_map(|(_, operation)| match operation {
            Operation::RestoreRules(change) => Some(change.marked_ranges()),
            _ => None,
        });
        let ranges = changes.flatten().map(|range| range.to_string());
        ranges.collect::<Vec<_>>()
    };
    let plan = reconcile(&wider, &found);
    let of = |address: &str| {
        [
            format!("{address} . udp . 9-10"),
            format!("{address} . sctp . 1-65535"),
        ]
    };
    assert_eq!(marked(&plan), [of("10.0.0.7"), of("198.51.100.7")].concat());
    let narrower = reconcile(
        &desired(Layout::Current, &named("web", 7, "7/udp", "")),
        &programmed(&wider),
    );
    assert_eq!(marked(&narrower), [""; 0]);
}

#[test]
fn another_mode_and_cleaning_up_take_all_of_it_away() {
    let manifests = named("web", 7, "7/tcp", BALANCED);
    let found = programmed(&desired(Layout::Current, &manifests));
    let ends = [Layout::Nftables, Layout::Iptables].map(|layout| desired(layout, &manifests));
    let nothing = Desired::nothing(&found, &host());
    for end in ends.iter().chain([&nothing]) {
        let state = carried_out(&reconcile(end, &found), &found);
        let mangle = state.rules.v4.table(&TableName::Mangle);
        let chains = mangle.iter().flat_map(|table| &table.chains);
        let left: Vec<_> = chains.filter(|chain| !chain.rules.is_empty()).collect();
        assert!(left.is_empty(), "{left:?}");
        assert!(reconcile(end, &state).is_empty());
    }
}
