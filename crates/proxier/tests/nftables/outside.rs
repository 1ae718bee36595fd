//! What becomes of addresses that clients outside of the cluster use.

use proxier::cluster::Family;

use super::translate::{HTTP, NODE, TARGET};
use super::{cluster, config, endpoints, host, of, service, shown, split};

pub(super) const OUTSIDE: &str = "type: LoadBalancer, ports: [{name: http, port: 80, nodePort: 30080}], \
                       externalIPs: [203.0.113.7]";

pub(super) fn with_balancer(spec: &str) -> String {
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
fn without_a_mark_a_service_is_served_cluster_wide_and_reported() {
    let manifests = [split("a", 0, 9), split("b", 1, 8)].concat();
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
