//! The same of IPv6, on a node of both families: names, addresses and tools are those of the family.

use proxier::explain::PartState;
use proxier::iptables_restore::TableName;
use proxier::{DetectLocal, Layout};

use super::{LAYOUTS, TestNode};

const CLUSTER: &str = r#"
apiVersion: v1
kind: List
items:
- apiVersion: v1
  kind: Node
  metadata: {name: node-a}
  spec: {podCIDRs: [10.244.1.0/24, "2001:db8:1::/64"]}
  status: {addresses: [{type: InternalIP, address: 192.168.10.10}, {type: InternalIP, address: "2001:db8:10::10"}]}
- apiVersion: v1
  kind: Service
  metadata: {name: web, namespace: default}
  spec:
    type: LoadBalancer
    ipFamilyPolicy: RequireDualStack
    ipFamilies: [IPv4, IPv6]
    clusterIP: 10.0.0.10
    clusterIPs: [10.0.0.10, "fd00:10::a"]
    loadBalancerSourceRanges: ["2001:db8:77::/64"]
    ports: [{name: http, port: 80, nodePort: 30080}]
  status: {loadBalancer: {ingress: [{ip: "2001:db8:203::5"}]}}
- apiVersion: discovery.k8s.io/v1
  kind: EndpointSlice
  metadata: {name: web-6, namespace: default, labels: {kubernetes.io/service-name: web}}
  addressType: IPv6
  endpoints:
  - {addresses: ["2001:db8:1::5"], nodeName: node-a}
  - {addresses: ["2001:db8:2::6"], nodeName: node-b}
  ports: [{name: http, port: 8080}]
"#;

fn node(layout: Layout) -> TestNode {
    let mut node = TestNode::of(CLUSTER, layout);
    let link = "eth0".parse().unwrap();
    let address = "2001:db8:10::10/64".parse().unwrap();
    node.host.links.insert(link, address);
    let pods = ["10.244.0.0/16", "2001:db8:0::/46"].map(|network| network.parse().unwrap());
    node.config.detect_local = DetectLocal::ClusterCidr(pods.into());
    node.program();
    node
}

#[test]
fn each_family_has_its_own_answer() {
    for layout in LAYOUTS {
        let node = node(layout);
        let explanation = node.ask("[fd00:10::a]:80");
        let text = explanation.to_string();
        let line = "default/web:http is served at [fd00:10::a]:80/tcp by [2001:db8:1::5]:8080, [2001:db8:2::6]:8080";
        assert_eq!(text.lines().next(), Some(line), "{layout:?}: {text}");
        let [port] = &explanation.ports[..] else {
            panic!("one port: {text}")
        };
        let parts: Vec<_> = port.frontends.iter().flat_map(|at| &at.parts).collect();
        assert!(
            parts.iter().all(|part| part.state == PartState::Present),
            "{layout:?}: {text}"
        );
        // The other family has no endpoint.
        let cause = node.cause("10.0.0.10:80");
        let start = "default/web:http has no endpoint";
        assert!(cause.starts_with(start), "{layout:?}: {cause}");
        assert!(
            node.ask("[2001:db8:10::10]:30080").is_served(),
            "{layout:?}"
        );
    }
}

#[test]
fn source_ranges_are_those_of_the_family() {
    for layout in LAYOUTS {
        let node = node(layout);
        let of = |client: &str| {
            let question: proxier::explain::Question = "[2001:db8:203::5]:80".parse().unwrap();
            node.answer(&question.from_client(client.parse().unwrap()))
        };
        assert!(of("2001:db8:77::1").is_served(), "{layout:?}");
        let refused = of("2001:db8:78::1").to_string();
        assert!(
            refused.contains("2001:db8:77::/64"),
            "{layout:?}: {refused}"
        );
        assert!(!of("2001:db8:78::1").is_served(), "{layout:?}");
    }
}

#[test]
fn what_is_missing_is_named_as_its_tool_does() {
    for layout in [Layout::Current, Layout::Classic, Layout::Iptables] {
        let mut node = node(layout);
        let table = node.observed.rules.v6.table_mut(&TableName::Nat).unwrap();
        let jump = table.chain_mut("PREROUTING").unwrap();
        jump.rules = Vec::new().into();
        let cause = node.cause("[fd00:10::a]:80");
        let start = "default/web:http lacks rules of ip6tables: ip6tables -t nat -A PREROUTING";
        assert!(cause.starts_with(start), "{layout:?}: {cause}");
    }
    for layout in [Layout::Current, Layout::Classic] {
        let mut node = node(layout);
        let name = "KUBE-6-CLUSTER-IP".parse().unwrap();
        node.observed.sets.get_mut(&name).unwrap().entries.clear();
        let cause = node.cause("[fd00:10::a]:80");
        let start = "default/web:http lacks set members for [fd00:10::a]:80/tcp: add KUBE-6-CLUSTER-IP fd00:10::a,tcp:80";
        assert!(cause.starts_with(start), "{layout:?}: {cause}");
    }
    let mut node = node(Layout::Nftables);
    node.observed.tables.v6 = None;
    let cause = node.cause("[fd00:10::a]:80");
    let start =
        "default/web:http depends on the table ip6 kube-proxier of nf_tables, which is missing";
    assert!(cause.starts_with(start), "{cause}");
}

#[test]
fn a_virtual_server_that_is_missing() {
    for layout in [Layout::Current, Layout::Classic, Layout::Nftables] {
        let mut node = node(layout);
        let id = "-t [fd00:10::a]:80".parse().unwrap();
        node.observed.servers.retain(|server| server.id != id);
        let cause = node.cause("[fd00:10::a]:80");
        let start = "default/web:http has no virtual server [fd00:10::a]:80/tcp in the kernel: ";
        assert!(cause.starts_with(start), "{layout:?}: {cause}");
    }
}
