//! Nodes whose kernel does not hold what it should: the first line names the cause.

use proxier::explain::Question;
use proxier::iptables_restore::{Ruleset, TableName};
use proxier::{LINK, Layout};

use super::{LAYOUTS, TestNode, first_line};

const IPVS: [Layout; 3] = [Layout::Current, Layout::Classic, Layout::Nftables];

#[test]
fn a_virtual_server_that_is_missing() {
    for layout in IPVS {
        let mut node = TestNode::new(layout);
        let id = "-t 10.0.0.10:80".parse().unwrap();
        node.observed.servers.retain(|server| server.id != id);
        for question in ["10.0.0.10:80", "default/web", "default/web:http"] {
            let cause = node.cause(question);
            let start = "default/web:http has no virtual server 10.0.0.10:80/tcp in the kernel: ";
            assert!(cause.starts_with(start), "{layout:?}: {cause}");
            assert!(cause.contains("kube-proxier doctor"), "{cause}");
        }
        assert!(node.ask("203.0.113.7:80").is_served());
    }
}

#[test]
fn destinations_that_all_have_weight_0() {
    for layout in IPVS {
        let mut node = TestNode::new(layout);
        let id = "-t 10.0.0.10:80".parse().unwrap();
        let mut servers = node.observed.servers.iter_mut();
        let server = servers.find(|server| server.id == id).unwrap();
        for destination in &mut server.destinations {
            destination.destination.config.weight = 0;
        }
        let cause = node.cause("10.0.0.10:80");
        let start = "default/web:http takes no new connections: all destinations of the virtual server \
                     10.0.0.10:80/tcp have weight 0 (10.244.1.5:8080, 10.244.2.6:8080)";
        assert!(cause.starts_with(start), "{layout:?}: {cause}");
    }
}

#[test]
fn destinations_that_are_missing() {
    for layout in IPVS {
        let mut node = TestNode::new(layout);
        let id = "-t 10.0.0.10:80".parse().unwrap();
        let mut servers = node.observed.servers.iter_mut();
        let server = servers.find(|server| server.id == id).unwrap();
        server.destinations.pop();
        let explanation = node.ask("10.0.0.10:80");
        let cause = first_line(&explanation);
        let part = "missing: -a -t 10.0.0.10:80 -r 10.244.2.6:8080";
        assert!(cause.contains(part), "{layout:?}: {cause}");
        let mut servers = node.observed.servers.iter_mut();
        let server = servers.find(|server| server.id == id).unwrap();
        server.destinations.clear();
        let cause = node.cause("10.0.0.10:80");
        let start = "default/web:http has no destination in the virtual server 10.0.0.10:80/tcp, which should have 2";
        assert!(cause.starts_with(start), "{layout:?}: {cause}");
    }
}

#[test]
fn an_address_that_is_not_bound() {
    let mut node = TestNode::new(Layout::Current);
    let address: std::net::IpAddr = "10.0.0.10".parse().unwrap();
    let bound = node.observed.addresses.as_mut().unwrap();
    bound.retain(|bound| bound.ip() != address);
    let cause = node.cause("10.0.0.10:80");
    let start = "default/web:http has the address 10.0.0.10, which is not on kube-ipvs0: packets to 10.0.0.10:80/tcp are \
                 routed away";
    assert!(cause.starts_with(start), "{cause}");
    node.observed.addresses = None;
    let cause = node.cause("10.0.0.10:80");
    assert!(cause.contains("there is no link kube-ipvs0"), "{cause}");
}

#[test]
fn an_address_on_another_link() {
    let mut node = TestNode::new(Layout::Current);
    let link = "eth1".parse().unwrap();
    node.host
        .links
        .insert(link, "10.0.0.10/32".parse().unwrap());
    // The proxy has seen it, and bound it no more.
    node.program();
    let cause = node.cause("10.0.0.10:80");
    let start = "default/web:http has the cluster IP 10.0.0.10, which is on link eth1 and so not on kube-ipvs0";
    assert!(cause.starts_with(start), "{cause}");
    assert!(
        cause.contains("ip address del 10.0.0.10 dev eth1"),
        "{cause}"
    );
    assert_ne!(link.as_str(), LINK);
}

#[test]
fn rules_that_were_flushed() {
    for layout in [Layout::Current, Layout::Classic, Layout::Iptables] {
        let mut node = TestNode::new(layout);
        // As `iptables -t nat -F PREROUTING` does.
        let nat = TableName::Nat;
        let table = node.observed.rules.v4.table_mut(&nat).unwrap();
        let jump = table.chain_mut("PREROUTING").unwrap();
        jump.rules = Vec::new().into();
        let cause = node.cause("10.0.0.10:80");
        let start = "default/web:http lacks rules of iptables: iptables -t nat -A PREROUTING";
        assert!(cause.starts_with(start), "{layout:?}: {cause}");
        assert!(
            cause.contains("-j KUBE-SERVICES is missing"),
            "{layout:?}: {cause}"
        );
        let table = node.observed.rules.v4.table_mut(&nat).unwrap();
        table.chains.retain(|chain| chain.name != "KUBE-SERVICES");
        let cause = node.cause("10.0.0.10:80");
        assert!(cause.starts_with(start), "{layout:?}: {cause}");
        assert!(cause.contains(" and "), "{layout:?}: {cause}");
        // All of the node's tables.
        node.observed.rules.v4 = Ruleset::new();
        let cause = node.cause("default/web");
        assert!(
            cause.contains("lacks rules of iptables"),
            "{layout:?}: {cause}"
        );
    }
    let mut node = TestNode::new(Layout::Nftables);
    node.observed.tables.v4 = None;
    let cause = node.cause("10.0.0.10:80");
    let start =
        "default/web:http depends on the table ip kube-proxier of nf_tables, which is missing";
    assert!(cause.starts_with(start), "{cause}");
    let mut node = TestNode::new(Layout::Nftables);
    let table = node.observed.tables.v4.as_mut().unwrap();
    table.structure.rules.pop();
    let cause = node.cause("10.0.0.10:80");
    assert!(
        cause.contains("which has other chains, rules or sets"),
        "{cause}"
    );
    let mut node = TestNode::new(Layout::Nftables);
    node.observed.routing.routes.clear();
    let cause = node.cause("10.0.0.10:80");
    let start = "default/web:http is not routed to this node: missing are local 0.0.0.0/0";
    assert!(cause.starts_with(start), "{cause}");
}

/// The chain of a Service, of which others know nothing.
#[test]
fn a_chain_of_the_service_that_is_missing() {
    let mut node = TestNode::new(Layout::Iptables);
    let nat = TableName::Nat;
    let table = node.observed.rules.v4.table_mut(&nat).unwrap();
    let chain = table.chains.iter().find(|chain| {
        let name = chain.name.as_str();
        name.starts_with("KUBE-SEP-") && format!("{:?}", chain.rules).contains("10.244.1.5")
    });
    let name = chain.unwrap().name.clone();
    table.chains.retain(|chain| chain.name != name);
    let cause = node.cause("10.0.0.10:80");
    let start = format!("default/web:http lacks rules of iptables: iptables -t nat -N {name}");
    assert!(cause.starts_with(&start), "{cause}");
    assert!(node.ask("10.0.0.53:53/udp").is_served());
}

#[test]
fn members_and_elements_that_are_missing() {
    let mut node = TestNode::new(Layout::Current);
    let name = "KUBE-CLUSTER-IP".parse().unwrap();
    node.observed.sets.get_mut(&name).unwrap().entries.clear();
    let cause = node.cause("10.0.0.10:80");
    let start = "default/web:http lacks set members for 10.0.0.10:80/tcp: add KUBE-CLUSTER-IP 10.0.0.10,tcp:80";
    assert!(cause.starts_with(start), "{cause}");
    let mut node = TestNode::new(Layout::Nftables);
    let table = node.observed.tables.v4.as_mut().unwrap();
    table
        .elements
        .retain(|one| !one.to_string().starts_with("10.0.0.10 . tcp"));
    let cause = node.cause("10.0.0.10:80");
    let start =
        "default/web:http lacks set members for 10.0.0.10:80/tcp: element ip kube-proxier services";
    assert!(cause.starts_with(start), "{cause}");
}

#[test]
fn flows_of_udp_to_an_endpoint_that_is_gone() {
    use proxier::explain::{Evidence, Flow, explain};
    for layout in LAYOUTS {
        let node = TestNode::new(layout);
        let ask = |answers: &str| {
            let flow = Flow::new(
                "10.244.1.7:40000".parse().unwrap(),
                "-u 10.0.0.53:53".parse().unwrap(),
                answers.parse().unwrap(),
            );
            let evidence = Evidence::new(&node.cluster, &node.host, &node.config, &node.observed);
            let evidence = evidence.with_flows(vec![flow]);
            explain(&evidence, &"10.0.0.53:53/udp".parse().unwrap())
        };
        assert!(ask("10.244.1.9:53").is_served());
        for gone in ["10.244.1.200:53", "10.0.0.53:53"] {
            let cause = first_line(&ask(gone));
            let start = format!(
                "kube-system/dns:dns has flows of UDP in connection tracking that still go to what is no endpoint of \
                 10.0.0.53:53/udp: 10.244.1.7:40000 to {gone}; delete them (conntrack -D -p udp --orig-dst 10.0.0.53)"
            );
            assert!(cause.starts_with(&start), "{layout:?}: {cause}");
        }
    }
}

#[test]
fn a_kernel_setting_that_somebody_changed() {
    let mut node = TestNode::new(Layout::Current);
    node.observed
        .sysctls
        .insert(proxier::Sysctl::VsConntrack, 0);
    let cause = node.cause("10.0.0.10:80");
    let start =
        "default/web:http depends on the kernel setting net/ipv4/vs/conntrack = 1, which is 0";
    assert!(cause.starts_with(start), "{cause}");
}

/// Rules of an administrator, before those of the proxy.
#[test]
fn a_rule_of_others_that_drops() {
    let rules = |text: &str| {
        let mut node = TestNode::new(Layout::Current);
        let table = node
            .observed
            .rules
            .v4
            .table_mut(&TableName::Filter)
            .unwrap();
        let added = Ruleset::parse(text).unwrap();
        for chain in &added.tables[0].chains {
            let known = table.chain_mut(chain.name.as_str());
            match known {
                Some(known) => {
                    let all = chain.rules.iter().chain(known.rules.iter());
                    let all: Vec<_> = all.cloned().collect();
                    known.rules = all.into();
                }
                None => table.chains.push(chain.clone()),
            }
        }
        node
    };
    let filter =
        |lines: &str| format!("*filter\n:INPUT ACCEPT [0:0]\n:MINE - [0:0]\n{lines}\nCOMMIT\n");
    for (lines, rule) in [
        ("-A INPUT -j DROP", "-A INPUT -j DROP"),
        (
            "-A INPUT -d 10.0.0.0/24 -p tcp -m tcp --dport 80 -j REJECT --reject-with icmp-port-unreachable",
            "-A INPUT -d 10.0.0.0/24 -p tcp -m tcp --dport 80 -j REJECT --reject-with icmp-port-unreachable",
        ),
        (
            "-A INPUT -i eth9 -j ACCEPT\n-A INPUT -m conntrack --ctstate NEW -j MINE\n-A MINE -p udp -j ACCEPT\n-A MINE -p tcp -j DROP",
            "-A MINE -p tcp -j DROP",
        ),
    ] {
        let node = rules(&filter(lines));
        let cause = node.cause("10.0.0.10:80");
        let start = format!(
            "default/web:http does not get what is sent to 10.0.0.10:80/tcp: the filter table of iptables refuses it before \
             IPVS has it ({rule})"
        );
        assert!(cause.starts_with(&start), "{cause}");
    }
    for passes in [
        "-A INPUT -i eth9 -j DROP",
        "-A INPUT -s 192.0.2.0/24 -j DROP",
        "-A INPUT -p tcp -m tcp --dport 81 -j DROP",
        "-A INPUT -m conntrack --ctstate INVALID -j DROP",
        "-A INPUT -d 10.0.0.10/32 -j ACCEPT\n-A INPUT -j DROP",
        "-A INPUT -j MINE\n-A MINE -j RETURN\n-A MINE -j DROP",
    ] {
        let node = rules(&filter(passes));
        assert!(node.ask("10.0.0.10:80").is_served(), "{passes}");
    }
    // A client decides whether a rule is about it.
    let node = rules(&filter("-A INPUT -s 192.0.2.0/24 -j DROP"));
    let question: Question = "10.0.0.10:80".parse().unwrap();
    let from = question.from_client("192.0.2.7".parse().unwrap());
    let cause = first_line(&node.answer(&from));
    assert!(
        cause.contains("(-A INPUT -s 192.0.2.0/24 -j DROP)"),
        "{cause}"
    );
}

/// A node whose proxy has never run has all of it wrong, and the virtual server comes first.
#[test]
fn a_node_that_nobody_has_programmed() {
    for layout in IPVS {
        let mut node = TestNode::new(layout);
        node.observed = proxier::Observed::default();
        let explanation = node.ask("10.0.0.10:80");
        let cause = first_line(&explanation);
        assert!(
            cause.contains("has no virtual server"),
            "{layout:?}: {cause}"
        );
        assert!(explanation.findings.len() > 3, "{explanation}");
    }
}
