//! Clusters in which something is not served: the first line names the cause.

use proxier::Layout;
use proxier::explain::{Cause, Question};

use super::{LAYOUTS, TestNode, first_line};

#[test]
fn no_endpoint() {
    for layout in LAYOUTS {
        for (what, instead, cause) in [
            (
                "kubernetes.io/service-name: web}",
                "kubernetes.io/service-name: elsewhere}",
                "default/web:http has no endpoint: no IPv4 EndpointSlice belongs to it",
            ),
            (
                "nodeName: node-a}\n  - {addresses: [10.244.2.6], nodeName: node-b}\n  ports: [{name: http",
                "conditions: {ready: false}}\n  ports: [{name: http",
                "default/web:http has no endpoint that is ready (1 are not)",
            ),
            (
                "endpoints:\n  - {addresses: [10.244.1.5], nodeName: node-a}\n  - {addresses: [10.244.2.6], nodeName: node-b}\n",
                "endpoints: []\n",
                "default/web:http has no endpoint: its EndpointSlices are empty",
            ),
        ] {
            let node = TestNode::with(layout, what, instead);
            for question in ["10.0.0.10:80", "default/web"] {
                let found = node.cause(question);
                assert!(found.starts_with(cause), "{layout:?}: {found}");
            }
        }
    }
}

#[test]
fn a_port_of_another_name() {
    for layout in LAYOUTS {
        let node = TestNode::with(
            layout,
            "ports: [{name: http, port: 8080}]",
            "ports: [{name: www, port: 8080}]",
        );
        let cause = node.cause("10.0.0.10:80");
        let start = "default/web:http has no endpoint: no EndpointSlice has a port \"http\" for tcp, default/web-1 has \
                     \"www\" (8080/tcp)";
        assert!(cause.starts_with(start), "{layout:?}: {cause}");
    }
}

#[test]
fn policy_local_without_an_endpoint_here() {
    for layout in LAYOUTS {
        let node = TestNode::new(layout);
        for question in ["192.168.10.10:30443", "default/local"] {
            let cause = node.cause(question);
            let start = "default/local has no endpoint on this node and externalTrafficPolicy Local (1 on other nodes): ";
            let rest = cause.strip_prefix(start);
            let told = match (layout, question) {
                (Layout::Classic, "default/local") => "127.0.0.1:30443/tcp is not served here",
                (Layout::Classic, _) => "192.168.10.10:30443/tcp is not served here",
                _ => "what comes from outside to 192.168.10.10:30443/tcp is not served here",
            };
            let told = rest.is_some_and(|rest| rest.starts_with(told));
            assert!(told, "{layout:?}: {cause}");
        }
        // A pod of this node is served all the same, but by the virtual server of the first ipvs proxies.
        let question: Question = "192.168.10.10:30443".parse().unwrap();
        let question = question.from_client("10.244.1.7".parse().unwrap());
        let served = node.answer(&question).is_served();
        assert_eq!(served, layout != Layout::Classic, "{layout:?}");
        let node = TestNode::with(
            layout,
            "externalTrafficPolicy: Local",
            "internalTrafficPolicy: Local",
        );
        let explanation = node.ask("10.0.0.20:8443");
        match layout {
            // Falls back to endpoints elsewhere, as kube-proxy's ipvs mode does.
            Layout::Current | Layout::Classic => {
                assert!(explanation.is_served(), "{layout:?}: {explanation}");
            }
            _ => {
                let cause = first_line(&explanation);
                let start =
                    "default/local has no endpoint on this node and internalTrafficPolicy Local";
                assert!(cause.starts_with(start), "{layout:?}: {cause}");
            }
        }
    }
}

#[test]
fn source_ranges_that_leave_the_client_out() {
    for layout in LAYOUTS {
        let node = TestNode::new(layout);
        let question: Question = "203.0.113.5:80".parse().unwrap();
        let from = |client: &str| question.clone().from_client(client.parse().unwrap());
        assert!(node.answer(&from("198.51.100.9")).is_served(), "{layout:?}");
        let cause = first_line(&node.answer(&from("192.0.2.1")));
        let start = "default/web:http drops what 192.0.2.1 sends to 203.0.113.5:80/tcp: loadBalancerSourceRanges are \
                     198.51.100.0/24, 192.168.10.0/24";
        assert!(cause.starts_with(start), "{layout:?}: {cause}");
        // They concern the load balancer's address alone.
        let question: Question = "10.0.0.10:80".parse().unwrap();
        let question = question.from_client("192.0.2.1".parse().unwrap());
        assert!(node.answer(&question).is_served(), "{layout:?}");
    }
}

#[test]
fn another_service_that_has_the_address() {
    let younger = r#"
- apiVersion: v1
  kind: Service
  metadata: {name: rival, namespace: default, creationTimestamp: "2024-02-01T00:00:00Z"}
  spec:
    clusterIP: 10.0.0.30
    externalIPs: [203.0.113.7]
    ports: [{name: http, port: 80}]
- apiVersion: discovery.k8s.io/v1
  kind: EndpointSlice
  metadata: {name: rival-1, namespace: default, labels: {kubernetes.io/service-name: rival}}
  addressType: IPv4
  endpoints: [{addresses: [10.244.1.44], nodeName: node-a}]
  ports: [{name: http, port: 80}]
"#;
    let cluster = [super::CLUSTER.trim_end(), younger].concat();
    for layout in LAYOUTS {
        let node = TestNode::of(&cluster, layout);
        let cause = "Service default/rival, port \"http\", does not get -t 203.0.113.7:80: the older Service default/web has \
                     it";
        for question in ["default/rival", "203.0.113.7:80"] {
            let explanation = node.ask(question);
            let found = first_line(&explanation);
            assert!(found.starts_with(cause), "{layout:?}: {found}");
        }
        let explanation = node.ask("203.0.113.7:80");
        let names: Vec<_> = explanation
            .ports
            .iter()
            .map(|port| port.service.name())
            .collect();
        assert_eq!(names, ["web", "rival"], "the one that has it comes first");
        assert!(node.ask("10.0.0.30:80").is_served(), "{layout:?}");
    }
}

#[test]
fn an_address_that_nobody_has() {
    for layout in LAYOUTS {
        let node = TestNode::new(layout);
        for (question, cause) in [
            (
                "10.0.0.10:81",
                "no Service has 10.0.0.10:81/tcp; the nearest: 10.0.0.10:80/tcp (default/web)",
            ),
            (
                "10.0.0.53:53",
                "no Service has 10.0.0.53:53/tcp; the nearest: 10.0.0.53:53/udp (kube-system/dns)",
            ),
            (
                "10.9.9.9:8443",
                "no Service has 10.9.9.9:8443/tcp; the nearest: 10.0.0.20:8443/tcp (default/local)",
            ),
            (
                "192.168.10.10:30081",
                "no Service has 192.168.10.10:30081/tcp; the nearest: 192.168.10.10:30080/tcp (default/web), \
                 192.168.10.10:30443/tcp (default/local)",
            ),
            ("10.9.9.9:9", "no Service has 10.9.9.9:9/tcp"),
            ("[fd00::1]:53/udp", "no Service has [fd00::1]:53/udp"),
        ] {
            let explanation = node.ask(question);
            assert_eq!(first_line(&explanation), cause, "{layout:?}");
            assert!(explanation.ports.is_empty());
        }
    }
}

#[test]
fn names_that_are_none_of_a_service_that_is_proxied() {
    let others = r#"
- {apiVersion: v1, kind: Service, metadata: {name: headless}, spec: {clusterIP: None, ports: [{port: 80}]}}
- {apiVersion: v1, kind: Service, metadata: {name: outside}, spec: {type: ExternalName, externalName: example.org}}
"#;
    let node = TestNode::of(
        &[super::CLUSTER.trim_end(), others].concat(),
        Layout::Current,
    );
    for (question, cause) in [
        (
            "other/web",
            "other/web is not a Service of the cluster; the nearest: default/web",
        ),
        (
            "default/we",
            "default/we is not a Service of the cluster; the nearest: default/web",
        ),
        (
            "default/web:https",
            "default/web has no port https; it has http (80)",
        ),
        (
            "default/headless",
            "default/headless is not proxied: it is headless",
        ),
        (
            "default/outside",
            "default/outside is not proxied: its type is ExternalName",
        ),
    ] {
        let cause_found = node.cause(question);
        assert!(cause_found.starts_with(cause), "{cause_found}");
    }
}

#[test]
fn an_api_server_that_is_away() {
    use proxier::explain::{Evidence, explain};
    let node = TestNode::new(Layout::Current);
    let evidence = Evidence::new(&node.cluster, &node.host, &node.config, &node.observed);
    let evidence = evidence.with_api_away("connection refused");
    let explanation = explain(&evidence, &"10.0.0.10:80".parse().unwrap());
    let cause = first_line(&explanation);
    assert!(
        cause.starts_with("the API server does not answer (connection refused)"),
        "{cause}"
    );
    assert!(matches!(explanation.findings[0].cause, Cause::ApiAway(_)));
}
