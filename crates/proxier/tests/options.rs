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
use proxier::{Config, Layout, MemoryKernel, Plan, reconcile, translate, unused_options};

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
        // In layout nftables a flag says whose it is, which ipvsadm cannot show.
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
            assert_eq!(line, format!("+ -A -t 10.0.0.7:80 {options}"), "{layout:?}");
        }
        config.scheduler = Scheduler::MH;
        assert_eq!(server("", &config), "+ -A -t 10.0.0.7:80 -s mh -b mh-port");
        let line = server("kube-proxier/scheduler: rr", &config);
        assert_eq!(line, "+ -A -t 10.0.0.7:80 -s rr");
    }
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
