//! Small inputs of a kind that people reported to go wrong (the YAML files here), and what is right for them.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that fails should panic"
)]

mod conflicts;
mod endpoints;
mod rules;

use std::path::Path;

use proxier::cluster::{Cluster, Host};
use proxier::{Config, Desired, translate};

fn case(name: &str) -> Cluster {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/cases")
        .join(name);
    let text = std::fs::read(&path).unwrap();
    let reading = proxier_manifest::read_cluster(name, &text);
    let problems = &reading.diagnostics;
    assert!(problems.is_empty(), "{name}: {problems:?}");
    reading.cluster
}

fn host() -> Host {
    let mut host = Host::new("node-a");
    let link = "eth0".parse().unwrap();
    host.links.insert(link, "192.168.10.10/24".parse().unwrap());
    host
}

fn desired(cluster: &Cluster) -> Desired {
    translate(cluster, &host(), &Config::default())
}

/// The destinations of a virtual server as `ADDRESS:PORT`. Panics if the virtual server is not there.
fn destinations(desired: &Desired, id: &str) -> Vec<String> {
    let server = desired
        .servers
        .iter()
        .find(|server| server.id.to_string() == id);
    let server = server.unwrap_or_else(|| panic!("no {id} in {:?}", desired.servers));
    server
        .destinations
        .iter()
        .map(|d| d.id.to_string())
        .collect()
}
