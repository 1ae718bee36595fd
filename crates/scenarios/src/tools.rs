//! The reference tools: they make what a test finds, and read what is there in the end.

use std::collections::BTreeMap;
use std::fs;

use kernel_test::{cmd, iptables_flavour, sysctl, try_cmd};
use proxier::Sysctl;
use proxier_manifest::Snapshot;

use crate::Scenario;

/// Makes the links of a scenario's node.
pub fn make_links(scenario: &Scenario) {
    for (link, addresses) in scenario.links.iter() {
        cmd(&format!("ip link add {link} type dummy"));
        for address in addresses {
            cmd(&format!("ip address add {address} dev {link} nodad"));
        }
        cmd(&format!("ip link set {link} up"));
    }
}

/// Shows this process `/proc/sys/net` as a kernel without IPv6 has it.
pub fn hide_ipv6() {
    const ALL: &str = "/run/proc-sys-net";
    cmd(&format!(
        "mkdir {ALL} && mount --bind /proc/sys/net {ALL} && mount -t tmpfs none /proc/sys/net"
    ));
    for entry in fs::read_dir(ALL).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name != "ipv6" {
            let shown = format!("/proc/sys/net/{name}");
            cmd(&format!(
                "mkdir {shown} && mount --bind {ALL}/{name} {shown}"
            ));
        }
    }
}

/// Runs a scenario's `before.sh`, whose `iptables` is that of the flavour in use.
pub fn run_before(scenario: &Scenario) {
    if let Ok(script) = fs::read_to_string(scenario.folder.join("before.sh")) {
        for line in script.lines().filter(|line| !line.trim().is_empty()) {
            let tool = format!("iptables-{} ", iptables_flavour());
            cmd(&line.replacen("iptables ", &tool, 1));
        }
    }
}

/// The kernel's state in the words of its tools.
pub fn snapshot() -> Snapshot {
    let lines = |text: String| text.lines().map(ToOwned::to_owned).collect::<Vec<_>>();
    let rules = |tool: &str| {
        let saved = lines(cmd(tool))
            .into_iter()
            .filter(|line| !line.starts_with('#'));
        // Chains are shown with counters.
        saved
            .map(|line| match line.split_once(" [") {
                Some((chain, _)) if chain.starts_with(':') => chain.to_owned(),
                _ => line,
            })
            .collect()
    };
    let sets = lines(cmd("ipset save")).into_iter().map(|line| {
        let mut words: Vec<_> = line.split(' ').collect();
        for drop in ["bucketsize", "initval"] {
            if let Some(at) = words.iter().position(|word| *word == drop) {
                words.drain(at..at + 2);
            }
        }
        words.join(" ")
    });
    let timeouts = lines(cmd("ipvsadm -L --timeout"));
    let mut snapshot = Snapshot::default();
    snapshot.ipvs = lines(cmd("ipvsadm -Sn"));
    snapshot.ipset = sets.collect();
    snapshot.iptables = rules(&format!("iptables-{}-save", iptables_flavour()));
    snapshot.ip6tables = rules(&format!("ip6tables-{}-save", iptables_flavour()));
    snapshot.addresses = addresses();
    snapshot.sysctl = Sysctl::ALL
        .into_iter()
        .map(|key| (key.to_string(), sysctl(key.path())))
        .collect();
    snapshot.ipvs_timeouts = timeouts.last().cloned().unwrap_or_default();
    snapshot
}

fn addresses() -> BTreeMap<String, Vec<String>> {
    let Ok(shown) = try_cmd("ip -o address show dev kube-ipvs0") else {
        return BTreeMap::new();
    };
    let bound = shown
        .lines()
        .filter(|line| !line.contains("scope link"))
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            words.find(|word| *word == "inet" || *word == "inet6")?;
            words.next().map(ToOwned::to_owned)
        });
    let mut bound: Vec<_> = bound
        .map(|address| {
            let prefix = if address.contains(':') { "/128" } else { "/32" };
            if address.contains('/') {
                address
            } else {
                address + prefix
            }
        })
        .collect();
    bound.sort();
    BTreeMap::from([("kube-ipvs0".to_owned(), bound)])
}
