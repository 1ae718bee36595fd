//! The rules and virtual servers that ranges become, and what `explain` says of them.

use iptables_restore::TableName;
use proxier::explain::{Evidence, Outcome, Question, explain};
use proxier::{Holder, Layout, Observed, translate};

use crate::{
    BALANCED, by_mark, chain, cluster, config, desired, host, mangle, marks, named, programmed,
};

#[test]
fn a_range_is_one_rule_at_each_address_and_one_virtual_server() {
    for layout in Layout::WITH_IPSET {
        let ports = "10000-20000/udp, 8000-8100/tcp, 7/sctp";
        let desired = desired(
            layout,
            &named("web", 7, ports, "externalIPs: [203.0.113.7]"),
        );
        let [(server, destinations)] = &by_mark(&desired)[..] else {
            panic!("{:?}", by_mark(&desired));
        };
        assert_eq!(server, "-A -f 4199 -s rr -b flag-3");
        assert_eq!(destinations[..], ["10.244.1.7:0", "10.244.2.7:0"]);
        let rules = marks(&desired);
        assert_eq!(rules.len(), 3 * 3 + 3, "{rules:#?}");
        assert_eq!(
            rules[..3],
            [
                "-d 10.0.0.7/32 -p tcp -m tcp --dport 8000:8100 -j MARK --set-xmark 0x1067/0xffffffff",
                "-d 10.0.0.7/32 -p udp -m udp --dport 10000:20000 -j MARK --set-xmark 0x1067/0xffffffff",
                "-d 10.0.0.7/32 -p sctp -m sctp --dport 7 -j MARK --set-xmark 0x1067/0xffffffff",
            ]
        );
        let requests = &rules[9..];
        assert!(
            requests.iter().any(|rule| rule
                == "! -s 10.244.0.0/16 -d 10.0.0.7/32 -m mark --mark 0x1067 -j CONNMARK --set-xmark 0x4000/0x4000"),
            "{requests:#?}"
        );
        assert!(
            requests.iter().any(|rule| rule
                == "-d 203.0.113.7/32 -m mark --mark 0x1067 -j CONNMARK --set-xmark 0x4000/0x4000"),
            "{requests:#?}"
        );
    }
}

#[test]
fn every_port_is_a_rule_without_ports_for_each_protocol() {
    let rules = marks(&desired(Layout::Current, &named("web", 7, "all", "")));
    let of_cluster_ip = rules.iter().filter(|rule| rule.contains("10.0.0.7/32 -p "));
    let of_cluster_ip: Vec<_> = of_cluster_ip.collect();
    assert_eq!(of_cluster_ip.len(), 3, "{rules:#?}");
    assert!(of_cluster_ip.iter().all(|rule| !rule.contains("--dport")));
}

#[test]
fn without_ranges_there_is_no_mangle_table() {
    for layout in Layout::WITH_IPSET {
        let manifests = named("web", 7, "7-9/tcp", "").replace("annotations", "labels");
        let state = programmed(&desired(layout, &manifests));
        assert!(state.rules.v4.table(&TableName::Mangle).is_none());
    }
}

/// What listed ports do with packets to the same addresses.
#[test]
fn masquerading_is_that_of_listed_ports() {
    let asked = |annotation: &str, spec: &str| {
        let manifests = named("web", 7, "7/tcp", spec).replace(
            "annotations: {",
            &format!("annotations: {{kube-proxier/masquerade: {annotation}, "),
        );
        let mut rules = marks(&desired(Layout::Current, &manifests));
        rules.retain(|rule| rule.contains("CONNMARK"));
        rules
    };
    let node = "-m addrtype --src-type LOCAL -j CONNMARK";
    let never = asked("never", BALANCED);
    assert_eq!(never.len(), 3);
    assert!(never.iter().all(|rule| rule.contains(node)), "{never:#?}");
    let always = asked("always", BALANCED);
    assert!(
        !always.iter().any(|rule| rule.contains(node)),
        "{always:#?}"
    );
    assert!(
        always[0].starts_with("-d 10.0.0.7/32 -m mark"),
        "{always:#?}"
    );
    let local = asked(
        "default",
        &format!("{BALANCED}, externalTrafficPolicy: Local"),
    );
    let [only] = &local[..] else {
        panic!("{local:#?}");
    };
    assert!(
        only.starts_with("! -s 10.244.0.0/16 -d 10.0.0.7/32 "),
        "{only}"
    );
}

#[test]
fn policies_local_have_virtual_servers_of_their_own() {
    let spec = format!("{BALANCED}, externalTrafficPolicy: Local, internalTrafficPolicy: Local");
    for (layout, count) in [(Layout::Current, 2), (Layout::Classic, 3)] {
        // The classic layout heeds the policy at load balancer addresses alone, and no internal one.
        let servers = by_mark(&desired(layout, &named("web", 7, "7/tcp", &spec)));
        assert_eq!(servers.len(), count, "{servers:#?}");
        let local = servers.iter().filter(|(_, to)| to.len() == 1).count();
        assert_eq!(local, if layout == Layout::Current { 2 } else { 1 });
    }
}

#[test]
fn source_ranges_let_clients_pass_and_drop_the_rest() {
    let of = |clients: &str| {
        let spec = format!("{BALANCED}, loadBalancerSourceRanges: [{clients}]");
        let mut rules = marks(&desired(Layout::Current, &named("web", 7, "7/tcp", &spec)));
        rules.retain(|rule| rule.contains("198.51.100.7/32 -p"));
        rules
    };
    let to = "-d 198.51.100.7/32 -p tcp -m tcp --dport 7";
    let mark = "-j MARK --set-xmark 0x1067/0xffffffff";
    assert_eq!(
        of("192.0.2.0/24"),
        [
            format!("-s 192.0.2.0/24 {to} {mark}"),
            format!("{to} -m mark ! --mark 0x1067 -j DROP"),
        ]
    );
    // The node is in them, and sends from the address itself.
    assert_eq!(
        of("192.168.10.0/24"),
        [
            format!("-s 192.168.10.0/24 {to} {mark}"),
            format!("-s 198.51.100.7/32 {to} {mark}"),
            format!("{to} -m mark ! --mark 0x1067 -j DROP"),
        ]
    );
}

#[test]
fn other_rules_let_packets_with_a_mark_pass() {
    let state = programmed(&desired(Layout::Current, &named("web", 7, "7/tcp", "")));
    let own = |table, name| chain(&state, &table, name);
    let mark = "-m mark --mark 0x1067";
    assert_eq!(
        own(TableName::Nat, "KUBE-SERVICES")[1],
        format!("{mark} -j ACCEPT")
    );
    let filter = own(TableName::Filter, "KUBE-IPVS-FILTER");
    assert_eq!(filter[filter.len() - 2], format!("{mark} -j RETURN"));
    let accept = own(TableName::Filter, "KUBE-IPVS-ACCEPT");
    assert!(accept.contains(&format!("{mark} -j ACCEPT")), "{accept:#?}");
    let first = "-m conntrack ! --ctstate RELATED,ESTABLISHED,SNAT";
    let masquerade = "-j MARK --set-xmark 0x4000/0xffffffff";
    assert_eq!(
        own(TableName::Mangle, "KUBE-RANGE-POSTROUTING"),
        [
            format!("-s 10.244.1.7/32 -d 10.244.1.7/32 {mark} {first} {masquerade}"),
            format!("{mark} -m connmark --mark 0x4000/0x4000 {first} {masquerade}"),
            format!("{mark} -j MARK --set-xmark 0x0/0xffffffff"),
        ]
    );
}

/// No mark is that of rules, whatever bits there are to be.
#[test]
fn marks_are_none_of_the_bits_of_rules() {
    let manifests = named("web", 7, "7/tcp", "");
    for layout in Layout::WITH_IPSET {
        let mut config = config(layout);
        config.nftables.service_marks = 0xc001;
        let desired = translate(&cluster(&manifests), &host(), &config);
        assert_eq!(by_mark(&desired)[0].0, "-A -f 1 -s rr -b flag-3");
        config.nftables.service_marks = 0xc000;
        let desired = translate(&cluster(&manifests), &host(), &config);
        assert!(by_mark(&desired).is_empty());
        let addresses = desired.conflicts.iter().map(|conflict| {
            assert_eq!(conflict.holder, Holder::AllMarks);
            conflict.address().unwrap().to_string()
        });
        let addresses: Vec<_> = addresses.collect();
        assert_eq!(addresses, ["10.0.0.7", "198.51.100.7"]);
    }
}

#[test]
fn of_the_nodes_own_address_there_is_no_range() {
    let spec = "externalIPs: [192.168.10.10]";
    let desired = desired(Layout::Current, &named("web", 7, "7/tcp", spec));
    assert!(
        !marks(&desired)
            .iter()
            .any(|rule| rule.contains("192.168.10.10"))
    );
    assert_eq!(desired.conflicts.len(), 1, "{:?}", desired.conflicts);
}

/// An address that only another link has: its node ports come before ranges.
#[test]
fn node_ports_come_before_ranges() {
    let spec = "externalIPs: [192.168.10.77]";
    let mut host = host();
    let eth0 = "eth0".parse().unwrap();
    host.links.insert(eth0, "192.168.10.77/24".parse().unwrap());
    let cluster = cluster(&named("web", 7, "all", spec));
    let desired = translate(&cluster, &host, &config(Layout::Current));
    let rules = mangle(&desired, "KUBE-RANGE-MARKS");
    let at = |text: &str| rules.iter().position(|rule| rule.contains(text)).unwrap();
    let node_port =
        at("-d 192.168.10.77/32 -p udp -m set --match-set KUBE-NODE-PORT-UDP dst -j RETURN");
    assert!(
        node_port < at("-d 192.168.10.77/32 -p udp -j MARK"),
        "{rules:#?}"
    );
}

#[test]
fn explain_names_the_service_and_the_mark() {
    for layout in Layout::WITH_IPSET {
        let manifests = named("web", 7, "10000-20000/udp", BALANCED);
        let (cluster, host, config) = (cluster(&manifests), host(), config(layout));
        let desired = translate(&cluster, &host, &config);
        let mut observed = programmed(&desired);
        let question: Question = "10.0.0.7:10007/udp".parse().unwrap();
        let answer = |observed: &Observed| {
            let evidence = Evidence::new(&cluster, &host, &config, observed);
            explain(&evidence, &question)
        };
        let explained = answer(&observed);
        let text = explained.to_string();
        assert!(text.contains("default/web"), "{text}");
        assert!(text.contains("give it the mark 0x1067"), "{text}");
        let paths = explained.ports[0].frontends[0].paths.iter();
        let outcomes: Vec<_> = paths.map(|path| path.outcome).collect();
        assert_eq!(outcomes, [Outcome::Served; 3], "{text}");

        // Somebody flushed the table.
        let mangle = observed.rules.v4.table_mut(&TableName::Mangle).unwrap();
        for chain in &mut mangle.chains {
            chain.rules.clear();
        }
        let text = answer(&observed).to_string();
        let first = text.lines().next().unwrap();
        assert!(first.contains("KUBE-"), "{text}");
    }
}
