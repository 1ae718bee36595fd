//! What Services ask for by annotation, in each layout.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that fails should panic"
)]

use ipvs_netlink::{Connections, Scheduler};
use proxier::cluster::{Cluster, Host};
use proxier::explain::{Evidence, explain};
use proxier::{Config, Kernel, Layout, MemoryKernel, Plan, reconcile, translate, unused_options};

/// Layouts that use IPVS.
const IPVS: [Layout; 3] = [Layout::Current, Layout::Classic, Layout::Nftables];

/// A Service with these annotations.
fn cluster(annotations: &str) -> Cluster {
    let yaml = format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{name: web, annotations: {{{annotations}}}}}\n\
         spec: {{clusterIP: 10.0.0.7, ports: [{{port: 80}}]}}\n---\n\
         apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\naddressType: IPv4\n\
         metadata: {{name: web, labels: {{kubernetes.io/service-name: web}}}}\n\
         ports: [{{port: 8080}}]\nendpoints: [{{addresses: [10.244.1.5]}}]\n"
    );
    let reading = proxier_manifest::read_cluster("test", yaml.as_bytes());
    assert!(reading.diagnostics.is_empty(), "{:?}", reading.diagnostics);
    reading.cluster
}

/// What a plan does to virtual servers and destinations.
fn ipvs(plan: &Plan) -> Vec<String> {
    let text = plan.to_string();
    let lines = text.lines().filter_map(|line| {
        let (sign, rest) = line.split_at_checked(2)?;
        let rest = rest.strip_prefix("ipvs ")?;
        Some(format!("{sign}{}", rest.trim_start()))
    });
    lines.collect()
}

fn fresh(cluster: &Cluster, host: &Host, config: &Config) -> Vec<String> {
    let desired = translate(cluster, host, config);
    ipvs(&reconcile(&desired, &MemoryKernel::new().state()))
}

/// The first line: the virtual server.
fn server(annotations: &str, config: &Config) -> String {
    let lines = fresh(&cluster(annotations), &Host::new("node-a"), config);
    lines[0].clone()
}

#[test]
fn the_scheduler_and_its_flags_are_those_of_the_service() {
    for layout in IPVS {
        let mut config = Config::with_layout(layout);
        // In layout nftables the third flag says whose a virtual server is.
        let own = |options: &str| match (layout, options.contains(" -b ")) {
            (Layout::Nftables, true) => format!("{options},flag-3"),
            (Layout::Nftables, false) => format!("{options} -b flag-3"),
            _ => options.to_owned(),
        };
        for (annotations, options) in [
            ("", "-s rr"),
            ("kube-proxier/scheduler: wlc", "-s wlc"),
            ("kube-router.io/service.scheduler: lc", "-s lc"),
            ("kube-proxier/scheduler: sh", "-s sh"),
            (
                "kube-proxier/scheduler: sh, kube-proxier/scheduler-flags: 'sh-port,sh-fallback'",
                "-s sh -b sh-fallback,sh-port",
            ),
            ("kube-proxier/scheduler: mh", "-s mh -b mh-port"),
            (
                "kube-proxier/scheduler: mh, kube-proxier/scheduler-flags: none",
                "-s mh",
            ),
        ] {
            let line = server(annotations, &config);
            assert_eq!(line, format!("+ -A -t 10.0.0.7:80 {}", own(options)));
        }
        config.scheduler = Scheduler::MH;
        for (annotations, options) in [
            ("", "-s mh -b mh-port"),
            ("kube-proxier/scheduler: rr", "-s rr"),
        ] {
            let line = server(annotations, &config);
            assert_eq!(line, format!("+ -A -t 10.0.0.7:80 {}", own(options)));
        }
    }
}

/// Two slices, of which the first has a weight.
fn weighted(annotations: &str, weight: &str) -> Cluster {
    let mut cluster = cluster(annotations);
    let slice = |name: &str, annotations: &str, address: &str| {
        format!(
            "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\naddressType: IPv4\n\
             metadata: {{name: {name}, labels: {{kubernetes.io/service-name: web}}, annotations: {{{annotations}}}}}\n\
             ports: [{{port: 8080}}]\nendpoints: [{{addresses: [{address}]}}]\n"
        )
    };
    let weight = format!("kube-proxier/weight: '{weight}'");
    let yaml = [
        slice("web", &weight, "10.244.1.5"),
        slice("web-2", "", "10.244.1.6"),
    ];
    let reading = proxier_manifest::read_cluster("test", yaml.join("---\n").as_bytes());
    assert!(reading.diagnostics.is_empty(), "{:?}", reading.diagnostics);
    cluster.slices = reading.cluster.slices;
    cluster
}

#[test]
fn destinations_have_the_weight_of_their_slice_and_the_thresholds_of_their_service() {
    for layout in IPVS {
        let config = Config::with_layout(layout);
        let host = Host::new("node-a");
        for (annotations, thresholds) in [
            ("", ""),
            ("kube-proxier/upper-threshold: '100'", " -x 100"),
            (
                "kube-proxier/upper-threshold: '100', kube-proxier/lower-threshold: '80'",
                " -x 100 -y 80",
            ),
        ] {
            let lines = fresh(&weighted(annotations, "7"), &host, &config);
            let line = |address: &str, weight: u16| {
                format!("+ -a -t 10.0.0.7:80 -r {address}:8080 -m -w {weight}{thresholds}")
            };
            assert_eq!(lines[1..], [line("10.244.1.5", 7), line("10.244.1.6", 1)]);
        }
    }
}

/// A change of an annotation changes what is there, and nothing else.
#[test]
fn options_are_changed_in_place() {
    let (host, config) = (Host::new("node-a"), Config::default());
    let before = weighted("", "7");
    let mut kernel = MemoryKernel::new();
    let plan = reconcile(&translate(&before, &host, &config), &kernel.state());
    assert!(kernel.apply(&plan).is_ok());
    let after = weighted(
        "kube-proxier/scheduler: wrr, kube-proxier/upper-threshold: '9'",
        "0",
    );
    let plan = reconcile(&translate(&after, &host, &config), &kernel.state());
    assert_eq!(plan.len(), 3, "{plan}");
    assert!(kernel.apply(&plan).is_ok());
    let again = reconcile(&translate(&after, &host, &config), &kernel.state());
    assert!(again.is_empty(), "{again}");
    let plan = reconcile(&translate(&before, &host, &config), &kernel.state());
    assert_eq!(plan.len(), 3, "{plan}");
}

#[test]
fn a_scheduler_that_the_kernel_lacks_is_the_configured_one() {
    let cluster = cluster("kube-proxier/scheduler: sh, kube-proxier/scheduler-flags: sh-port");
    let service = cluster.services.values().next().unwrap();
    let config = Config::default();
    let mut host = Host::new("node-a");
    assert!(unused_options(service, &host, &config).is_empty());
    host.missing_schedulers.insert(Scheduler::SH);
    assert_eq!(
        fresh(&cluster, &host, &config)[0],
        "+ -A -t 10.0.0.7:80 -s rr"
    );
    let unused = unused_options(service, &host, &config);
    let texts: Vec<_> = unused.iter().map(ToString::to_string).collect();
    let reason = "has no effect: this kernel has no scheduler sh (module ip_vs_sh)";
    assert_eq!(
        texts,
        [
            format!("kube-proxier/scheduler: sh {reason}"),
            format!("kube-proxier/scheduler-flags: sh-port {reason}")
        ]
    );
}

/// The lines of `Options` in an explanation.
fn explained(annotations: &str, layout: Layout) -> Vec<String> {
    let cluster = cluster(annotations);
    let (host, config) = (Host::new("node-a"), Config::with_layout(layout));
    let observed = MemoryKernel::new().state();
    let evidence = Evidence::new(&cluster, &host, &config, &observed);
    let text = explain(&evidence, &"default/web".parse().unwrap()).to_string();
    let from = text.lines().skip_while(|line| !line.starts_with("Options"));
    let lines = from.take_while(|line| !line.starts_with("Endpoints"));
    lines.map(|line| line[11..].to_owned()).collect()
}

#[test]
fn explain_names_the_options_and_those_without_effect() {
    let both = "kube-proxier/scheduler: sh, kube-proxier/scheduler-flags: sh-port";
    for layout in IPVS {
        assert_eq!(explained("", layout), [""; 0]);
        let lines = explained(both, layout);
        assert_eq!(lines, ["scheduler sh", "scheduler-flags sh-port"]);
    }
    let lines = explained(both, Layout::Iptables);
    let reason = "no effect, iptables mode chooses endpoints by chance, without IPVS";
    assert_eq!(lines[0], format!("scheduler sh: {reason}"));
    assert_eq!(lines.len(), 2);
}

/// A Service of TCP or UDP with these annotations, and its endpoints, each as YAML.
fn endpoints(protocol: &str, annotations: &str, endpoints: &[&str]) -> Cluster {
    let yaml = format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{name: web, annotations: {{{annotations}}}}}\n\
         spec: {{clusterIP: 10.0.0.7, ports: [{{port: 80, protocol: {protocol}}}]}}\n---\n\
         apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\naddressType: IPv4\n\
         metadata: {{name: web, labels: {{kubernetes.io/service-name: web}}}}\n\
         ports: [{{port: 8080, protocol: {protocol}}}]\nendpoints: [{}]\n",
        endpoints.join(", ")
    );
    let reading = proxier_manifest::read_cluster("test", yaml.as_bytes());
    assert!(reading.diagnostics.is_empty(), "{:?}", reading.diagnostics);
    reading.cluster
}

const STAYS: &str = "{addresses: [10.244.1.6]}";
const GOES: &str = "{addresses: [10.244.1.5]}";
const SERVING: &str =
    "{addresses: [10.244.1.5], conditions: {ready: false, serving: true, terminating: true}}";
const TERMINATING: &str =
    "{addresses: [10.244.1.5], conditions: {ready: false, serving: false, terminating: true}}";

/// What becomes of the endpoint that goes, which has connections: each a plan, as the endpoints change.
fn drained(layout: Layout, protocol: &str, annotations: &str, then: &[&[&str]]) -> Vec<String> {
    let (host, config) = (Host::new("node-a"), Config::with_layout(layout));
    let mut kernel = MemoryKernel::new();
    let mut go = |all: &[&str]| {
        let cluster = endpoints(protocol, annotations, all);
        let desired = translate(&cluster, &host, &config);
        let plan = reconcile(&desired, &kernel.state());
        assert!(kernel.apply(&plan).is_ok());
        let id = desired.servers[0].id;
        let connections = Connections {
            active: 1,
            ..Connections::default()
        };
        kernel.set_connections(&id, &"10.244.1.5:8080".parse().unwrap(), connections);
        let lines = ipvs(&plan);
        let word = |line: &String| match line {
            line if line.contains(" -w 0 ") => "drains",
            line if line.starts_with('-') => "goes",
            _ => "other",
        };
        let words: Vec<_> = lines.iter().map(word).collect();
        words.join(" ")
    };
    go(&[GOES, STAYS]);
    then.iter().map(|endpoints| go(endpoints)).collect()
}

#[test]
fn connections_are_kept_as_long_as_the_service_asks() {
    let pod_ends: &[&[&str]] = &[&[SERVING, STAYS], &[TERMINATING, STAYS], &[STAYS]];
    for layout in IPVS {
        let drained = |protocol, annotations| drained(layout, protocol, annotations, pod_ends);
        let until_idle = ["drains", "", ""];
        assert_eq!(drained("TCP", ""), until_idle);
        assert_eq!(drained("TCP", "kube-proxier/drain: until-idle"), until_idle);
        // The time is the daemon's to count.
        assert_eq!(drained("TCP", "kube-proxier/drain: 30s"), until_idle);
        assert_eq!(drained("TCP", "kube-proxier/drain: 0s"), ["goes", "", ""]);
        assert_eq!(drained("UDP", ""), ["goes", "", ""]);
        let grace = drained("TCP", "kube-proxier/drain: grace-period");
        let udp = drained("UDP", "kube-proxier/drain-udp: 'true'");
        if layout == Layout::Classic {
            assert_eq!(
                (grace.join(","), udp.join(",")),
                ("drains,,".into(), "goes,,".into())
            );
        } else {
            assert_eq!(grace, ["drains", "", "goes"]);
            assert_eq!(udp, ["drains", "goes", ""]);
        }
    }
}

/// An endpoint that is not ready any more, and will be again, keeps its connections.
#[test]
fn a_grace_period_cuts_nobody_who_is_not_ready() {
    let not_ready = "{addresses: [10.244.1.5], conditions: {ready: false}}";
    let annotations = "kube-proxier/drain: grace-period";
    let steps: &[&[&str]] = &[&[not_ready, STAYS], &[GOES, STAYS]];
    let words = drained(Layout::Current, "TCP", annotations, steps);
    assert_eq!(words, ["drains", "other"]);
}

#[test]
fn what_drains_is_explained() {
    for layout in [Layout::Current, Layout::Nftables] {
        let (host, config) = (Host::new("node-a"), Config::with_layout(layout));
        let mut kernel = MemoryKernel::new();
        for all in [&[GOES, STAYS][..], &[STAYS]] {
            let desired = translate(&endpoints("TCP", "", all), &host, &config);
            let connections = Connections {
                active: 3,
                ..Connections::default()
            };
            let id = desired.servers[0].id;
            kernel.set_connections(&id, &"10.244.1.5:8080".parse().unwrap(), connections);
            let plan = reconcile(&desired, &kernel.state());
            assert!(kernel.apply(&plan).is_ok());
        }
        let (cluster, observed) = (endpoints("TCP", "", &[STAYS]), kernel.state());
        let evidence = Evidence::new(&cluster, &host, &config, &observed);
        let explanation = explain(&evidence, &"default/web".parse().unwrap());
        assert!(explanation.is_served(), "{explanation}");
        let line = "  drains    ipvs       -a -t 10.0.0.7:80 -r 10.244.1.5:8080 -m -w 0  # 3 active, 0 inactive connections";
        assert!(explanation.to_string().contains(line), "{explanation}");
    }
}

#[test]
fn endpoints_are_explained_with_the_weight_of_their_slice() {
    let (host, config) = (Host::new("node-a"), Config::default());
    let (cluster, observed) = (weighted("", "7"), MemoryKernel::new().state());
    let evidence = Evidence::new(&cluster, &host, &config, &observed);
    let text = explain(&evidence, &"default/web".parse().unwrap()).to_string();
    for line in [
        "10.244.1.5:8080  ready, weight 7\n",
        "10.244.1.6:8080  ready\n",
    ] {
        assert!(text.contains(line), "{text}");
    }
}

#[test]
fn weights_of_0_everywhere_are_explained() {
    let cluster = {
        let mut cluster = weighted("", "0");
        cluster.slices.pop_last();
        cluster
    };
    let (host, config) = (Host::new("node-a"), Config::default());
    let mut kernel = MemoryKernel::new();
    let plan = reconcile(&translate(&cluster, &host, &config), &kernel.state());
    assert!(kernel.apply(&plan).is_ok());
    let observed = kernel.state();
    let evidence = Evidence::new(&cluster, &host, &config, &observed);
    let text = explain(&evidence, &"10.0.0.7:80".parse().unwrap()).to_string();
    assert_eq!(
        text.lines().next().unwrap(),
        "default/web takes no new connections: all destinations of the virtual server 10.0.0.7:80/tcp have weight 0 \
         (10.244.1.5:8080); its EndpointSlices ask for that by the annotation kube-proxier/weight; change it in one of them"
    );
}
