//! Listed ports that choose endpoints together, beside ranges.

use proxier::{Holder, Layout, NotShared};

use crate::{BALANCED, by_mark, desired, mangle, marks, named};

/// A Service whose ports 80 and 443 choose endpoints together, if they can.
fn together(targets: [u16; 2], spec: &str) -> String {
    let [http, https] = targets;
    named("web", 7, "7/udp", spec)
        .replace(
            "annotations: {",
            "annotations: {kube-proxier/affinity: all-ports, ",
        )
        .replace(
            "ports: [{name: http, port: 80}]",
            "sessionAffinity: ClientIP, ports: [{name: http, port: 80}, {name: https, port: 443}]",
        )
        .replace(
            "ports: [{name: http, port: 8080}]",
            &format!("ports: [{{name: http, port: {http}}}, {{name: https, port: {https}}}]"),
        )
}

#[test]
fn ports_that_choose_together_come_before_ports_of_their_own() {
    for layout in Layout::WITH_IPSET {
        let desired = desired(layout, &together([80, 443], BALANCED));
        let [(server, _)] = &by_mark(&desired)[..] else {
            panic!("{:?}", by_mark(&desired));
        };
        assert_eq!(server, "-A -f 4199 -s rr -p 10800 -b flag-3");
        let rules = mangle(&desired, "KUBE-RANGE-MARKS");
        let at = |text: &str| rules.iter().position(|rule| rule.contains(text)).unwrap();
        let own = at("--match-set KUBE-CLUSTER-IP dst,dst -j RETURN");
        for port in [80, 443] {
            for address in ["10.0.0.7", "203.0.113.7", "198.51.100.7"] {
                let rule = format!("-d {address}/32 -p tcp -m tcp --dport {port} -j MARK");
                assert!(at(&rule) < own, "{rules:#?}");
            }
        }
        // They ask for masquerading before they are left out.
        assert!(at("CONNMARK") < own, "{rules:#?}");
        assert!(at("--dport 7 -j MARK") > own, "{rules:#?}");
        assert!(desired.conflicts.is_empty(), "{:?}", desired.conflicts);
    }
}

#[test]
fn a_port_with_another_target_port_chooses_by_itself() {
    let desired = desired(Layout::Current, &together([80, 8443], ""));
    let rules = marks(&desired);
    assert!(rules.iter().any(|rule| rule.contains("--dport 80 -j MARK")));
    assert!(!rules.iter().any(|rule| rule.contains("--dport 443")));
    let holders = desired.conflicts.iter().map(|one| &one.holder);
    let why = Holder::Affinity(NotShared::TargetPort(8443));
    assert_eq!(holders.collect::<Vec<_>>(), [&why, &why]);
}

/// The address and port of another Service are not taken with a mark.
#[test]
fn a_port_of_another_service_is_left_to_it() {
    let spec = "externalIPs: [203.0.113.7]";
    let older = named("older", 3, "9/udp", spec);
    let desired = desired(
        Layout::Current,
        &format!("{older}{}", together([80, 443], spec)),
    );
    let rules = marks(&desired);
    let marked = |port| {
        let rule = format!("-d 203.0.113.7/32 -p tcp -m tcp --dport {port} -j MARK");
        rules.iter().any(|found| found.starts_with(&rule))
    };
    assert!(!marked(80) && marked(443), "{rules:#?}");
}
