//! The chapter "Debug" of the documents that ipvs mode was described in, and what they say of falling back: the commands
//! that users are told to run, and what they are told to look for, word for word.

use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use kernel_test::{Netns, cmd};
use serde_json::{Value, json};

use crate::api_server::ApiServer;
use crate::cluster::node;
use crate::daemon::{Daemon, Setup};

/// As printed there; how many blanks are between words is ipvsadm's.
const RULES: [&str; 9] = [
    "IP Virtual Server version 1.2.1 (size=4096)",
    "Prot LocalAddress:Port Scheduler Flags",
    "-> RemoteAddress:Port Forward Weight ActiveConn InActConn",
    "TCP 10.0.0.1:443 rr persistent 10800",
    "-> 192.168.0.1:6443 Masq 1 1 0",
    "TCP 10.0.0.10:53 rr",
    "-> 172.17.0.2:53 Masq 1 0 0",
    "UDP 10.0.0.10:53 rr",
    "-> 172.17.0.2:53 Masq 1 0 0",
];

/// `kubectl get svc --all-namespaces`, as objects.
fn objects() -> [Value; 4] {
    let service = |namespace: &str, name: &str, ip: &str, ports: Value| {
        json!({
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": name, "namespace": namespace},
            "spec": {"type": "ClusterIP", "clusterIP": ip, "clusterIPs": [ip], "ports": ports},
        })
    };
    let slice = |namespace: &str, name: &str, ip: &str, ports: Value| {
        json!({
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {"name": name, "namespace": namespace, "labels": {"kubernetes.io/service-name": name}},
            "addressType": "IPv4",
            "ports": ports,
            "endpoints": [{"addresses": [ip], "conditions": {"ready": true}}],
        })
    };
    let dns = json!([
        {"name": "dns", "protocol": "UDP", "port": 53},
        {"name": "dns-tcp", "protocol": "TCP", "port": 53},
    ]);
    let mut kubernetes = service(
        "default",
        "kubernetes",
        "10.0.0.1",
        json!([{"name": "https", "protocol": "TCP", "port": 443}]),
    );
    kubernetes["spec"]["sessionAffinity"] = "ClientIP".into();
    kubernetes["spec"]["sessionAffinityConfig"] = json!({"clientIP": {"timeoutSeconds": 10800}});
    let api = json!([{"name": "https", "protocol": "TCP", "port": 6443}]);
    [
        kubernetes,
        slice("default", "kubernetes", "192.168.0.1", api),
        service("kube-system", "kube-dns", "10.0.0.10", dns.clone()),
        slice("kube-system", "kube-dns", "172.17.0.2", dns),
    ]
}

fn words(text: &str) -> Vec<String> {
    let lines = text.lines().map(|line| {
        let words: Vec<_> = line.split_whitespace().collect();
        words.join(" ")
    });
    lines.collect()
}

#[track_caller]
fn prints(daemon: &mut Daemon, command: &str, expected: &[&str]) {
    daemon.wait_until(command, || {
        let found = words(&cmd(command));
        match found == expected {
            true => Ok(()),
            false => Err(format!("{found:#?}")),
        }
    });
}

pub(crate) fn the_chapter_word_for_word() {
    // The machine of the API server, which somebody has a connection to.
    let master = Netns::new().unwrap();
    master.veth("eth0", &Netns::current().unwrap(), "eth9");
    master.cmd("ip address add 192.168.0.1/24 dev eth0");
    master.cmd("ip route add default via 192.168.0.254");
    cmd("ip address add 192.168.0.254/24 dev eth9");
    let _listener = master.run(|| TcpListener::bind("192.168.0.1:6443").unwrap());

    let server = ApiServer::start();
    server.put(node());
    for object in objects() {
        server.put(object);
    }
    let setup = Setup::new(&server, "ipvs: {minSyncPeriod: 100ms}\n");
    let mut daemon = setup.started();
    let proxy_mode = "curl -sS localhost:10249/proxyMode";
    prints(&mut daemon, proxy_mode, &["ipvs"]);
    let log = setup.log();
    assert!(log.contains("Using ipvs Proxier."), "{log}");
    for fell_back in [
        "Can't use ipvs proxier, trying iptables proxier",
        "Using iptables Proxier.",
    ] {
        assert!(!log.contains(fell_back), "{log}");
    }
    let to = "10.0.0.1:443".parse().unwrap();
    let open = daemon.wait_until("a connection", || {
        let connected = TcpStream::connect_timeout(&to, Duration::from_secs(5));
        connected.map_err(|error| {
            let state = [
                "ip address",
                "ip route",
                "ipvsadm -ln",
                "iptables-legacy-save -t nat",
            ];
            format!("{error}: {}", state.map(cmd).concat())
        })
    });
    prints(&mut daemon, "ipvsadm -ln", &RULES);
    // "to check loaded modules, use ... or"
    let of_proc = "cut -f1 -d ' ' /proc/modules | grep -e ip_vs -e nf_conntrack";
    for list in [
        "lsmod | cut -f1 -d ' ' | grep -e ip_vs -e nf_conntrack",
        of_proc,
    ] {
        let loaded = cmd(list);
        for module in ["ip_vs", "ip_vs_rr", "nf_conntrack"] {
            assert!(
                loaded.lines().any(|line| line == module),
                "{module}: {loaded}"
            );
        }
    }

    // "While there is no IPVS proxy rules or the following logs ... indicate that the kube-proxy fails to use IPVS mode"
    // An open connection would keep its virtual server.
    drop(open);
    daemon.kill();
    let missing = "ipvs: {scheduler: nosuch, minSyncPeriod: 100ms, syncPeriod: 1s}\n";
    setup.reconfigure(missing);
    let mut daemon = setup.started();
    prints(&mut daemon, proxy_mode, &["iptables"]);
    prints(&mut daemon, "ipvsadm -ln", &RULES[..3]);
    let log = setup.log();
    let mut at = 0;
    for line in [
        "Can't use ipvs proxier, trying iptables proxier",
        "Using iptables Proxier.",
    ] {
        let found = log[at..]
            .find(line)
            .unwrap_or_else(|| panic!("{line}: {log}"));
        at += found;
    }
}
