//! Every scenario, every step: what the translation makes of a cluster is the state that a real kernel held
//! when the reference had settled on the same input.
//!
//! Where a scenario starts from a state found, `found.json` holds it, read back with the reference tools in
//! the User Mode Linux guest (Linux 6.1, ipvsadm 1.31, ipset 7.17, iptables 1.8.9 legacy) after its
//! `before.sh` had run.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that fails should panic"
)]

use std::collections::{BTreeMap, BTreeSet};

use proxier::cluster::Host;
use proxier::{Desired, Kernel, Layout, MemoryKernel, reconcile, translate};
use proxier_manifest::Snapshot;

use scenarios::{Scenario, all, compare, compare_objects, tour, unseeded};

fn run(scenario: &Scenario, layout: Layout) {
    let mut host = Host::new(scenario.node_name());
    host.links = scenario.links.clone();
    let found = scenario.found().map(|found| found.state().unwrap());
    let mut kernel = found
        .as_ref()
        .map_or_else(MemoryKernel::new, MemoryKernel::holding);
    for (n, step) in scenario.steps.iter().enumerate() {
        let name = format!("{}, step {}", scenario.name, n + 1);
        let desired = translate(&step.cluster, &host, &scenario.config);
        assert!(
            desired.conflicts.is_empty(),
            "{name}: {:?}",
            desired.conflicts
        );
        let plan = reconcile(&desired, &kernel.observe().unwrap());
        let applied = kernel.apply(&plan);
        assert!(applied.is_ok(), "{name}: {:?}", applied.failures);
        let again = reconcile(&desired, &kernel.observe().unwrap());
        assert!(again.is_empty(), "{name}: planned again: {again}");
        compare(
            &name,
            &step.expected,
            &Snapshot::of(&kernel.state()),
            layout,
        );
    }
}

fn run_all(layout: Layout) -> (usize, usize) {
    let scenarios = all(layout);
    scenarios.iter().for_each(|scenario| run(scenario, layout));
    (
        scenarios.len(),
        scenarios.iter().map(|scenario| scenario.steps.len()).sum(),
    )
}

#[test]
fn current_layout() {
    assert_eq!(run_all(Layout::Current), (44, 53));
}

#[test]
fn classic_layout() {
    assert_eq!(run_all(Layout::Classic), (14, 14));
}

#[test]
fn iptables_mode() {
    assert_eq!(run_all(Layout::Iptables), (37, 46));
}

/// A deliberate difference: others' virtual servers stay by default, where kube-proxy removes them. All else is as
/// with the flag.
#[test]
fn others_virtual_servers_stay_by_default() {
    let mut left = BTreeMap::new();
    for layout in Layout::WITH_IPSET {
        for mut scenario in all(layout) {
            let Some(found) = scenario.found() else {
                continue;
            };
            scenario.config.remove_foreign_servers = false;
            let mut host = Host::new(scenario.node_name());
            host.links = scenario.links.clone();
            let mut kernel = MemoryKernel::holding(&found.state().unwrap());
            for step in &scenario.steps {
                let desired = translate(&step.cluster, &host, &scenario.config);
                let plan = reconcile(&desired, &kernel.observe().unwrap());
                assert!(kernel.apply(&plan).is_ok());
                let again = reconcile(&desired, &kernel.observe().unwrap());
                assert!(again.is_empty(), "{}: {again}", scenario.name);
                let expected: Snapshot = serde_json::from_value(step.expected.clone()).unwrap();
                let mut actual = Snapshot::of(&kernel.state());
                let foreign: Vec<_> = actual
                    .ipvs
                    .iter()
                    .filter(|line| !expected.ipvs.contains(line))
                    .cloned()
                    .collect();
                actual.ipvs.retain(|line| !foreign.contains(line));
                compare(&scenario.name, &step.expected, &actual, layout);
                if !foreign.is_empty() {
                    left.insert(scenario.name.clone(), foreign);
                }
            }
        }
    }
    let left: Vec<_> = left
        .iter()
        .map(|(name, lines)| {
            (
                name.as_str(),
                lines.iter().map(String::as_str).collect::<Vec<_>>(),
            )
        })
        .collect();
    assert_eq!(
        left,
        [("exclude-cidrs", vec!["-A -t 172.30.0.5:80 -s wlc"])]
    );
}

/// Each scenario again from every other one's end state.
#[test]
fn from_every_other_scenario() {
    for layout in [Layout::Current, Layout::Classic, Layout::Iptables] {
        let scenarios = unseeded(layout);
        let mut host = Host::new(scenarios[0].node_name());
        host.links = scenarios[0].links.clone();
        let mut kernel = MemoryKernel::new();
        let mut visited = BTreeSet::new();
        tour(&scenarios, &[], |after, scenario| {
            visited.insert((after.name.clone(), scenario.name.clone()));
            for (n, step) in scenario.steps.iter().enumerate() {
                let desired = translate(&step.cluster, &host, &scenario.config);
                let plan = reconcile(&desired, &kernel.observe().unwrap());
                assert!(kernel.apply(&plan).is_ok());
                let name = format!("{}, step {}, after {}", scenario.name, n + 1, after.name);
                let expected = serde_json::from_value(step.expected.clone()).unwrap();
                let actual = Snapshot::of(&kernel.state());
                compare_objects(&name, &step.expected, &expected, &actual, layout);
            }
        });
        assert!(
            visited.len() >= scenarios.len() * (scenarios.len() - 1),
            "all pairs"
        );
    }
}

/// Whatever line of whatever state: it is read, and printed back the same.
#[test]
fn every_state_reads_in_and_prints_back_the_same() {
    let mut states = 0;
    for scenario in Layout::WITH_IPSET.into_iter().flat_map(all) {
        let expected = scenario.steps.iter().map(|step| step.expected.clone());
        let expected = expected.map(|value| serde_json::from_value::<Snapshot>(value).unwrap());
        for mut snapshot in expected.chain(scenario.found()) {
            let back = Snapshot::of(&snapshot.state().unwrap());
            assert_eq!(back.iptables, snapshot.iptables, "{}", scenario.name);
            assert_eq!(back.ip6tables, snapshot.ip6tables, "{}", scenario.name);
            // Settings that the classic states do not tell are those of a fresh kernel.
            if snapshot.sysctl.is_empty() {
                snapshot.sysctl.clone_from(&back.sysctl);
            }
            assert_eq!(back, snapshot, "{}", scenario.name);
            states += 1;
        }
    }
    assert_eq!(states, 53 + 14 + 4);

    // These have rules and one setting only.
    let mut states = 0;
    for scenario in all(Layout::Iptables) {
        for step in &scenario.steps {
            let snapshot: Snapshot = serde_json::from_value(step.expected.clone()).unwrap();
            let back = Snapshot::of(&snapshot.state().unwrap());
            assert_eq!(back.iptables, snapshot.iptables, "{}", scenario.name);
            assert_eq!(back.ip6tables, snapshot.ip6tables, "{}", scenario.name);
            states += 1;
        }
    }
    assert_eq!(states, 46);
}

/// What kube-proxy left in iptables mode is taken over as it is, but for the chains by which it notices a flush.
#[test]
fn what_kube_proxy_left_in_iptables_mode_is_taken_over() {
    for scenario in all(Layout::Iptables) {
        let mut host = Host::new(scenario.node_name());
        host.links = scenario.links.clone();
        for step in &scenario.steps {
            let name = &scenario.name;
            let left: Snapshot = serde_json::from_value(step.expected.clone()).unwrap();
            let desired = translate(&step.cluster, &host, &scenario.config);
            let plan = reconcile(&desired, &left.state().unwrap());
            assert!(plan.is_empty(), "{name}: {plan}");

            let mut left = left.clone();
            for lines in [&mut left.iptables, &mut left.ip6tables] {
                let table = lines.iter().position(|line| line == "*nat").unwrap();
                lines.insert(table + 1, ":KUBE-PROXY-CANARY -".to_owned());
            }
            let plan = reconcile(&desired, &left.state().unwrap());
            let lines: Vec<_> = plan.to_string().lines().map(str::to_owned).collect();
            let canaries = ["iptables ", "ip6tables"]
                .map(|tool| format!("- {tool} -t nat -X KUBE-PROXY-CANARY"));
            assert_eq!(lines, canaries, "{name}");
        }
    }
}

/// From each mode to the other, one scenario after the other: nothing of the mode that went is left.
#[test]
fn from_one_mode_to_the_other() {
    let scenarios = unseeded(Layout::Iptables);
    let mut host = Host::new(scenarios[0].node_name());
    host.links = scenarios[0].links.clone();
    let mut kernel = MemoryKernel::new();
    let layouts = [Layout::Current, Layout::Iptables, Layout::Classic];
    for (scenario, layout) in scenarios.iter().zip(layouts.into_iter().cycle()) {
        let mut config = scenario.config.clone();
        config.remove_foreign_servers = false;
        for layout in [layout, Layout::Iptables] {
            config.layout = layout;
            for step in &scenario.steps {
                let desired = translate(&step.cluster, &host, &config);
                let plan = reconcile(&desired, &kernel.observe().unwrap());
                assert!(kernel.apply(&plan).is_ok());
            }
        }
        let name = format!("{}, after {layout:?}", scenario.name);
        let expected = &scenario.steps.last().unwrap().expected;
        let actual = Snapshot::of(&kernel.state());
        compare(&name, expected, &actual, Layout::Iptables);
        let link = actual.addresses.keys().next();
        assert_eq!((link, actual.ipvs.len()), (None, 0), "{name}");
    }

    // And back.
    for scenario in unseeded(Layout::Current) {
        for layout in [Layout::Iptables, Layout::Current] {
            let mut config = scenario.config.clone();
            config.layout = layout;
            let step = scenario.steps.last().unwrap();
            let desired = translate(&step.cluster, &host, &config);
            let plan = reconcile(&desired, &kernel.observe().unwrap());
            assert!(kernel.apply(&plan).is_ok(), "{}", scenario.name);
            if layout == Layout::Current {
                let actual = Snapshot::of(&kernel.state());
                let expected = serde_json::from_value(step.expected.clone()).unwrap();
                compare_objects(&scenario.name, &step.expected, &expected, &actual, layout);
                let localnet = "net/ipv4/conf/all/route_localnet";
                assert_eq!(actual.sysctl[localnet], "0", "{}", scenario.name);
            }
        }
    }
    let nothing = Desired::nothing(&kernel.state(), &host);
    assert!(kernel.apply(&reconcile(&nothing, &kernel.state())).is_ok());
    let left = Snapshot::of(&kernel.state());
    let ours = |line: &&String| line.contains("KUBE");
    let lines = left.iptables.iter().chain(&left.ip6tables);
    assert_eq!(lines.filter(ours).count(), 0);
}
