//! Clusters as manifests with the states that real kernels then held (`data/README.md` says how they were measured), and
//! what tests need to play them: the reference tools, network topologies, servers, clients.
#![forbid(unsafe_code)]
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "for tests: what fails should panic"
)]

pub mod client;
pub mod clusters;
mod compare;
pub mod servers;
pub mod tools;
pub mod topology;

use std::fs;
use std::path::{Path, PathBuf};

use proxier::cluster::Cluster;
use proxier::{Config, Layout};
use proxier_manifest::Snapshot;

pub use crate::compare::{
    ANY_ORDER, comparable, comparable_in_iptables_mode, compare, compare_objects,
    without_classic_firewall, without_current_differences, without_service_accept,
};

/// One scenario's folder, read.
#[derive(Clone)]
pub struct Scenario {
    pub name: String,
    pub folder: PathBuf,
    pub config: Config,
    pub links: dummy_link::NodeLinks,
    pub steps: Vec<Step>,
}

/// The cluster at a step, and the state expected then.
#[derive(Clone)]
pub struct Step {
    pub cluster: Cluster,
    pub expected: serde_json::Value,
}

/// All scenarios of a layout, by name.
pub fn all(layout: Layout) -> Vec<Scenario> {
    folders(below(layout))
        .into_iter()
        .map(|folder| Scenario::open(folder, layout))
        .collect()
}

/// The folder of a layout's scenarios.
fn below(layout: Layout) -> &'static str {
    match layout {
        Layout::Classic => "classic",
        Layout::Iptables => "iptables",
        _ => "",
    }
}

/// Those of a layout that start from nothing, on one and the same machine.
pub fn unseeded(layout: Layout) -> Vec<Scenario> {
    let mut scenarios = all(layout);
    scenarios.retain(|scenario| scenario.found().is_none());
    let links = scenarios[0].links.clone();
    scenarios.retain(|scenario| scenario.links == links);
    scenarios
}

/// Visits scenarios one after the other, each so many places after the one before; with no strides given,
/// until each has come after every other.
pub fn tour(
    scenarios: &[Scenario],
    strides: &[usize],
    mut visit: impl FnMut(&Scenario, &Scenario),
) {
    let count = scenarios.len();
    let every: Vec<_> = (1..count).collect();
    let strides = if strides.is_empty() { &every } else { strides };
    for stride in strides {
        for start in 0..count {
            // Only where no earlier round of this stride has come by.
            let round: Vec<_> = (0..count).map(|n| (start + n * stride) % count).collect();
            let fresh = round.iter().position(|at| *at < start).is_none();
            let length = (1..=count)
                .find(|n| (start + n * stride) % count == start)
                .unwrap_or(count);
            if fresh {
                visit(&scenarios[start], &scenarios[start]);
                for pair in round[..length].windows(2) {
                    visit(&scenarios[pair[0]], &scenarios[pair[1]]);
                }
                visit(&scenarios[round[length - 1]], &scenarios[start]);
            }
        }
    }
}

impl Scenario {
    fn open(folder: PathBuf, layout: Layout) -> Self {
        let config = proxier_manifest::read_config(
            "proxy-config.yaml",
            &read(&folder.join("proxy-config.yaml")),
        );
        let mut config = config.unwrap();
        if layout == Layout::Iptables {
            assert_eq!(config.layout, layout, "the configuration names the mode");
        }
        config.layout = layout;
        // What was measured removes what it does not know; by default others' virtual servers stay.
        config.remove_foreign_servers = true;
        let links =
            proxier_manifest::read_links("node.yaml", &read(&folder.join("node.yaml"))).unwrap();
        let mut steps = Vec::new();
        for step in 1.. {
            let expected = folder.join(format!("expected-{step}.json"));
            let path = folder.join(format!("step-{step}.yaml"));
            assert_eq!(path.exists(), expected.exists(), "{}", path.display());
            if !path.exists() {
                break;
            }
            let reading = proxier_manifest::read_cluster("step", &read(&path));
            assert!(
                reading.diagnostics.is_empty(),
                "{}: {:?}",
                path.display(),
                reading.diagnostics
            );
            let expected = serde_json::from_slice(&read(&expected)).unwrap();
            steps.push(Step {
                cluster: reading.cluster,
                expected,
            });
        }
        let name = Path::new(below(layout)).join(folder.file_name().unwrap());
        Self {
            name: name.to_str().unwrap().to_owned(),
            folder,
            config,
            links,
            steps,
        }
    }

    /// The state found at the start, if it is not that of an untouched kernel.
    pub fn found(&self) -> Option<Snapshot> {
        let found = self.folder.join("found.json");
        assert_eq!(
            self.folder.join("before.sh").exists(),
            found.exists(),
            "{}",
            self.name
        );
        found
            .exists()
            .then(|| serde_json::from_slice(&read(&found)).unwrap())
    }

    pub fn node_name(&self) -> &str {
        self.config.hostname_override.as_deref().unwrap()
    }
}

/// The folder that holds all scenarios.
#[must_use]
pub fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("data")
}

pub fn folders(below: &str) -> Vec<PathBuf> {
    let root = data().join(below);
    let mut folders: Vec<_> = fs::read_dir(root)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.join("step-1.yaml").exists())
        .collect();
    folders.sort();
    folders
}

pub fn read(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
