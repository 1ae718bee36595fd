//! Iptables mode for Services of many kinds, each followed from the chain that packets enter to the last one. Each line of
//! `iptables_variants.txt` was held against `syncProxyRules` of kube-proxy (`pkg/proxy/iptables/proxier.go`) by reading. What the
//! kernel then holds of other Services is in `scenarios`.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that fails should panic"
)]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;

use iptables_restore::{Ruleset, Table, TableName};
use proxier::cluster::{Family, Host};
use proxier::{
    Config, DetectLocal, Kernel, Layout, MemoryKernel, NodePortAddresses, reconcile, translate,
};

const NODE: &str = "
apiVersion: v1
kind: Node
metadata: {name: node-a}
spec: {podCIDRs: [10.244.1.0/24]}
status: {addresses: [{type: InternalIP, address: 192.168.10.10}]}
";

/// A Service `web` with further fields of its `spec`, load balancer addresses, and endpoints: those that begin with
/// 10.244.1. are on this node.
struct Web<'a> {
    spec: &'a str,
    balancer: &'a [&'a str],
    endpoints: &'a [&'a str],
}

impl Web<'_> {
    fn yaml(&self) -> String {
        let mut yaml = NODE.to_owned();
        let ingress: Vec<_> = self
            .balancer
            .iter()
            .map(|ip| format!("{{ip: {ip}}}"))
            .collect();
        let endpoints: Vec<_> = self
            .endpoints
            .iter()
            .map(|ip| {
                let node = if ip.starts_with("10.244.1.") {
                    "node-a"
                } else {
                    "node-b"
                };
                format!("{{addresses: [{ip}], nodeName: {node}}}")
            })
            .collect();
        write!(
            yaml,
            "---
apiVersion: v1
kind: Service
metadata: {{name: web, namespace: default}}
spec: {{clusterIP: 10.0.0.1, {}}}
status: {{loadBalancer: {{ingress: [{}]}}}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: web-1, namespace: default, labels: {{kubernetes.io/service-name: web}}}}
addressType: IPv4
ports: [{{name: http, port: 8080}}, {{name: sctp, port: 9999, protocol: SCTP}}]
endpoints: [{}]
",
            self.spec,
            ingress.join(", "),
            endpoints.join(", ")
        )
        .unwrap();
        yaml
    }
}

fn config() -> Config {
    let mut config = Config::with_layout(Layout::Iptables);
    config.detect_local = DetectLocal::ClusterCidr(vec!["10.244.0.0/16".parse().unwrap()]);
    config
}

fn host() -> Host {
    let mut host = Host::new("node-a");
    for (link, address) in [
        ("lo", "127.0.0.1/8"),
        ("eth0", "192.168.10.10/24"),
        ("eth1", "192.168.20.10/24"),
    ] {
        let address = address.parse().unwrap();
        host.links.insert(link.parse().unwrap(), address);
    }
    host
}

fn rules(web: &Web<'_>, config: &Config) -> Ruleset {
    let reading = proxier_manifest::read_cluster("web", web.yaml().as_bytes());
    assert!(reading.diagnostics.is_empty(), "{:?}", reading.diagnostics);
    let desired = translate(&reading.cluster, &host(), config);
    let mut kernel = MemoryKernel::new();
    let plan = reconcile(&desired, &kernel.state());
    assert!(kernel.apply(&plan).is_ok());
    assert!(reconcile(&desired, &kernel.state()).is_empty());
    let rules = kernel.state().rules;
    rules.get(Family::V4).clone()
}

/// The rules of a chain and of those it leads to, each at the first rule that jumps there. What identifies a Service port or
/// an endpoint in a name is one letter, in the order in which they come.
struct Listing<'a> {
    table: &'a Table,
    seen: BTreeSet<String>,
    letters: Vec<String>,
    text: String,
}

impl<'a> Listing<'a> {
    fn of(rules: &'a Ruleset, table: &TableName, chain: &str) -> String {
        let mut listing = Self {
            table: rules.table(table).unwrap(),
            seen: BTreeSet::new(),
            letters: Vec::new(),
            text: String::new(),
        };
        listing.follow(chain);
        listing.text
    }

    fn follow(&mut self, name: &str) {
        if name == "KUBE-MARK-MASQ" || !self.seen.insert(name.to_owned()) {
            return;
        }
        let Some(chain) = self.table.chain(name) else {
            return;
        };
        let mut next = Vec::new();
        for rule in &chain.rules {
            let line = self.lettered(&format!("{name} {rule}"));
            self.text.push_str(&line);
            self.text.push('\n');
            next.extend(
                rule.target
                    .as_ref()
                    .and_then(|target| target.chain())
                    .map(str::to_owned),
            );
        }
        for chain in next {
            self.follow(&chain);
        }
    }

    fn lettered(&mut self, line: &str) -> String {
        const PREFIXES: [&str; 5] = [
            "KUBE-SVC-",
            "KUBE-SVL-",
            "KUBE-EXT-",
            "KUBE-FW-",
            "KUBE-SEP-",
        ];
        let words = line.split(' ').map(|word| {
            let end = word.trim_end_matches('"');
            let of = |prefix: &&str| end.strip_prefix(*prefix).filter(|rest| rest.len() == 16);
            let Some(suffix) = PREFIXES.iter().find_map(of) else {
                return word.to_owned();
            };
            let known = self.letters.iter().position(|letter| *letter == suffix);
            let place = known.unwrap_or_else(|| {
                self.letters.push(suffix.to_owned());
                self.letters.len() - 1
            });
            let letter = char::from(b'a' + u8::try_from(place).unwrap());
            word.replace(suffix, &letter.to_string())
        });
        words.collect::<Vec<_>>().join(" ")
    }
}

/// What the nat table does with what is sent to Services, and what the filter table refuses.
fn listing(web: &Web<'_>, config: &Config) -> String {
    let rules = rules(web, config);
    let mut text = Listing::of(&rules, &TableName::Nat, "KUBE-SERVICES") + "filter:\n";
    for chain in [
        "KUBE-SERVICES",
        "KUBE-EXTERNAL-SERVICES",
        "KUBE-NODEPORTS",
        "KUBE-PROXY-FIREWALL",
    ] {
        text += &Listing::of(&rules, &TableName::Filter, chain);
    }
    text
}

/// The expected rules, by the headings of their file.
#[track_caller]
fn assert_listed(heading: &str, web: &Web<'_>, config: &Config) {
    let file = fs::read_to_string(EXPECTED).unwrap();
    let (_, rest) = file.split_once(&format!("== {heading}\n")).unwrap();
    let expected = rest.split("\n== ").next().unwrap();
    let found = listing(web, config);
    assert_eq!(found.trim_end(), expected.trim_end(), "{heading}:\n{found}");
}

const EXPECTED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/iptables_variants.txt");
const HTTP: &str = "ports: [{name: http, port: 80, nodePort: 30080}]";
const LOCAL: &str = "type: LoadBalancer, externalTrafficPolicy: Local, internalTrafficPolicy: Local, healthCheckNodePort: 32000";

#[test]
fn both_policies_local() {
    let spec = format!(
        "{LOCAL}, sessionAffinity: ClientIP, sessionAffinityConfig: {{clientIP: {{timeoutSeconds: 60}}}}, \
         ports: [{{name: http, port: 80, nodePort: 30080}}, {{name: sctp, port: 99, protocol: SCTP}}]"
    );
    let web = Web {
        spec: &spec,
        balancer: &["203.0.113.1"],
        endpoints: &["10.244.1.5", "10.244.2.5"],
    };
    assert_listed(
        "both policies Local, affinity, TCP and SCTP",
        &web,
        &config(),
    );
    let spec = format!("{LOCAL}, externalIPs: [203.0.113.9, 203.0.113.2], {HTTP}");
    let web = Web {
        spec: &spec,
        balancer: &["203.0.113.7", "203.0.113.5"],
        endpoints: &["10.244.2.5"],
    };
    assert_listed("both policies Local, no endpoint here", &web, &config());
}

#[test]
fn source_ranges() {
    let spec = format!(
        "type: LoadBalancer, externalIPs: [203.0.113.9, 203.0.113.2], \
         loadBalancerSourceRanges: [198.51.100.0/24, 192.168.10.0/24], {HTTP}"
    );
    let web = Web {
        spec: &spec,
        balancer: &["203.0.113.7", "203.0.113.5"],
        endpoints: &["10.244.1.10", "10.244.1.9", "10.244.2.100"],
    };
    assert_listed(
        "source ranges with the node's, three endpoints",
        &web,
        &config(),
    );
    let web = Web {
        endpoints: &[],
        ..web
    };
    assert_listed("source ranges, no endpoints", &web, &config());
}

#[test]
fn one_policy_local() {
    let mut config = config();
    config.detect_local = DetectLocal::BridgeInterface("cbr0".into());
    let networks = ["127.0.0.0/8", "192.168.20.0/24"].map(|network| network.parse().unwrap());
    config.node_port_addresses = NodePortAddresses::Within(networks.into());
    config.masquerade_all = true;
    let spec = format!("type: NodePort, internalTrafficPolicy: Local, {HTTP}");
    let web = Web {
        spec: &spec,
        balancer: &[],
        endpoints: &["10.244.1.5", "10.244.2.5"],
    };
    assert_listed(
        "internal policy Local, masqueradeAll, node ports at localhost",
        &web,
        &config,
    );
    config.masquerade_all = false;
    config.localhost_node_ports = Some(false);
    let spec = format!("type: NodePort, externalTrafficPolicy: Local, {HTTP}");
    let web = Web { spec: &spec, ..web };
    assert_listed(
        "external policy Local, a bridge, no node ports at localhost",
        &web,
        &config,
    );
}
