//! Session affinity over all listed ports of a Service: they join the virtual server of its ranges.

mod changes;

use proxier::cluster::Family;
use proxier::explain::{Evidence, Question, explain};
use proxier::{
    Config, Desired, Holder, Kernel, Layout, MemoryKernel, NotShared, reconcile, translate,
};

use super::{cluster, config, endpoints, host, shown};

/// A Service with two listed ports, and endpoints that have these ports.
fn web(annotations: &str, spec: &str, addresses: &[&str], [http, https]: [u16; 2]) -> String {
    let ports = format!("{{name: http, port: {http}}}, {{name: https, port: {https}}}");
    let endpoints = endpoints(addresses, &ports);
    format!(
        "
---
apiVersion: v1
kind: Service
metadata:
  name: web
  creationTimestamp: 2024-01-01T00:00:00Z
  annotations: {{{annotations}}}
spec: {{clusterIP: 10.0.0.7, ports: [{{name: http, port: 80}}, {{name: https, port: 443}}], {spec}}}
{endpoints}"
    )
}

const ALL_PORTS: &str = "kube-proxier/affinity: all-ports";
const STICKY: &str = "sessionAffinity: ClientIP";
const OWN_PORTS: [u16; 2] = [80, 443];

fn all_ports(spec: &str, addresses: &[&str]) -> String {
    web(
        ALL_PORTS,
        &format!("{STICKY}, {spec}"),
        addresses,
        OWN_PORTS,
    )
}

fn desired(manifests: &str) -> Desired {
    translate(&cluster(manifests), &host(), &config())
}

fn of(manifests: &str) -> Vec<String> {
    shown(&desired(manifests), Family::V4)
}

/// What makes ports join ranges.
fn joins(desired: &Desired) -> Vec<String> {
    let lines = shown(desired, Family::V4).into_iter();
    lines
        .filter(|line| line.starts_with("port-marks "))
        .collect()
}

#[test]
fn all_ports_have_one_persistent_virtual_server_whose_destinations_keep_the_port() {
    let found = of(&all_ports("", &["10.244.0.1", "10.244.0.2"]));
    let expected = [
        "-A -t 10.0.0.7:80 -s rr -p 10800 -b flag-3",
        "  -r 10.244.0.1:80",
        "  -r 10.244.0.2:80",
        "-A -t 10.0.0.7:443 -s rr -p 10800 -b flag-3",
        "  -r 10.244.0.1:443",
        "  -r 10.244.0.2:443",
        "-A -f 4199 -s rr -p 10800 -b flag-3",
        "  -r 10.244.0.1:0",
        "  -r 10.244.0.2:0",
        "hairpin 10.244.0.1 . 10.244.0.1",
        "cluster-ips 10.0.0.7",
        "node-addresses 192.168.10.10",
        "port-marks 10.0.0.7 . tcp . 80 : 0x00001067",
        "port-marks 10.0.0.7 . tcp . 443 : 0x00001067",
        "range-addresses 10.0.0.7",
    ];
    assert_eq!(found, expected);
}

#[test]
fn ranges_and_listed_ports_are_one_virtual_server() {
    let annotations = format!("{ALL_PORTS}, kube-proxier/ports: 10000-20000/udp");
    let found = of(&web(&annotations, STICKY, &["10.244.0.1"], OWN_PORTS));
    let by_mark = found.iter().filter(|line| line.starts_with("-A -f "));
    assert_eq!(by_mark.count(), 1);
    let marks = found.iter().filter(|line| line.ends_with(" : 0x00001067"));
    assert_eq!(marks.count(), 3, "{found:?}");
}

/// Masquerading of one Service is by the mark too.
#[test]
fn clients_keep_their_source_where_the_service_asks_for_it() {
    let annotations = format!("{ALL_PORTS}, kube-proxier/masquerade: never");
    let manifests = web(&annotations, STICKY, &["10.244.0.1"], OWN_PORTS);
    let found = of(&manifests);
    let kept: Vec<_> = found
        .iter()
        .filter(|line| line.contains("source-kept"))
        .collect();
    assert_eq!(kept, ["range-source-kept 0x00001067"]);
    let text = explained(&manifests, "10.0.0.7:443");
    assert!(text.contains("range-source-kept { 0x00001067 }"), "{text}");
}

#[test]
fn it_takes_session_affinity_and_all_ports() {
    let addresses = ["10.244.0.1"];
    for (annotations, spec) in [
        (ALL_PORTS, ""),
        ("kube-proxier/affinity: each-port", STICKY),
        ("", STICKY),
    ] {
        let desired = desired(&web(annotations, spec, &addresses, OWN_PORTS));
        assert_eq!(joins(&desired), [""; 0], "{annotations} {spec}");
        assert!(desired.conflicts.is_empty());
        let lines = shown(&desired, Family::V4);
        assert!(!lines.iter().any(|line| line.starts_with("-A -f")));
    }
}

/// Each port is looked at by itself.
#[test]
fn a_port_whose_endpoints_have_another_stays_alone_and_it_is_said() {
    let manifests = web(ALL_PORTS, STICKY, &["10.244.0.1"], [80, 8443]);
    let desired = desired(&manifests);
    assert_eq!(
        joins(&desired),
        ["port-marks 10.0.0.7 . tcp . 80 : 0x00001067"]
    );
    let [conflict] = &desired.conflicts[..] else {
        panic!("{:?}", desired.conflicts);
    };
    assert_eq!(
        conflict.holder,
        Holder::Affinity(NotShared::TargetPort(8443))
    );
    assert!(conflict.holder.grants());
    assert_eq!(
        conflict.to_string(),
        "Service default/web, port \"https\", chooses endpoints at -t 10.0.0.7:443 by itself, not together with the Service's \
         other ports as the annotation kube-proxier/affinity asks for: an endpoint has port 8443, and IPVS translates no ports \
         where several share a choice; make targetPort the same as port"
    );
    let lines = shown(&desired, Family::V4);
    assert!(lines.contains(&"services 10.0.0.7 . tcp . 443".to_owned()));
    let text = explained(&manifests, "default/web:https");
    let reason = "affinity all-ports: no effect, an endpoint has port 8443";
    assert!(text.contains(reason), "{text}");
    let text = explained(&manifests, "default/web:http");
    assert!(text.contains("affinity all-ports\n"), "{text}");
}

/// What is another endpoint for one port would be chosen for both.
#[test]
fn a_port_that_not_all_endpoints_serve_stays_alone() {
    let more = endpoints(&["10.244.0.3"], "{name: http, port: 80}").replace("web-1", "web-2");
    for (weight, more) in [
        (None, &*more),
        // The same endpoints with another weight.
        (
            Some("kube-proxier/weight: '7'"),
            &*more.replace("10.244.0.3", "10.244.0.1"),
        ),
    ] {
        let more = match weight {
            None => more.to_owned(),
            Some(weight) => more.replace("labels:", &format!("annotations: {{{weight}}}, labels:")),
        };
        let first = all_ports("", &["10.244.0.1"]);
        let desired = desired(&format!("{first}{more}"));
        let holders: Vec<_> = desired.conflicts.iter().map(|one| &one.holder).collect();
        if weight.is_none() {
            assert_eq!(
                joins(&desired),
                ["port-marks 10.0.0.7 . tcp . 80 : 0x00001067"]
            );
            assert_eq!(holders, [&Holder::Affinity(NotShared::Endpoints)]);
        } else {
            // Of an endpoint that two slices name, the first one's weight counts.
            assert_eq!(joins(&desired).len(), 2);
            assert!(holders.is_empty());
        }
    }
}

#[test]
fn policies_local_choose_together_too() {
    let spec =
        "externalIPs: [203.0.113.7], externalTrafficPolicy: Local, internalTrafficPolicy: Local";
    let found = of(&all_ports(spec, &["10.244.0.1", "10.244.0.2"]));
    let by_mark = found.iter().filter(|line| line.starts_with("-A -f"));
    // For all, for the cluster IP, and for what comes from outside.
    assert_eq!(by_mark.count(), 3, "{found:?}");
    let marks = found.iter().filter(|line| line.starts_with("port-marks"));
    let marks: Vec<_> = marks.collect();
    assert_eq!(marks.len(), 4);
    let of = |address: &str| {
        let mut own = marks.iter().filter(|line| line.contains(address));
        let mark = own.next().unwrap().split(" : ").nth(1).unwrap().to_owned();
        assert!(own.all(|line| line.ends_with(&mark)));
        mark
    };
    let (inside, outside) = (of("10.0.0.7"), of("203.0.113.7"));
    assert_ne!(inside, outside);
    let has = |line: &str| found.iter().any(|found| *found == line);
    assert!(has(&format!("range-local {outside}")) && !has(&format!("range-local {inside}")));
    assert!(!found.iter().any(|line| line.starts_with("service-marks")));
    assert!(!found.iter().any(|line| line.starts_with("external-local")));
}

/// A node port has another number than the endpoints.
#[test]
fn node_ports_choose_by_themselves() {
    let spec = "type: NodePort, externalTrafficPolicy: Local";
    let plain = all_ports(spec, &["10.244.0.1"]);
    let manifests = plain.replace("port: 443}]", "port: 443, nodePort: 30443}]");
    let found = of(&manifests);
    let has = |start: &str| found.iter().filter(|line| line.starts_with(start)).count();
    assert_eq!((has("port-marks"), has("node-port-marks")), (2, 1));
    assert_eq!(has("-A -t 192.168.10.10:30443"), 1);
    // One for the ports of the cluster IP, one for the node port.
    assert_eq!(has("-A -f"), 2, "{found:?}");
}

#[test]
fn an_older_services_port_comes_first() {
    let spec = "externalIPs: [203.0.113.7]";
    let younger = all_ports(spec, &["10.244.0.1"]).replace("01-01T", "01-02T");
    let older = super::service("ports: [{port: 80}], externalIPs: [203.0.113.7]");
    let older = older
        .replace("name: web", "name: first")
        .replace("10.0.0.7", "10.0.0.8");
    let desired = desired(&format!("{younger}{older}"));
    let marks = joins(&desired);
    assert!(
        !marks
            .iter()
            .any(|line| line.contains("203.0.113.7 . tcp . 80")),
        "{marks:?}"
    );
    assert_eq!(marks.len(), 3);
}

#[test]
fn without_a_mark_each_port_chooses_by_itself() {
    // Of two virtual servers one has a mark; then, beside those of the ports' own policies, one of two again.
    for (service_marks, policy) in [(0x1, "internal"), (0x3, "external")] {
        let mut config = config();
        config.nftables.service_marks = service_marks;
        let spec = format!("{policy}TrafficPolicy: Local, externalIPs: [203.0.113.7]");
        let manifests = all_ports(&spec, &["10.244.0.1"]);
        let desired = translate(&cluster(&manifests), &host(), &config);
        assert_eq!(joins(&desired), [""; 0]);
        let mut holders = desired.conflicts.iter().map(|conflict| &conflict.holder);
        assert_eq!(desired.conflicts.len(), 4);
        assert!(holders.all(|holder| *holder == Holder::Affinity(NotShared::NoMark)));
    }
}

#[test]
fn direct_return_has_a_virtual_server_for_each_port() {
    let annotations = format!("{ALL_PORTS}, kube-proxier/forwarding: ipip");
    let spec = format!("{STICKY}, externalIPs: [203.0.113.7]");
    let manifests = web(&annotations, &spec, &["10.244.0.1"], OWN_PORTS);
    assert_eq!(joins(&desired(&manifests)), [""; 0]);
    let text = explained(&manifests, "default/web");
    let reason = "affinity all-ports: no effect, with kube-proxier/forwarding each port has a virtual server";
    assert!(text.contains(reason), "{text}");
    // It is for external addresses alone.
    let inside = web(&annotations, STICKY, &["10.244.0.1"], OWN_PORTS);
    assert_eq!(joins(&desired(&inside)).len(), 2);
}

fn explained(manifests: &str, question: &str) -> String {
    let (cluster, host, config) = (cluster(manifests), host(), config());
    let desired = translate(&cluster, &host, &config);
    let mut kernel = MemoryKernel::new();
    let plan = reconcile(&desired, &kernel.observe().unwrap());
    assert!(kernel.apply(&plan).is_ok());
    explained_on(&kernel, manifests, question)
}

fn explained_on(kernel: &MemoryKernel, manifests: &str, question: &str) -> String {
    let (cluster, host, config) = (cluster(manifests), host(), config());
    let observed = kernel.state();
    let evidence = Evidence::new(&cluster, &host, &config, &observed);
    let question: Question = question.parse().unwrap();
    explain(&evidence, &question).to_string()
}

#[test]
fn explain_goes_by_the_mark() {
    let spec = "externalIPs: [203.0.113.7], externalTrafficPolicy: Local";
    let manifests = all_ports(spec, &["10.244.0.1", "10.244.0.2"]);
    let text = explained(&manifests, "203.0.113.7:443");
    let first = text.lines().next().unwrap();
    assert_eq!(
        first,
        "default/web:https is served at 203.0.113.7:443/tcp by 10.244.0.1:443, 10.244.0.2:443"
    );
    for part in [
        "port-marks { 203.0.113.7 . tcp . 443 : ",
        "range-local {",
        "range-local-marks {",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }

    // No endpoint here.
    let elsewhere = all_ports(spec, &["10.244.0.2"]);
    let text = explained(&elsewhere, "203.0.113.7:443");
    assert!(text.contains("externalTrafficPolicy"), "{text}");
    let none = explained(&all_ports("", &[]), "10.0.0.7:80");
    assert!(
        none.lines().next().unwrap().contains("no endpoint"),
        "{none}"
    );
    let empty = explained_on(&MemoryKernel::new(), &manifests, "10.0.0.7:80");
    assert!(
        empty.lines().next().unwrap().contains("no virtual server"),
        "{empty}"
    );
}

#[test]
fn explain_says_why_it_has_no_effect() {
    let no_affinity = web(ALL_PORTS, "", &["10.244.0.1"], OWN_PORTS);
    let text = explained(&no_affinity, "default/web");
    let reason = "affinity all-ports: no effect, the Service has no session affinity";
    assert!(text.contains(reason), "{text}");
    let each = web(
        "kube-proxier/affinity: each-port",
        STICKY,
        &["10.244.0.1"],
        OWN_PORTS,
    );
    let text = explained(&each, "default/web");
    assert!(text.contains("affinity each-port\n"), "{text}");
    let manifests = all_ports("", &["10.244.0.1"]);
    let config = Config::with_layout(Layout::Iptables);
    let (cluster, host) = (cluster(&manifests), host());
    let observed = MemoryKernel::new().observe().unwrap();
    let evidence = Evidence::new(&cluster, &host, &config, &observed);
    let text = explain(&evidence, &"default/web".parse().unwrap()).to_string();
    let reason = "iptables mode chooses endpoints by chance";
    assert!(text.contains(reason), "{text}");
}
