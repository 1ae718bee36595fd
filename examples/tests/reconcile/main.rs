//! The `reconcile` program, run as a user runs it.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that fails should panic"
)]

mod explained;
mod inputs;
mod objects;
mod outputs;
mod steps;

use std::fs;
use std::process::{Command, Output};

use tempfile::TempDir;

struct Run {
    folder: TempDir,
}

impl Run {
    fn new() -> Self {
        Self {
            folder: TempDir::new().unwrap(),
        }
    }

    fn file(self, name: &str, content: impl AsRef<[u8]>) -> Self {
        fs::write(self.folder.path().join(name), content).unwrap();
        self
    }

    fn with(&self, args: &[&str]) -> Ran {
        Ran::new(
            Command::new(env!("CARGO_BIN_EXE_reconcile"))
                .current_dir(self.folder.path())
                .args(args),
        )
    }
}

struct Ran {
    status: i32,
    out: String,
    err: String,
}

impl Ran {
    fn new(command: &mut Command) -> Self {
        let Output {
            status,
            stdout,
            stderr,
        } = command.output().unwrap();
        Self {
            status: status.code().unwrap(),
            out: String::from_utf8(stdout).unwrap(),
            err: String::from_utf8(stderr).unwrap(),
        }
    }

    #[track_caller]
    fn refuses(&self, says: &[&str]) {
        for part in says {
            assert!(self.err.contains(part), "{part:?} is not in:\n{}", self.err);
        }
    }
}

const SLICE: &str = "
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-1, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
endpoints: [{addresses: [10.244.1.5]}]
ports: [{name: http, port: 8080}]
";

/// A cluster of a good Service and its slice, and one more object.
fn beside_a_good_one(other: &str) -> String {
    format!(
        "{}\n{SLICE}\n---\n{other}",
        service("web", "10.0.0.7", "{name: http, port: 80}", "")
    )
}

fn service(name: &str, ip: &str, port: &str, more: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\n\
         spec: {{clusterIP: {ip}, ports: [{port}]{more}}}\n"
    )
}

fn ipvs(out: &str) -> Vec<String> {
    let state: serde_json::Value = serde_json::from_str(out).unwrap();
    state["ipvs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| line.as_str().unwrap().to_owned())
        .collect()
}

fn case(name: &str) -> Vec<u8> {
    let cases = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../crates/proxier-manifest/tests/cases/"
    );
    fs::read(format!("{cases}{name}")).unwrap()
}
