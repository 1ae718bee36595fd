//! Direct return: what becomes of a Service with the annotation `kube-proxier/forwarding`.

use proxier::explain::{Evidence, explain};
use proxier::{
    Config, Desired, DetectLocal, Holder, Kernel, Layout, MemoryKernel, reconcile, translate,
    unused_options,
};

use super::{cluster, config, endpoints, host};

/// A Service with an external IP and a load balancer's address, which has this annotation.
fn balanced(forwarding: &str, spec: &str) -> String {
    format!(
        "
---
apiVersion: v1
kind: Service
metadata: {{name: web, creationTimestamp: 2024-01-01T00:00:00Z, annotations: {{{forwarding}}}}}
spec: {{clusterIP: 10.0.0.7, type: LoadBalancer, externalIPs: [203.0.113.7], {spec}}}
status: {{loadBalancer: {{ingress: [{{ip: 198.51.100.7}}]}}}}
"
    )
}

const PORTS: &str = "ports: [{name: http, port: 80}]";
const WITH_NODE_PORT: &str = "ports: [{name: http, port: 80, nodePort: 30080}]";
const SAME: &str = "{name: http, port: 80}";
const OTHER: &str = "{name: http, port: 8080}";
const IPIP: &str = "kube-proxier/forwarding: ipip";

fn desired(manifests: &str) -> Desired {
    translate(&cluster(manifests), &host(), &config())
}

/// Virtual servers and destinations as `ipvsadm` takes them, then marks.
fn lines(desired: &Desired) -> Vec<String> {
    let text = reconcile(desired, &MemoryKernel::new().state()).to_string();
    let ipvs = text.lines().filter_map(|line| line.strip_prefix("+ ipvs "));
    let mut lines: Vec<_> = ipvs.map(|line| line.trim_start().to_owned()).collect();
    let elements = desired.tables.v4.iter().flat_map(|table| &table.elements);
    let shown = elements.filter(|one| one.mark().is_some() || one.set().as_str().contains("local"));
    lines.extend(shown.map(|one| format!("{} {one}", one.set().as_str())));
    lines
}

#[test]
fn addresses_known_outside_have_a_virtual_server_by_mark_and_all_else_is_masqueraded() {
    for (forwarding, options) in [
        ("direct", "-g -w 1"),
        ("ipip", "-i -w 1 --tun-type ipip"),
        ("gre", "-i -w 1 --tun-type gre --tun-nocsum"),
        (
            "gue:6080",
            "-i -w 1 --tun-type gue --tun-port 6080 --tun-nocsum",
        ),
    ] {
        let web = balanced(
            &format!("kube-proxier/forwarding: '{forwarding}'"),
            WITH_NODE_PORT,
        );
        let all = endpoints(&["10.244.0.1", "10.244.0.2"], SAME);
        let masqueraded = |server: &str| {
            [
                format!("-A -t {server} -s rr -b flag-3"),
                format!("-a -t {server} -r 10.244.0.1:80 -m -w 1"),
                format!("-a -t {server} -r 10.244.0.2:80 -m -w 1"),
            ]
        };
        let mut expected: Vec<_> = [
            "10.0.0.7:80",
            "192.168.10.10:30080",
            "198.51.100.7:80",
            "203.0.113.7:80",
        ]
        .iter()
        .flat_map(|server| masqueraded(server))
        .collect();
        expected.extend([
            format!("-A -f {MARK} -s rr -b flag-3"),
            format!("-a -f {MARK} -r 10.244.0.1:80 {options}"),
            format!("-a -f {MARK} -r 10.244.0.2:80 {options}"),
            format!("service-marks 198.51.100.7 . tcp . 80 : {MARK:#010x}"),
            format!("service-marks 203.0.113.7 . tcp . 80 : {MARK:#010x}"),
            "external-local 198.51.100.7 . tcp . 80".to_owned(),
            "external-local 203.0.113.7 . tcp . 80".to_owned(),
        ]);
        assert_eq!(lines(&desired(&(web + &all))), expected, "{forwarding}");
    }
}

/// Of `default/web:80/tcp`, for forwarding.
const MARK: u32 = 0x102e;

#[test]
fn policy_local_has_a_mark_for_node_ports_and_another_for_addresses() {
    let local = format!("externalTrafficPolicy: Local, {WITH_NODE_PORT}");
    let all = endpoints(&["10.244.0.1", "10.244.0.2"], SAME);
    let found = lines(&desired(&(balanced(IPIP, &local) + &all)));
    let by_mark: Vec<_> = found.iter().filter(|line| line.contains("-f ")).collect();
    let expected = [
        "-A -f 4189 -s rr -b flag-3".to_owned(),
        "-a -f 4189 -r 10.244.0.1:80 -m -w 1".to_owned(),
        format!("-A -f {MARK} -s rr -b flag-3"),
        format!("-a -f {MARK} -r 10.244.0.1:80 -i -w 1 --tun-type ipip"),
    ];
    let mut expected: Vec<_> = expected.iter().collect();
    expected.sort_unstable();
    let mut by_mark = by_mark;
    by_mark.sort_unstable();
    assert_eq!(by_mark, expected);
    let marks: Vec<_> = found.iter().filter(|line| line.contains("marks")).collect();
    let expected = [
        format!("service-marks 198.51.100.7 . tcp . 80 : {MARK:#010x}"),
        format!("service-marks 203.0.113.7 . tcp . 80 : {MARK:#010x}"),
        "node-port-marks tcp . 30080 : 0x0000105d".to_owned(),
    ];
    assert_eq!(marks, expected.iter().collect::<Vec<_>>());
    // Without a node port nothing needs the mark of the policy.
    let local = format!("externalTrafficPolicy: Local, {PORTS}");
    let found = lines(&desired(&(balanced(IPIP, &local) + &all)));
    assert!(
        !found.iter().any(|line| line.contains("-f 4189")),
        "{found:#?}"
    );
}

/// Clients stay with their endpoint by persistence, which leaves ports as they are.
#[test]
fn affinity_is_persistence_by_mark_too() {
    let sticky = format!("sessionAffinity: ClientIP, {PORTS}");
    let web = balanced(IPIP, &sticky) + &endpoints(&["10.244.0.1"], SAME);
    let found = lines(&desired(&web));
    let server = format!("-A -f {MARK} -s rr -p 10800 -b flag-3");
    assert!(found.contains(&server), "{found:#?}");
}

/// What is open to an endpoint that shuts down keeps its mark: connection tracking has not seen its answers.
#[test]
fn what_shuts_down_here_keeps_the_mark() {
    let local = format!("externalTrafficPolicy: Local, {PORTS}");
    let terminating = "conditions: {ready: false, serving: false, terminating: true}";
    let slice = endpoints(&["10.244.0.1", "10.244.0.2"], SAME);
    let with = |node: &str| {
        slice.replace(
            "nodeName: node-a",
            &format!("nodeName: {node}, {terminating}"),
        )
    };
    let mark = format!("{MARK:#010x}");
    let found = lines(&desired(&(balanced(IPIP, &local) + &with("node-a"))));
    assert!(
        found.contains(&format!("-A -f {MARK} -s rr -b flag-3")),
        "{found:#?}"
    );
    assert!(
        !found.iter().any(|line| line.contains("-i -w")),
        "{found:#?}"
    );
    assert!(found.iter().any(|line| line.ends_with(&mark)), "{found:#?}");
    // On another node it is none of this one's business: dropped for want of a mark.
    let found = lines(&desired(&(balanced(IPIP, &local) + &with("node-b"))));
    assert!(
        !found
            .iter()
            .any(|line| line.ends_with(&mark) || line.contains("-f ")),
        "{found:#?}"
    );
}

#[test]
fn another_target_port_is_masqueraded_and_reported() {
    let web = balanced(IPIP, WITH_NODE_PORT) + &endpoints(&["10.244.0.1"], OTHER);
    let found = desired(&web);
    let plain = desired(&(balanced("", WITH_NODE_PORT) + &endpoints(&["10.244.0.1"], OTHER)));
    assert_eq!(lines(&found), lines(&plain));
    let texts: Vec<_> = found.conflicts.iter().map(ToString::to_string).collect();
    let text = |server: &str| {
        format!(
            "Service default/web, port \"http\", is masqueraded at -t {server}, not forwarded as the annotation \
             kube-proxier/forwarding asks for: an endpoint has port 8080, and IPVS translates ports only where it masquerades; \
             make targetPort the same as port"
        )
    };
    assert_eq!(texts, [text("198.51.100.7:80"), text("203.0.113.7:80")]);
    assert!(
        found
            .conflicts
            .iter()
            .all(|conflict| conflict.holder.grants())
    );
}

#[test]
fn without_a_mark_it_is_masqueraded_and_reported() {
    let mut config = config();
    config.nftables.service_marks = 0x1;
    let web = [
        crate::split("a", 9, 1),
        balanced(IPIP, PORTS),
        endpoints(&["10.244.0.1"], SAME),
    ];
    let mut cluster = cluster(&web.concat());
    // The older one has the only mark.
    for service in cluster.services.values_mut() {
        service.created = Some(i64::from(service.name.name() == "web"));
    }
    let found = translate(&cluster, &host(), &config);
    let holders: Vec<_> = found
        .conflicts
        .iter()
        .map(|conflict| &conflict.holder)
        .collect();
    let expected = Holder::Forwarding(proxier::NotForwarded::NoMark);
    assert_eq!(holders, [&expected, &expected]);
    assert!(!lines(&found).iter().any(|line| line.contains("-i -w")));
}

#[test]
fn other_layouts_masquerade_and_say_so() {
    let manifests = balanced(IPIP, PORTS) + &endpoints(&["10.244.0.1"], SAME);
    let cluster = cluster(&manifests);
    let service = cluster.services.values().next().unwrap();
    let bound = |layout: &str| {
        format!(
            "kube-proxier/forwarding: ipip has no effect: layout {layout} binds the addresses of Services to this node, which then \
             drops answers that come from them; layout nftables can"
        )
    };
    let iptables = "kube-proxier/forwarding: ipip has no effect: iptables mode chooses endpoints by chance, without IPVS";
    for (layout, text) in [
        (Layout::Current, Some(bound("current"))),
        (Layout::Classic, Some(bound("classic"))),
        (Layout::Iptables, Some(iptables.to_owned())),
        (Layout::Nftables, None),
    ] {
        let config = Config::with_layout(layout);
        let unused = unused_options(service, &host(), &config);
        let texts: Vec<_> = unused.iter().map(ToString::to_string).collect();
        assert_eq!(texts, text.into_iter().collect::<Vec<_>>());
        let found = translate(&cluster, &host(), &config);
        let text = reconcile(&found, &MemoryKernel::new().state()).to_string();
        assert_eq!(text.contains("--tun-type"), layout == Layout::Nftables);
    }
    // Masquerading is what is done anyway.
    let mut plain = service.clone();
    plain.options.as_mut().unwrap().forwarding = Some(proxier::cluster::Forwarding::Masquerade);
    assert!(unused_options(&plain, &host(), &Config::with_layout(Layout::Iptables)).is_empty());
    // There is nothing to be known outside.
    let mut inside = service.clone();
    inside.external_ips.clear();
    inside.load_balancer_ips.clear();
    let unused = unused_options(&inside, &host(), &config());
    let texts: Vec<_> = unused.iter().map(ToString::to_string).collect();
    let text = "kube-proxier/forwarding: ipip has no effect: the Service has no external IP and no load balancer address";
    assert_eq!(texts, [text]);
}

/// What an explanation says of one address, in a kernel that holds what it should.
fn explained(forwarding: &str, port: &str) -> String {
    let web = balanced(&format!("kube-proxier/forwarding: '{forwarding}'"), PORTS);
    let cluster = cluster(&(web + &endpoints(&["10.244.0.1", "10.244.0.2"], port)));
    let (host, mut config) = (host(), config());
    // Else pods are clients like all others.
    let pods = "10.244.0.0/16".parse().unwrap();
    config.detect_local = DetectLocal::ClusterCidr(vec![pods]);
    let mut kernel = MemoryKernel::new();
    let plan = reconcile(&translate(&cluster, &host, &config), &kernel.state());
    assert!(kernel.apply(&plan).is_ok());
    let observed = kernel.state();
    let evidence = Evidence::new(&cluster, &host, &config, &observed);
    explain(&evidence, &"198.51.100.7:80".parse().unwrap()).to_string()
}

#[test]
fn explain_says_what_an_endpoint_has_to_have() {
    let text = explained("gue:6080", SAME);
    for line in [
        "Options    forwarding gue:6080\n",
        "from outside: served\n",
        "it goes as it is through a GUE tunnel to UDP port 6080 to the endpoint, which answers the client itself: the endpoint has to \
         have a device for the tunnel, without strict rp_filter, and 198.51.100.7 on it; clients have to send 32 bytes less than \
         the MTU\n",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    // Pods and the node are masqueraded.
    assert_eq!(text.matches("GUE tunnel").count(), 1, "{text}");
    let text = explained("direct", SAME);
    assert!(text.contains("(arp_ignore=1, arp_announce=2)"), "{text}");
    let text = explained("ipip", OTHER);
    let first = text.lines().next().unwrap();
    assert!(
        first.ends_with("make targetPort the same as port"),
        "{text}"
    );
    let line = "Options    forwarding ipip: no effect, an endpoint has port 8080, and IPVS translates ports";
    assert!(text.contains(line), "{text}");
}
