//! Service traffic passes `filter/INPUT` where nothing is left to decide it but a policy, or a last rule, that refuses: a
//! deliberate difference from the reference.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that fails should panic"
)]

use iptables_restore::{Ruleset, TableName};
use proxier::cluster::{Cluster, Host};
use proxier::{
    Config, Desired, Kernel, Layout, MemoryKernel, NodePortAddresses, reconcile, translate,
};

const CLUSTER: &str = "
apiVersion: v1
kind: Node
metadata: {name: node-a}
status: {addresses: [{type: InternalIP, address: 192.168.10.10}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  type: LoadBalancer
  clusterIP: 10.0.0.7
  externalIPs: [203.0.113.7]
  ports:
  - {name: t, port: 80, nodePort: 30080}
  - {name: u, port: 80, nodePort: 30080, protocol: UDP}
  - {name: s, port: 80, nodePort: 30080, protocol: SCTP}
status: {loadBalancer: {ingress: [{ip: 198.51.100.7}]}}
";

const JUMP: &str = "-m comment --comment \"kubernetes service traffic\" -j KUBE-IPVS-ACCEPT";

fn cluster() -> Cluster {
    proxier_manifest::read_cluster("test", CLUSTER.as_bytes()).cluster
}

fn host() -> Host {
    let mut host = Host::new("node-a");
    let link = "eth0".parse().unwrap();
    host.links.insert(link, "192.168.10.10/24".parse().unwrap());
    host
}

fn kernel(input: &[&str]) -> MemoryKernel {
    let rules: String = input
        .iter()
        .map(|rule| format!("-A INPUT {rule}\n"))
        .collect();
    let text = format!(
        "*filter\n:INPUT DROP\n:FORWARD ACCEPT\n:OUTPUT ACCEPT\n:KUBE-IPVS-ACCEPT -\n{rules}COMMIT\n"
    );
    let mut state = MemoryKernel::new().state();
    state.rules.v4 = Ruleset::parse(&text).unwrap();
    MemoryKernel::holding(&state)
}

/// The rules of a chain of `filter`.
fn rules(kernel: &MemoryKernel, chain: &str) -> Vec<String> {
    let state = kernel.state();
    let filter = state.rules.v4.table(&TableName::Filter).unwrap();
    let chain = filter.chain(chain);
    let rules = chain.map_or(&[][..], |chain| &chain.rules);
    rules.iter().map(ToString::to_string).collect()
}

fn settle(kernel: &mut MemoryKernel, desired: &Desired) {
    let plan = reconcile(desired, &kernel.state());
    let applied = kernel.apply(&plan);
    assert!(applied.is_ok(), "{:?}\n{plan}", applied.failures);
    let again = reconcile(desired, &kernel.state());
    assert!(again.is_empty(), "planned again:\n{again}");
}

/// The rules of INPUT from the first of these on, after settling on a kernel that has them.
fn settled(layout: Layout, input: &[&str]) -> Vec<String> {
    let desired = translate(&cluster(), &host(), &Config::with_layout(layout));
    let mut kernel = kernel(input);
    settle(&mut kernel, &desired);
    let rules = rules(&kernel, "INPUT");
    // The proxy's own rules that refuse come first.
    let own = rules
        .iter()
        .take_while(|rule| !input.contains(&rule.as_str()) && *rule != JUMP);
    rules[own.count()..].to_vec()
}

#[test]
fn it_is_accepted_after_all_rules_and_before_a_last_refusal() {
    const SSH: &str = "-p tcp -m tcp --dport 22 -j ACCEPT";
    const BANNED: &str = "-s 192.0.2.7/32 -j DROP";
    const REST: &str = "-j REJECT --reject-with icmp-host-prohibited";
    const NOTED: &str = "-m comment --comment \"all the rest\" -j DROP";
    for layout in Layout::WITH_IPSET {
        for (found, wanted) in [
            (vec![], vec![JUMP]),
            (vec![BANNED, SSH], vec![BANNED, SSH, JUMP]),
            (vec![BANNED, SSH, REST], vec![BANNED, SSH, JUMP, REST]),
            (vec![SSH, NOTED, REST], vec![SSH, JUMP, NOTED, REST]),
            // Where it has an effect it stays.
            (vec![BANNED, JUMP, SSH], vec![BANNED, JUMP, SSH]),
            // Behind a rule that refuses all it has none.
            (vec![SSH, REST, JUMP], vec![SSH, JUMP, REST]),
            (vec![JUMP, SSH, JUMP, REST, JUMP], vec![SSH, JUMP, REST]),
        ] {
            assert_eq!(settled(layout, &found), wanted, "{layout:?}: {found:?}");
        }
    }
}

#[test]
fn it_is_what_goes_to_members_of_the_sets_of_services() {
    let accepted = |config: &Config| {
        let mut kernel = kernel(&[]);
        settle(&mut kernel, &translate(&cluster(), &host(), config));
        rules(&kernel, "KUBE-IPVS-ACCEPT")
    };
    let services = ["CLUSTER-IP", "EXTERNAL-IP", "LOAD-BALANCER"]
        .map(|set| format!("-m set --match-set KUBE-{set} dst,dst -j ACCEPT"));
    let node_ports = |to: &str| {
        [
            format!("{to}-p tcp -m set --match-set KUBE-NODE-PORT-TCP dst -j ACCEPT"),
            format!("{to}-p udp -m set --match-set KUBE-NODE-PORT-UDP dst -j ACCEPT"),
            format!("{to}-p sctp -m set --match-set KUBE-NODE-PORT-SCTP-HASH dst,dst -j ACCEPT"),
        ]
    };
    for layout in Layout::WITH_IPSET {
        let mut config = Config::with_layout(layout);
        let all = [services.clone(), node_ports("")].concat();
        assert_eq!(accepted(&config), all, "{layout:?}");
        // Where node ports are not served, they are not accepted either.
        config.node_port_addresses =
            NodePortAddresses::Within(vec!["192.168.0.0/16".parse().unwrap()]);
        let within = [services.clone(), node_ports("-d 192.168.0.0/16 ")].concat();
        assert_eq!(accepted(&config), within, "{layout:?}");
        config.node_port_addresses = NodePortAddresses::Primary;
        let primary = [services.clone(), node_ports("-d 192.168.10.10/32 ")].concat();
        assert_eq!(accepted(&config), primary, "{layout:?}");
    }
    let mut kernel = kernel(&[]);
    let nothing = Cluster::default();
    settle(
        &mut kernel,
        &translate(&nothing, &host(), &Config::default()),
    );
    assert!(rules(&kernel, "KUBE-IPVS-ACCEPT").is_empty());
}

#[test]
fn it_goes_with_the_proxy() {
    const REST: &str = "-j DROP";
    let mut kernel = kernel(&[REST]);
    settle(
        &mut kernel,
        &translate(&cluster(), &host(), &Config::default()),
    );
    let state = kernel.observe().unwrap();
    settle(&mut kernel, &Desired::nothing(&state, &host()));
    assert_eq!(rules(&kernel, "INPUT"), [REST]);
    let state = kernel.state();
    let filter = state.rules.v4.table(&TableName::Filter).unwrap();
    assert!(filter.chain("KUBE-IPVS-ACCEPT").is_none());
}

/// The port where load balancers ask for a Service's health (`healthCheckNodePort`). The reference of the classic layout, v1.20,
/// has no set for these ports, and the layout's sets stay those of its reference: an INPUT chain that refuses is the operator's to
/// open for them there.
#[test]
fn health_check_ports_pass_in_the_current_layout_and_not_in_the_classic_one() {
    let text = CLUSTER.replace(
        "  type: LoadBalancer\n",
        "  type: LoadBalancer\n  externalTrafficPolicy: Local\n  healthCheckNodePort: 32000\n",
    );
    let cluster = proxier_manifest::read_cluster("test", text.as_bytes()).cluster;
    for (layout, accepted) in [(Layout::Current, true), (Layout::Classic, false)] {
        let mut kernel = kernel(&[]);
        let desired = translate(&cluster, &host(), &Config::with_layout(layout));
        settle(&mut kernel, &desired);
        let state = kernel.state();
        let filter = state.rules.v4.table(&TableName::Filter).unwrap();
        let rules = filter.chains.iter().flat_map(|chain| &chain.rules);
        let rule = "--match-set KUBE-HEALTH-CHECK-NODE-PORT dst -j ACCEPT";
        let count = rules
            .filter(|found| found.to_string().contains(rule))
            .count();
        assert_eq!(count, usize::from(accepted), "{layout:?}");
        let sets = state.sets.values();
        let mut with_port = sets.filter(|set| {
            let mut entries = set.entries.iter();
            entries.any(|entry| entry.to_string() == "32000")
        });
        assert_eq!(with_port.next().is_some(), accepted, "{layout:?}");
    }
}
