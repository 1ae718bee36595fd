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
use proxier::{Kernel, Layout, MemoryKernel, reconcile, translate};
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
    for layout in Layout::WITH_IPSET {
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
}
