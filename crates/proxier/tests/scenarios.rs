//! Every scenario, every step: what the translation makes of a cluster is the state that a real kernel held
//! when the reference had settled on the same input.
//!
//! Where a scenario starts from a state found, `found.json` holds it, read back with the reference tools in
//! the User Mode Linux guest (Linux 6.1, ipvsadm 1.31, ipset 7.17, iptables 1.8.9 legacy) after its
//! `before.sh` had run.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that fails should panic"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use proxier::cluster::Host;
use proxier::snapshot::Snapshot;
use proxier::{Config, Kernel, Layout, MemoryKernel, manifest, reconcile, translate};

fn folders(below: &str) -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/scenarios")
        .join(below);
    let mut folders: Vec<_> = fs::read_dir(root)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.join("step-1.yaml").exists())
        .collect();
    folders.sort();
    folders
}

fn read(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

struct Scenario {
    folder: PathBuf,
    config: Config,
    host: Host,
    kernel: MemoryKernel,
}

impl Scenario {
    fn open(folder: PathBuf, layout: Layout) -> Self {
        let config = manifest::read_config(
            "proxy-config.yaml",
            &read(&folder.join("proxy-config.yaml")),
        );
        let config = Config {
            layout,
            ..config.unwrap().config
        };
        let mut host = Host::new(config.hostname_override.clone().unwrap());
        host.links = manifest::read_links("node.yaml", &read(&folder.join("node.yaml"))).unwrap();
        let found = folder.join("found.json");
        assert_eq!(
            folder.join("before.sh").exists(),
            found.exists(),
            "{}",
            folder.display()
        );
        let kernel = if found.exists() {
            let found: Snapshot = serde_json::from_slice(&read(&found)).unwrap();
            MemoryKernel::holding(&found.state().unwrap())
        } else {
            MemoryKernel::new()
        };
        Self {
            folder,
            config,
            host,
            kernel,
        }
    }

    fn step(&mut self, step: usize) -> Option<Snapshot> {
        let path = self.folder.join(format!("step-{step}.yaml"));
        if !path.exists() {
            return None;
        }
        let reading = manifest::read_cluster("step", &read(&path));
        assert!(
            reading.refused.is_empty(),
            "{}: {:?}",
            path.display(),
            reading.refused
        );
        let desired = translate(&reading.cluster, &self.host, &self.config);
        assert!(
            desired.conflicts.is_empty(),
            "{}: {:?}",
            path.display(),
            desired.conflicts
        );
        let plan = reconcile(&desired, &self.kernel.observe().unwrap());
        let applied = self.kernel.apply(&plan);
        assert!(
            applied.is_ok(),
            "{}: {:?}",
            path.display(),
            applied.failures
        );
        let again = reconcile(&desired, &self.kernel.observe().unwrap());
        assert!(
            again.is_empty(),
            "{}: planned again: {again}",
            path.display()
        );
        Some(Snapshot::of(&self.kernel.state()))
    }
}

/// What of a rule set counts, as the scenarios' README says: order inside a chain does, but for
/// KUBE-IPVS-OUT-FILTER; that of tables and chains does not.
fn comparable(lines: &[String]) -> BTreeMap<(String, String), Vec<String>> {
    let mut chains: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
    let mut table = String::new();
    for line in lines {
        if let Some(name) = line.strip_prefix('*') {
            table = name.to_owned();
        } else if let Some(chain) = line.strip_prefix(':') {
            let (name, policy) = chain.split_once(' ').unwrap();
            chains
                .entry((table.clone(), name.to_owned()))
                .or_default()
                .insert(0, policy.to_owned());
        } else if let Some(rule) = line.strip_prefix("-A ") {
            let (name, rule) = rule.split_once(' ').unwrap();
            chains
                .get_mut(&(table.clone(), name.to_owned()))
                .unwrap()
                .push(rule.to_owned());
        } else {
            assert_eq!(line, "COMMIT");
        }
    }
    for ((_, name), rules) in &mut chains {
        if name == "KUBE-IPVS-OUT-FILTER" {
            rules.sort();
        }
    }
    chains
}

/// The one deliberate difference of the classic layout: it drops by itself what it marks.
fn without_classic_firewall(lines: &[String]) -> Vec<String> {
    let ours: BTreeSet<_> = [
        ":KUBE-FIREWALL -",
        "-A INPUT -j KUBE-FIREWALL",
        "-A OUTPUT -j KUBE-FIREWALL",
        "-A KUBE-FIREWALL -m comment --comment \"kubernetes firewall for dropping marked packets\" \
         -m mark --mark 0x8000/0x8000 -j DROP",
    ]
    .into();
    let mut in_filter = false;
    let mut taken = 0;
    let mut rest = Vec::new();
    for line in lines {
        if let Some(table) = line.strip_prefix('*') {
            in_filter = table == "filter";
        }
        if in_filter && ours.contains(line.as_str()) {
            taken += 1;
        } else {
            rest.push(line.clone());
        }
    }
    assert_eq!(taken, ours.len(), "the drop is there");
    rest
}

fn compare(path: &Path, expected: &serde_json::Value, actual: &Snapshot, layout: Layout) {
    let expected_snapshot: Snapshot = serde_json::from_value(expected.clone()).unwrap();
    let at = |key: &str| format!("{}: {key}", path.display());
    let sorted = |lines: &[String]| {
        let mut lines = lines.to_vec();
        lines.sort();
        lines
    };
    assert_eq!(
        sorted(&actual.ipvs),
        sorted(&expected_snapshot.ipvs),
        "{}",
        at("ipvs")
    );
    assert_eq!(
        sorted(&actual.ipset),
        sorted(&expected_snapshot.ipset),
        "{}",
        at("ipset")
    );
    assert_eq!(
        actual.addresses,
        expected_snapshot.addresses,
        "{}",
        at("addresses")
    );
    assert_eq!(
        actual.ipvs_timeouts,
        expected_snapshot.ipvs_timeouts,
        "{}",
        at("ipvs_timeouts")
    );
    let iptables = match layout {
        Layout::Current => actual.iptables.clone(),
        Layout::Classic => without_classic_firewall(&actual.iptables),
    };
    assert_eq!(
        comparable(&iptables),
        comparable(&expected_snapshot.iptables),
        "{}",
        at("iptables")
    );
    // The classic reference knew IPv4 only, and its states do not say what /proc/sys held.
    if layout == Layout::Current {
        let expected = comparable(&expected_snapshot.ip6tables);
        assert_eq!(
            comparable(&actual.ip6tables),
            expected,
            "{}",
            at("ip6tables")
        );
        assert_eq!(actual.sysctl, expected_snapshot.sysctl, "{}", at("sysctl"));
    } else {
        assert!(expected.get("ip6tables").is_none() && actual.ip6tables.is_empty());
        assert!(expected.get("sysctl").is_none());
    }
}

fn run(below: &str, layout: Layout) -> (usize, usize) {
    let mut steps = 0;
    let folders = folders(below);
    for folder in &folders {
        let mut scenario = Scenario::open(folder.clone(), layout);
        for step in 1.. {
            let path = folder.join(format!("expected-{step}.json"));
            let Some(actual) = scenario.step(step) else {
                assert!(!path.exists(), "{} has no step", path.display());
                break;
            };
            let expected = serde_json::from_slice(&read(&path)).unwrap();
            compare(&path, &expected, &actual, layout);
            steps += 1;
        }
    }
    (folders.len(), steps)
}

#[test]
fn current_layout() {
    assert_eq!(run("", Layout::Current), (44, 53));
}

#[test]
fn classic_layout() {
    assert_eq!(run("classic", Layout::Classic), (14, 14));
}
