//! What Services ask for by annotation, as `ipvsadm` reads it back.

use kernel_test::cmd;
use proxier::cluster::Cluster;
use proxier::{Config, Kernel, reconcile, translate};
use proxier_linux::LinuxKernel;

/// Two Services, each with two slices of one endpoint; `weight` is that of the first slice's.
fn cluster(hashed: &str, limited: &str, weight: &str) -> Cluster {
    let service = |name: &str, address: &str, annotations: &str| {
        format!(
            "apiVersion: v1\nkind: Service\nmetadata: {{name: {name}, annotations: {{{annotations}}}}}\n\
             spec: {{clusterIP: {address}, ports: [{{port: 80}}]}}\n---\n"
        )
    };
    let slice = |name: &str, of: &str, annotations: &str, endpoint: &str| {
        format!(
            "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\naddressType: IPv4\n\
             metadata: {{name: {name}, labels: {{kubernetes.io/service-name: {of}}}, annotations: {{{annotations}}}}}\n\
             ports: [{{port: 8080}}]\nendpoints: [{{addresses: [{endpoint}]}}]\n---\n"
        )
    };
    let weight = format!("kube-proxier/weight: '{weight}'");
    let yaml = [
        service("hashed", "10.96.0.7", hashed),
        slice("hashed-1", "hashed", &weight, "10.244.1.5"),
        slice("hashed-2", "hashed", "", "10.244.1.6"),
        service("limited", "10.96.0.8", limited),
        slice("limited-1", "limited", "", "10.244.1.7"),
    ]
    .concat();
    let reading = proxier_manifest::read_cluster("test", yaml.as_bytes());
    assert!(reading.diagnostics.is_empty(), "{:?}", reading.diagnostics);
    reading.cluster
}

fn go(kernel: &mut LinuxKernel, cluster: &Cluster) {
    let host = kernel.host("node-a").unwrap();
    let desired = translate(cluster, &host, &Config::default());
    let plan = reconcile(&desired, &kernel.observe().unwrap());
    let applied = kernel.apply(&plan);
    let failures: Vec<_> = applied.failures.iter().map(ToString::to_string).collect();
    assert!(failures.is_empty(), "{failures:#?}");
    let again = reconcile(&desired, &kernel.observe().unwrap());
    assert!(again.is_empty(), "planned again: {again}");
}

/// Thresholds are not in the output of `ipvsadm -S`, but in its listing of them.
fn read_back() -> (Vec<String>, Vec<String>) {
    let saved = cmd("ipvsadm -Sn");
    let thresholds = cmd("ipvsadm -Ln --thresholds");
    let thresholds = thresholds.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        let endpoint = words.find(|word| word.starts_with("10.244."))?;
        let [upper, lower] = [words.next()?, words.next()?];
        Some(format!("{endpoint} {upper} {lower}"))
    });
    (
        saved.lines().map(ToOwned::to_owned).collect(),
        thresholds.collect(),
    )
}

pub(crate) fn options_are_read_back_by_ipvsadm() {
    let mut kernel = crate::kernel();
    let hashed = "kube-proxier/scheduler: sh, kube-proxier/scheduler-flags: 'sh-fallback,sh-port'";
    let limited = "kube-router.io/service.scheduler: wlc, kube-proxier/upper-threshold: '100', \
                   kube-proxier/lower-threshold: '80'";
    go(&mut kernel, &cluster(hashed, limited, "7"));
    let (saved, thresholds) = read_back();
    assert_eq!(
        saved,
        [
            "-A -t 10.96.0.7:80 -s sh -b sh-fallback,sh-port",
            "-a -t 10.96.0.7:80 -r 10.244.1.5:8080 -m -w 7",
            "-a -t 10.96.0.7:80 -r 10.244.1.6:8080 -m -w 1",
            "-A -t 10.96.0.8:80 -s wlc",
            "-a -t 10.96.0.8:80 -r 10.244.1.7:8080 -m -w 1",
        ]
    );
    assert_eq!(
        thresholds,
        [
            "10.244.1.5:8080 0 0",
            "10.244.1.6:8080 0 0",
            "10.244.1.7:8080 100 80"
        ]
    );
    // They are changed, and removed, in place.
    let flags = "kube-proxier/scheduler: mh, kube-proxier/scheduler-flags: mh-fallback";
    go(&mut kernel, &cluster(flags, "", "0"));
    let (saved, thresholds) = read_back();
    assert_eq!(
        saved,
        [
            "-A -t 10.96.0.7:80 -s mh -b mh-fallback",
            "-a -t 10.96.0.7:80 -r 10.244.1.5:8080 -m -w 0",
            "-a -t 10.96.0.7:80 -r 10.244.1.6:8080 -m -w 1",
            "-A -t 10.96.0.8:80 -s rr",
            "-a -t 10.96.0.8:80 -r 10.244.1.7:8080 -m -w 1",
        ]
    );
    assert_eq!(thresholds[2], "10.244.1.7:8080 0 0");
}
