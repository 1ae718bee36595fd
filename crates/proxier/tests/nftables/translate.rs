//! What becomes of each kind of Service.

use proxier::cluster::Family;
use proxier::nftables::{Element, Kind};
use proxier::{DetectLocal, Holder, NodePortAddresses, nftables};

use super::outside::{OUTSIDE, with_balancer};
use super::{cluster, config, endpoints, host, of, service, shown};

pub(super) const HTTP: &str = "ports: [{name: http, port: 80}]";
pub(super) const TARGET: &str = "{name: http, port: 8080}";
pub(super) const NODE: &str = "node-addresses 192.168.10.10";

#[test]
fn a_cluster_ip_is_one_virtual_server_and_one_element() {
    let found = of(&format!(
        "{}{}",
        service(HTTP),
        endpoints(&["10.244.0.1", "10.244.0.2"], TARGET)
    ));
    let expected = [
        "-A -t 10.0.0.7:80 -s rr -b flag-3",
        "  -r 10.244.0.1:8080",
        "  -r 10.244.0.2:8080",
        "hairpin 10.244.0.1 . 10.244.0.1",
        "cluster-ips 10.0.0.7",
        NODE,
        "services 10.0.0.7 . tcp . 80",
    ];
    assert_eq!(found, expected);
}

/// IPVS refuses what comes to a virtual server without destinations.
#[test]
fn without_endpoints_there_is_a_virtual_server_that_refuses() {
    for policy in ["", ", internalTrafficPolicy: Local"] {
        let found = of(&service(&format!("{HTTP}{policy}")));
        let expected = [
            "-A -t 10.0.0.7:80 -s rr -b flag-3",
            "refused 10.0.0.7 . tcp . 80",
            "cluster-ips 10.0.0.7",
            NODE,
            "services 10.0.0.7 . tcp . 80",
        ];
        assert_eq!(found, expected, "{policy}");
    }
}

#[test]
fn internal_policy_local_gets_this_nodes_endpoints_and_is_dropped_without_any() {
    let local = format!("{HTTP}, internalTrafficPolicy: Local");
    let of = |addresses: &[&str]| {
        let manifests = format!("{}{}", service(&local), endpoints(addresses, TARGET));
        of(&manifests)
            .into_iter()
            .filter(|line| !line.starts_with("hairpin") && line != NODE)
            .collect::<Vec<_>>()
    };
    let expected = [
        "-A -t 10.0.0.7:80 -s rr -b flag-3",
        "  -r 10.244.0.1:8080",
        "cluster-ips 10.0.0.7",
        "services 10.0.0.7 . tcp . 80",
    ];
    assert_eq!(of(&["10.244.0.1", "10.244.0.2"]), expected);
    let expected = [
        "-A -t 10.0.0.7:80 -s rr -b flag-3",
        "cluster-ips 10.0.0.7",
        "dropped 10.0.0.7 . tcp . 80",
    ];
    assert_eq!(of(&["10.244.0.2"]), expected);
}

#[test]
fn sctp_and_udp_are_like_tcp() {
    let ports = "type: NodePort, ports: [{name: a, port: 53, protocol: UDP, nodePort: 30053}, \
                 {name: b, port: 9, protocol: SCTP, nodePort: 30009}]";
    let found = of(&service(ports));
    let expected = [
        "-A -u 10.0.0.7:53 -s rr -b flag-3",
        "-A -u 192.168.10.10:30053 -s rr -b flag-3",
        "-A --sctp-service 10.0.0.7:9 -s rr -b flag-3",
        "-A --sctp-service 192.168.10.10:30009 -s rr -b flag-3",
        "cluster-ips 10.0.0.7",
        NODE,
        "services 10.0.0.7 . udp . 53",
        "services 10.0.0.7 . sctp . 9",
        "node-ports udp . 30053",
        "node-ports sctp . 30009",
        "refused 10.0.0.7 . udp . 53",
        "refused 10.0.0.7 . sctp . 9",
    ];
    let mut found: Vec<_> = found.iter().map(String::as_str).collect();
    let mut expected = expected.to_vec();
    found.sort_unstable();
    expected.sort_unstable();
    assert_eq!(found, expected);
}

#[test]
fn each_family_has_its_own_table_and_routing() {
    let manifests = "
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {clusterIPs: [10.0.0.7, 'fd00::7'], ports: [{port: 80}]}
";
    let desired = proxier::translate(&cluster(manifests), &host(), &config());
    let v6 = [
        "-A -t [fd00::7]:80 -s rr -b flag-3",
        "refused fd00::7 . tcp . 80",
        "cluster-ips fd00::7",
        "node-addresses 2001:db8:10::10",
        "services fd00::7 . tcp . 80",
    ];
    assert_eq!(shown(&desired, Family::V6), v6);
    assert_eq!(shown(&desired, Family::V4).len(), 5);
    let rules: Vec<_> = desired
        .routing
        .rules
        .iter()
        .map(ToString::to_string)
        .collect();
    let rule = [
        "priority 77 iif lo fwmark 0x2000/0x2000 table main protocol 77",
        "priority 78 fwmark 0x2000/0x2000 table 8192 protocol 77",
    ];
    assert_eq!(rules, [rule, rule].concat());
    let routes: Vec<_> = desired
        .routing
        .routes
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        routes,
        [
            "local 0.0.0.0/0 table 8192 proto 77",
            "local ::/0 table 8192 proto 77"
        ]
    );
    assert!(!desired.link && desired.addresses.is_empty());
    assert!(desired.families.v4.is_none() && desired.families.v6.is_none());

    let mut host = host();
    host.ipv6 = false;
    let v4 = proxier::translate(&cluster(manifests), &host, &config());
    assert!(v4.tables.v6.is_none() && v4.tables.v4.is_some());
    assert_eq!(v4.routing.rules.len(), 2);
}

#[test]
fn only_the_api_servers_own_port_is_refused() {
    let spec = "type: LoadBalancer, ports: [{name: a, port: 6443, nodePort: 30001}, \
                {name: b, port: 80, nodePort: 30002}], externalIPs: [203.0.113.7]";
    let with_nodes = format!(
        "{}
---
apiVersion: v1
kind: Node
metadata: {{name: node-b}}
status: {{addresses: [{{type: InternalIP, address: 203.0.113.7}}]}}
",
        service(spec)
    );
    let mut host = host();
    let at = ["203.0.113.7:6443", "192.168.10.10:30001"];
    host.api_servers = at.map(|at| at.parse().unwrap()).into();
    let desired = proxier::translate(&cluster(&with_nodes), &host, &config());
    let refused: Vec<_> = desired
        .conflicts
        .iter()
        .map(|conflict| (conflict.server.to_string(), conflict.holder.clone()))
        .collect();
    let expected = [
        ("-t 192.168.10.10:30001".to_owned(), Holder::ApiServer),
        ("-t 203.0.113.7:6443".to_owned(), Holder::ApiServer),
    ];
    assert_eq!(refused, expected);
    let lines = shown(&desired, Family::V4);
    assert!(lines.contains(&"external 203.0.113.7 . tcp . 80".to_owned()));
    assert!(lines.contains(&"node-ports tcp . 30002".to_owned()));
    let unreachable =
        |line: &String| line.contains("203.0.113.7 . tcp . 6443") || line.contains("30001");
    assert!(!lines.iter().any(unreachable), "{lines:#?}");
}

#[test]
fn chains_and_rules_depend_on_options_alone() {
    let mut config = config();
    config.masquerade_bit = 20;
    config.masquerade_all = true;
    config.nftables.route_mark = 0x40;
    config.nftables.service_marks = 0x3f;
    config.detect_local = DetectLocal::InterfaceNamePrefix("veth".into());
    config.node_port_addresses = NodePortAddresses::Within(vec!["10.0.0.0/8".parse().unwrap()]);
    let empty = proxier::translate(&cluster(""), &host(), &config);
    let manifests = with_balancer(&format!("{OUTSIDE}, externalTrafficPolicy: Local"));
    let full = proxier::translate(&cluster(&manifests), &host(), &config);
    let rules = |desired: &proxier::Desired| desired.tables.v4.clone().unwrap().rules;
    assert_eq!(rules(&empty), rules(&full));
    let rules = rules(&empty);
    assert_eq!(
        (rules.route_mark, rules.masquerade_mark, rules.service_marks),
        (0x40, 1 << 20, 0x3f)
    );
    assert!(rules.masquerade_all);
    assert_eq!(
        rules.local_source,
        Some(proxier::LocalSource::Interface("veth+".into()))
    );
    assert!(
        empty.tables.v4.unwrap().elements.is_empty(),
        "no address of the node is within"
    );
}

/// Two Services with one node port, of which each has a virtual server somewhere: the element is the same in whatever
/// order they come.
#[test]
fn the_least_element_of_a_key_counts() {
    let at = nftables::NodePort {
        protocol: ipvs_netlink::Protocol::TCP,
        port: 30_080,
    };
    assert!(Element::NodePort(at, Kind::NodePort) < Element::NodePort(at, Kind::NodePortLocal));
    assert_eq!(
        Element::NodePort(at, Kind::NodePort).key(),
        Element::NodePort(at, Kind::NodePortLocal).key()
    );
}

/// Virtual servers by mark come after the addresses of both families.
#[test]
fn virtual_servers_are_sorted_whatever_their_families() {
    let manifests = "
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {clusterIPs: [10.0.0.7, 'fd00::7'], type: NodePort, externalTrafficPolicy: Local, ports: [{port: 80, nodePort: 30080}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-1, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
ports: [{port: 8080}]
endpoints: [{addresses: [10.244.0.1], nodeName: node-a}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-2, labels: {kubernetes.io/service-name: web}}
addressType: IPv6
ports: [{port: 8080}]
endpoints: [{addresses: ['fd00:2::1'], nodeName: node-a}]
";
    let desired = proxier::translate(&cluster(manifests), &host(), &config());
    let ids: Vec<_> = desired
        .servers
        .iter()
        .map(|server| server.id.to_string())
        .collect();
    assert_eq!(
        ids.iter().filter(|id| id.starts_with("-f")).count(),
        2,
        "{ids:?}"
    );
    assert!(
        desired.servers.is_sorted_by_key(|server| server.id),
        "{ids:?}"
    );
}
