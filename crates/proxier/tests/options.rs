//! What Services ask for by annotation, in each layout.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that fails should panic"
)]

use ipvs_netlink::Scheduler;
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
