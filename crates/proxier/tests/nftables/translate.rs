//! What becomes of each kind of Service.

use proxier::cluster::Family;
use proxier::nftables::{Element, Kind};
use proxier::{DetectLocal, Holder, NodePortAddresses, nftables};

use super::{cluster, config, endpoints, host, of, service, shown};

const HTTP: &str = "ports: [{name: http, port: 80}]";
const TARGET: &str = "{name: http, port: 8080}";
const NODE: &str = "node-addresses 192.168.10.10";

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

const OUTSIDE: &str = "type: LoadBalancer, ports: [{name: http, port: 80, nodePort: 30080}], \
                       externalIPs: [203.0.113.7]";

fn with_balancer(spec: &str) -> String {
    format!(
        "{}status: {{loadBalancer: {{ingress: [{{ip: 198.51.100.7}}]}}}}\n",
        service(spec)
    )
}

#[test]
fn outside_addresses_have_all_endpoints_where_the_policy_is_cluster() {
    let manifests = format!(
        "{}{}",
        with_balancer(OUTSIDE),
        endpoints(&["10.244.0.2"], TARGET)
    );
    let expected = [
        "-A -t 10.0.0.7:80 -s rr -b flag-3",
        "  -r 10.244.0.2:8080",
        "-A -t 192.168.10.10:30080 -s rr -b flag-3",
        "  -r 10.244.0.2:8080",
        "-A -t 198.51.100.7:80 -s rr -b flag-3",
        "  -r 10.244.0.2:8080",
        "-A -t 203.0.113.7:80 -s rr -b flag-3",
        "  -r 10.244.0.2:8080",
        "cluster-ips 10.0.0.7",
        NODE,
        "services 10.0.0.7 . tcp . 80",
        "external 198.51.100.7 . tcp . 80",
        "external 203.0.113.7 . tcp . 80",
        "node-ports tcp . 30080",
    ];
    assert_eq!(of(&manifests), expected);
}

/// The mark of `default/web:80/tcp` is the one that `marks_depend_on_names_alone` has.
#[test]
fn a_split_policy_has_one_more_virtual_server_by_mark() {
    let spec = format!("{OUTSIDE}, externalTrafficPolicy: Local");
    let manifests =
        |addresses: &[&str]| format!("{}{}", with_balancer(&spec), endpoints(addresses, TARGET));
    let expected = [
        "-A -t 10.0.0.7:80 -s rr -b flag-3",
        "  -r 10.244.0.1:8080",
        "  -r 10.244.0.2:8080",
        "-A -t 192.168.10.10:30080 -s rr -b flag-3",
        "  -r 10.244.0.1:8080",
        "  -r 10.244.0.2:8080",
        "-A -t 198.51.100.7:80 -s rr -b flag-3",
        "  -r 10.244.0.1:8080",
        "  -r 10.244.0.2:8080",
        "-A -t 203.0.113.7:80 -s rr -b flag-3",
        "  -r 10.244.0.1:8080",
        "  -r 10.244.0.2:8080",
        "-A -f 4189 -s rr -b flag-3",
        "  -r 10.244.0.1:8080",
        "hairpin 10.244.0.1 . 10.244.0.1",
        "cluster-ips 10.0.0.7",
        NODE,
        "service-marks 198.51.100.7 . tcp . 80 : 0x0000105d",
        "service-marks 203.0.113.7 . tcp . 80 : 0x0000105d",
        "node-port-marks tcp . 30080 : 0x0000105d",
        "services 10.0.0.7 . tcp . 80",
        "external-local 198.51.100.7 . tcp . 80",
        "external-local 203.0.113.7 . tcp . 80",
        "node-ports-local tcp . 30080",
    ];
    assert_eq!(of(&manifests(&["10.244.0.1", "10.244.0.2"])), expected);

    // No endpoint here: from outside it is dropped for want of a mark; pods and the node get all endpoints.
    let elsewhere = of(&manifests(&["10.244.0.2"]));
    let kept: Vec<_> = expected
        .into_iter()
        .filter(|line| {
            let of_mark = line.contains("0000105d") || line.contains("-f 4189");
            !of_mark && !line.contains("10.244.0.1")
        })
        .collect();
    assert_eq!(elsewhere, kept);

    // None anywhere: refused rather than dropped.
    let nowhere = of(&manifests(&[]));
    assert!(nowhere.contains(&"external 203.0.113.7 . tcp . 80".to_owned()));
    assert!(nowhere.contains(&"node-ports tcp . 30080".to_owned()));
    assert!(!nowhere.iter().any(|line| line.contains("-f ")));
}

/// While an endpoint of this node shuts down, the virtual server by mark stays for what is open, and nothing new gets its mark.
#[test]
fn endpoints_that_shut_down_here_keep_the_virtual_server_by_mark() {
    let spec = format!("{OUTSIDE}, externalTrafficPolicy: Local");
    let terminating = "conditions: {ready: false, serving: false, terminating: true}";
    let node = "nodeName: node-a";
    for addresses in [&["10.244.0.1", "10.244.0.2"][..], &["10.244.0.1"]] {
        let slice = endpoints(addresses, TARGET);
        let manifests = |slice: &str| format!("{}{slice}", with_balancer(&spec));
        let shown = of(&manifests(
            &slice.replace(node, &format!("{node}, {terminating}")),
        ));
        let mark = shown
            .iter()
            .position(|line| line.contains("-f 4189"))
            .unwrap();
        assert!(!shown[mark + 1].contains("-r"), "{shown:#?}");
        assert!(!shown.iter().any(|line| line.contains("0000105d")));
        // Of another node it would be gone.
        let elsewhere = slice.replace(node, &format!("nodeName: node-b, {terminating}"));
        assert!(
            !of(&manifests(&elsewhere))
                .iter()
                .any(|line| line.contains("-f "))
        );
    }
}

#[test]
fn affinity_is_persistence_and_by_mark_the_scheduler_sh() {
    let spec = format!(
        "{OUTSIDE}, externalTrafficPolicy: Local, sessionAffinity: ClientIP, \
         sessionAffinityConfig: {{clientIP: {{timeoutSeconds: 600}}}}"
    );
    let found = of(&format!(
        "{}{}",
        service(&spec),
        endpoints(&["10.244.0.1"], TARGET)
    ));
    let servers: Vec<_> = found.iter().filter(|line| line.starts_with("-A")).collect();
    let expected = [
        "-A -t 10.0.0.7:80 -s rr -p 600 -b flag-3",
        "-A -t 192.168.10.10:30080 -s rr -p 600 -b flag-3",
        "-A -t 203.0.113.7:80 -s rr -p 600 -b flag-3",
        "-A -f 4189 -s sh -b flag-3",
    ];
    assert_eq!(servers, expected);
}

#[test]
fn source_ranges_are_those_of_the_family_without_overlap() {
    let ranges = "loadBalancerSourceRanges: [10.0.0.0/8, 10.1.0.0/16, 192.0.2.7/32, fd00::/8]";
    let lines = |ranges: &str| {
        let found = of(&with_balancer(&format!(
            "type: LoadBalancer, {HTTP}, {ranges}"
        )));
        found
            .into_iter()
            .filter(|line| line.starts_with("source-ranges") || line.starts_with("firewalled"))
            .collect::<Vec<_>>()
    };
    let expected = [
        "source-ranges 198.51.100.7 . tcp . 80 . 10.0.0.0/8",
        "source-ranges 198.51.100.7 . tcp . 80 . 192.0.2.7/32",
        "firewalled 198.51.100.7 . tcp . 80",
    ];
    assert_eq!(lines(ranges), expected);
    let everybody = "loadBalancerSourceRanges: [10.0.0.0/8, 0.0.0.0/0]";
    assert_eq!(lines(everybody), [""; 0]);
    assert_eq!(lines("externalIPs: [203.0.113.7]"), [""; 0]);
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
fn without_a_mark_a_service_is_served_cluster_wide_and_reported() {
    let manifests = [crate::split("a", 0, 9), crate::split("b", 1, 8)].concat();
    let mut config = config();
    config.nftables.service_marks = 0x1;
    let desired = proxier::translate(&cluster(&manifests), &host(), &config);
    let lines = shown(&desired, Family::V4);
    // The older one has the only mark.
    assert!(lines.contains(&"node-ports-local tcp . 30081".to_owned()));
    assert!(lines.contains(&"node-port-marks tcp . 30081 : 0x00000001".to_owned()));
    assert!(lines.contains(&"node-ports tcp . 30080".to_owned()));
    let conflicts: Vec<_> = desired.conflicts.iter().map(ToString::to_string).collect();
    assert_eq!(
        conflicts,
        [
            "Service default/a, port \"\", has all its endpoints at -t 192.168.10.10:30080, not only those on this \
             node as externalTrafficPolicy asks for: no firewall mark is left, give the mask of Services' marks more bits"
        ]
    );
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
