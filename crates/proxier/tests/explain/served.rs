//! What is said of a node that works.

use proxier::Layout;
use proxier::explain::{Origin, Outcome, PartState, Step};

use super::{LAYOUTS, TestNode};

/// The paths of a question's only frontend, by origin.
fn outcomes(node: &TestNode, question: &str) -> Vec<(Origin, Outcome)> {
    let explanation = node.ask(question);
    let [port] = &explanation.ports[..] else {
        panic!("one port: {explanation}")
    };
    let [frontend] = &port.frontends[..] else {
        panic!("one frontend: {explanation}")
    };
    let paths = frontend.paths.iter();
    paths.map(|path| (path.from, path.outcome)).collect()
}

#[test]
fn what_is_served_is_named_with_its_endpoints() {
    for layout in LAYOUTS {
        let node = TestNode::new(layout);
        for (question, line) in [
            (
                "10.0.0.10:80",
                "default/web:http is served at 10.0.0.10:80/tcp by 10.244.1.5:8080, 10.244.2.6:8080",
            ),
            (
                "10.0.0.53:53/udp",
                "kube-system/dns:dns is served at 10.0.0.53:53/udp by 10.244.1.9:53",
            ),
            (
                "192.168.10.10:30080",
                "default/web:http is served at 192.168.10.10:30080/tcp by 10.244.1.5:8080, 10.244.2.6:8080",
            ),
            (
                "203.0.113.5:80",
                "default/web:http is served at 203.0.113.5:80/tcp by 10.244.1.5:8080, 10.244.2.6:8080; \
                 203.0.113.5:80/tcp only for clients in 198.51.100.0/24, 192.168.10.0/24",
            ),
            (
                "default/web:80",
                "default/web:http is served at 10.0.0.10:80/tcp, 203.0.113.7:80/tcp, 203.0.113.5:80/tcp, \
                 192.168.10.10:30080/tcp by 10.244.1.5:8080, 10.244.2.6:8080; 203.0.113.5:80/tcp only for clients in \
                 198.51.100.0/24, 192.168.10.0/24",
            ),
        ] {
            let explanation = node.ask(question);
            let text = explanation.to_string();
            assert!(explanation.is_served(), "{layout:?}: {text}");
            let line = match layout {
                // These serve node ports at the loopback address too.
                Layout::Classic | Layout::Iptables => line.replace(
                    "203.0.113.5:80/tcp, 192",
                    "203.0.113.5:80/tcp, 127.0.0.1:30080/tcp, 192",
                ),
                _ => line.to_owned(),
            };
            assert_eq!(text.lines().next(), Some(&*line), "{layout:?}");
            let ports = explanation.ports.iter();
            let of_ports = ports.flat_map(|port| {
                let parts = port.frontends.iter().flat_map(|frontend| &frontend.parts);
                port.parts.iter().chain(parts)
            });
            let parts: Vec<_> = of_ports.chain(&explanation.shared).collect();
            assert!(parts.len() > 3, "{layout:?}: {text}");
            assert!(
                parts.iter().all(|part| part.state == PartState::Present),
                "{layout:?}: {text}"
            );
        }
    }
}

#[test]
fn all_that_belongs_to_an_address_is_shown() {
    for (layout, parts) in [
        (
            Layout::Current,
            &[
                "ipvs       -A -t 10.0.0.10:80 -s rr",
                "ipvs       -a -t 10.0.0.10:80 -r 10.244.1.5:8080 -m -w 1",
                "address    10.0.0.10 dev kube-ipvs0",
                "ipset      add KUBE-CLUSTER-IP 10.0.0.10,tcp:80",
                "ipset      add KUBE-IPVS-IPS 10.0.0.10",
                "sysctl     net/ipv4/vs/conntrack = 1",
            ][..],
        ),
        (
            Layout::Nftables,
            &[
                "ipvs       -A -t 10.0.0.10:80 -s rr",
                "nft        element ip kube-proxier services { 10.0.0.10 . tcp . 80 }",
                "nft        table ip kube-proxier",
                "route      local 0.0.0.0/0",
            ],
        ),
        (
            Layout::Iptables,
            &[
                "-A KUBE-SERVICES -d 10.0.0.10/32 -p tcp",
                "-j DNAT --to-destination 10.244.1.5:8080",
            ],
        ),
    ] {
        let text = TestNode::new(layout).ask("10.0.0.10:80").to_string();
        for part in parts {
            assert!(text.contains(part), "{layout:?}: {part} in\n{text}");
        }
    }
}

#[test]
fn paths_end_where_packets_do() {
    use Outcome::{Dropped, Refused, Served, Unanswered};
    let all = |pod, node, outside| {
        vec![
            (Origin::Pod, pod),
            (Origin::Node, node),
            (Origin::Outside, outside),
        ]
    };
    for layout in LAYOUTS {
        let node = TestNode::new(layout);
        let served = all(Served, Served, Served);
        assert_eq!(outcomes(&node, "10.0.0.10:80"), served, "{layout:?}");
        assert_eq!(outcomes(&node, "192.168.10.10:30080"), served, "{layout:?}");
        // Pods are in none of the ranges, the node is in the second, and of clients outside nothing is known.
        let ranges = all(Dropped, Served, Served);
        assert_eq!(outcomes(&node, "203.0.113.5:80"), ranges, "{layout:?}");
        // Policy Local with endpoints on the other node.
        let local = match layout {
            Layout::Current => all(Served, Served, Unanswered),
            // One virtual server for all of them, without a destination.
            Layout::Classic => all(Refused, Refused, Refused),
            _ => all(Served, Served, Dropped),
        };
        assert_eq!(outcomes(&node, "192.168.10.10:30443"), local, "{layout:?}");
    }
}

#[test]
fn a_client_has_one_path() {
    for layout in LAYOUTS {
        let node = TestNode::new(layout);
        for (client, origin) in [
            ("10.244.1.77", Origin::Pod),
            ("192.168.10.10", Origin::Node),
            ("198.51.100.9", Origin::Outside),
        ] {
            let question: proxier::explain::Question = "10.0.0.10:80".parse().unwrap();
            let question = question.from_client(client.parse().unwrap());
            let explanation = node.answer(&question);
            let [path] = &explanation.ports[0].frontends[0].paths[..] else {
                panic!("one path: {explanation}")
            };
            assert_eq!(path.from, origin, "{layout:?}");
        }
    }
}

#[test]
fn masquerading_follows_the_rules_of_the_layout() {
    let masqueraded = |layout, question: &str| {
        let explanation = TestNode::new(layout).ask(question);
        let paths = explanation.ports[0].frontends[0].paths.clone();
        let masqueraded = paths
            .into_iter()
            .map(|path| path.steps.contains(&Step::Masquerade));
        masqueraded.collect::<Vec<_>>()
    };
    for layout in LAYOUTS {
        assert_eq!(
            masqueraded(layout, "10.0.0.10:80"),
            [false, true, true],
            "{layout:?}"
        );
        let all = [true, true, true];
        assert_eq!(
            masqueraded(layout, "192.168.10.10:30080"),
            all,
            "{layout:?}"
        );
        assert_eq!(masqueraded(layout, "203.0.113.7:80"), all, "{layout:?}");
    }
}
