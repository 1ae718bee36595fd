//! Holds a state against the measured one: what of it counts, and the deliberate differences.

use std::collections::{BTreeMap, BTreeSet};

use proxier::Layout;
use proxier_manifest::Snapshot;

/// What of a rule set counts, as the scenarios' README says: order inside a chain does, but for
/// KUBE-IPVS-OUT-FILTER; that of tables and chains does not.
pub fn comparable(lines: &[String]) -> BTreeMap<(String, String), Vec<String>> {
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

/// The chains in which the order of the rules of different Services does not matter in iptables mode.
pub const ANY_ORDER: [&str; 4] = [
    "KUBE-SERVICES",
    "KUBE-EXTERNAL-SERVICES",
    "KUBE-NODEPORTS",
    "KUBE-PROXY-FIREWALL",
];

/// What of the rules of iptables mode counts, as the README of the data says. The rules for node ports must come last in
/// their chain.
pub fn comparable_in_iptables_mode(lines: &[String]) -> BTreeMap<(String, String), Vec<String>> {
    let mut chains = comparable(lines);
    for ((_, name), rules) in &mut chains {
        if ANY_ORDER.contains(&name.as_str()) {
            let last = |rule: &String| rule.contains("NOTE: this must be the last rule");
            assert!(rules.is_sorted_by_key(last), "{name}: {rules:#?}");
            rules.sort();
        }
    }
    chains
}

/// A deliberate difference of both layouts, taken out of their rules; it must be there. Service traffic passes INPUT where
/// its policy would refuse it: a jump at the end of `filter/INPUT`, and a rule for each set of services with members.
pub fn without_service_accept(lines: &[String], six: bool) -> Vec<String> {
    const JUMP: &str =
        "-A INPUT -m comment --comment \"kubernetes service traffic\" -j KUBE-IPVS-ACCEPT";
    let family = if six { "6-" } else { "" };
    let sets = [
        ("", "CLUSTER-IP dst,dst"),
        ("", "EXTERNAL-IP dst,dst"),
        ("", "EXTERNAL-IP-LOCAL dst,dst"),
        ("", "LOAD-BALANCER dst,dst"),
        ("-p tcp ", "NODE-PORT-TCP dst"),
        ("-p udp ", "NODE-PORT-UDP dst"),
        ("-p sctp ", "NODE-PORT-SCTP-HASH dst,dst"),
    ];
    let mut rest = Vec::new();
    let (mut declared, mut jumps, mut accepted) = (0, 0, Vec::new());
    let mut in_filter = false;
    for line in lines {
        if let Some(table) = line.strip_prefix('*') {
            in_filter = table == "filter";
        }
        if in_filter && line == ":KUBE-IPVS-ACCEPT -" {
            declared += 1;
        } else if in_filter && line == JUMP {
            jumps += 1;
        } else if let Some(rule) = line.strip_prefix("-A KUBE-IPVS-ACCEPT ") {
            let rule = without_destination(rule);
            let at = sets.iter().position(|(protocol, set)| {
                rule == format!("{protocol}-m set --match-set KUBE-{family}{set} -j ACCEPT")
            });
            accepted.push(at.unwrap_or_else(|| panic!("unexpected: {line}")));
        } else {
            // What comes after the jump is not the proxy's.
            assert!(
                jumps == 0 || !line.starts_with("-A INPUT ") || !line.contains("-j KUBE-"),
                "the jump comes last: {lines:#?}"
            );
            rest.push(line.clone());
        }
    }
    assert_eq!((declared, jumps), (1, 1), "service traffic is accepted");
    assert!(accepted.is_sorted(), "{lines:#?}");
    rest
}

/// A rule without its `-d` part, with which restricted node ports have a rule for each network.
fn without_destination(rule: &str) -> String {
    match rule
        .strip_prefix("-d ")
        .and_then(|rest| rest.split_once(' '))
    {
        Some((_, rest)) => rest.to_owned(),
        None => rule.to_owned(),
    }
}

/// A deliberate difference of the classic layout alone: it drops by itself what it marks.
pub fn without_classic_firewall(lines: &[String]) -> Vec<String> {
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

/// The deliberate differences of the current layout alone, taken out of its rules; they must be there.
///
/// - Node port rules leave out traffic to service addresses: one rule in `nat/KUBE-NODE-PORT`, where it has any and
///   addresses are bound.
pub fn without_current_differences(lines: &[String], six: bool) -> Vec<String> {
    let family = if six { "6-" } else { "" };
    let spared = format!(
        "-A KUBE-NODE-PORT -m comment --comment \"Kubernetes service addresses bound on this node\" \
         -m set --match-set KUBE-{family}IPVS-IPS dst -j RETURN"
    );
    let mut rest = Vec::new();
    let (mut taken, mut node_ports, mut in_nat) = (0, false, false);
    for line in lines {
        if let Some(table) = line.strip_prefix('*') {
            in_nat = table == "nat";
        }
        if in_nat && *line == spared {
            assert!(!node_ports, "it comes first");
            taken += 1;
            continue;
        }
        node_ports |= in_nat && line.starts_with("-A KUBE-NODE-PORT ");
        rest.push(line.clone());
    }
    // Every scenario with node ports has cluster IPs, which are bound.
    assert_eq!(
        taken,
        usize::from(node_ports),
        "service addresses are spared"
    );
    rest
}

/// Holds a state against the one expected.
pub fn compare(name: &str, expected: &serde_json::Value, actual: &Snapshot, layout: Layout) {
    let snapshot: Snapshot = serde_json::from_value(expected.clone()).unwrap();
    compare_settings(name, expected, &snapshot, actual, layout);
    compare_objects(name, expected, &snapshot, actual, layout);
}

/// Holds what Services are made of against what is expected.
pub fn compare_objects(
    name: &str,
    expected: &serde_json::Value,
    snapshot: &Snapshot,
    actual: &Snapshot,
    layout: Layout,
) {
    let sorted = |lines: &[String]| {
        let mut lines = lines.to_vec();
        lines.sort();
        lines
    };
    assert_eq!(sorted(&actual.ipvs), sorted(&snapshot.ipvs), "{name}: ipvs");
    assert_eq!(
        sorted(&actual.ipset),
        sorted(&snapshot.ipset),
        "{name}: ipset"
    );
    assert_eq!(actual.addresses, snapshot.addresses, "{name}: addresses");
    if layout == Layout::Iptables {
        for (family, actual, expected) in [
            ("iptables", &actual.iptables, &snapshot.iptables),
            ("ip6tables", &actual.ip6tables, &snapshot.ip6tables),
        ] {
            let (actual, expected) = (
                comparable_in_iptables_mode(actual),
                comparable_in_iptables_mode(expected),
            );
            assert_eq!(actual, expected, "{name}: {family}");
        }
        return;
    }
    let iptables = without_service_accept(&actual.iptables, false);
    let iptables = match layout {
        Layout::Current => without_current_differences(&iptables, false),
        Layout::Classic => without_classic_firewall(&iptables),
        other => panic!("no states of layout {} were measured", other.as_str()),
    };
    assert_eq!(
        comparable(&iptables),
        comparable(&snapshot.iptables),
        "{name}: iptables"
    );
    // The classic reference knew IPv4 only.
    if expected.get("ip6tables").is_some() {
        let wanted = comparable(&snapshot.ip6tables);
        let ip6tables = without_service_accept(&actual.ip6tables, true);
        let ip6tables = without_current_differences(&ip6tables, true);
        assert_eq!(comparable(&ip6tables), wanted, "{name}: ip6tables");
    } else {
        let kube = actual.ip6tables.iter().find(|line| line.contains("KUBE"));
        assert_eq!((kube, layout), (None, Layout::Classic), "{name}: ip6tables");
    }
}

fn compare_settings(
    name: &str,
    expected: &serde_json::Value,
    snapshot: &Snapshot,
    actual: &Snapshot,
    layout: Layout,
) {
    if layout == Layout::Iptables {
        // It sets nothing else.
        let (localnet, value) = snapshot.sysctl.first_key_value().unwrap();
        assert_eq!(snapshot.sysctl.len(), 1);
        assert_eq!(actual.sysctl.get(localnet), Some(value), "{name}: sysctl");
        return;
    }
    assert_eq!(
        actual.ipvs_timeouts, snapshot.ipvs_timeouts,
        "{name}: ipvs_timeouts"
    );
    // The classic states do not have what /proc/sys held.
    if layout == Layout::Current {
        assert_eq!(actual.sysctl, snapshot.sysctl, "{name}: sysctl");
    } else {
        assert!(expected.get("sysctl").is_none());
    }
}
