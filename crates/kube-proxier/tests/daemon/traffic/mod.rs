//! What is shown of the traffic of Services, with packets that are sent.

pub(crate) mod cost;
pub(crate) mod pictures;

use std::fs;
use std::process::{Command, Stdio};

use proxier::Layout;
use proxier::cluster::Family;
use serde_json::{Value, json};

use kernel_test::cmd;

use crate::api_server::ApiServer;
use crate::cluster::{STEADY, service, slice, steady};
use crate::daemon::{BINARY, Daemon, METRICS, Setup, get, metric, request};
use scenarios::client::{Conversation, Protocol, answer};
use scenarios::servers::serve;
use scenarios::topology::{ELSEWHERE, NODE, POD, Topology};

const FIELDS: &str = "clusterCIDR: 10.244.0.0/16
conntrack: {maxPerCore: 0}
ipvs: {minSyncPeriod: 100ms}
";

/// The steady Service with node ports, which only the pod of this node answers: virtual servers by firewall mark in layout
/// `nftables`.
fn with_node_ports() -> Value {
    let mut service = service("steady", STEADY);
    let spec = &mut service["spec"];
    spec["type"] = "NodePort".into();
    spec["externalTrafficPolicy"] = "Local".into();
    spec["ports"][0]["nodePort"] = json!(30080);
    spec["ports"][1]["nodePort"] = json!(30081);
    service
}

/// A node with a pod that answers, and the Service.
fn node() -> (Topology, ApiServer) {
    let net = Topology::new();
    serve(&net.pod, "pod", 8080);
    serve(&net.elsewhere, "elsewhere", 8080);
    net.node
        .cmd("ip route add default via 192.168.10.2 && ip route add default via 2001:db8:10::2");
    let server = ApiServer::start();
    let [pod, elsewhere] = [POD, ELSEWHERE].map(|at| at.of(Family::V4).to_string());
    steady(&server, &[&pod, &elsewhere]);
    server.put(with_node_ports());
    server.put(service("idle", "10.96.0.11"));
    server.put(slice("idle", &[pod]));
    (net, server)
}

fn started(server: &ApiServer, layout: Layout) -> (Setup, Daemon) {
    let setup = Setup::new(server, FIELDS).flag(&format!("--layout={}", layout.as_str()));
    let mut daemon = setup.started();
    // On a busy machine rules come after the first sync.
    daemon.wait_until("all to be programmed", || {
        match metric("kube_proxier_pending_failures") {
            Some(0.0) => Ok(()),
            pending => Err(format!("{pending:?}, {}", setup.log())),
        }
    });
    (setup, daemon)
}

fn of_port(what: &str, service: &str, port: &str, direction: &str) -> Option<f64> {
    metric(&format!(
        "kube_proxier_service_{what}{{namespace=\"default\",service=\"{service}\",port=\"{port}\"{direction}}}"
    ))
}

/// The columns of `ipvsadm` for all virtual servers that are not idle, added up: connections, packets in and out, bytes in
/// and out.
fn by_ipvsadm() -> Vec<f64> {
    let listing = cmd("ipvsadm -Ln --stats --exact");
    let servers = listing.lines().filter(|line| {
        ["TCP", "UDP", "FWM"]
            .iter()
            .any(|kind| line.starts_with(kind))
    });
    servers.fold(vec![0.0; 5], |sums, line| {
        let words: Vec<_> = line.split_whitespace().collect();
        let numbers = words[words.len() - 5..].iter();
        let numbers = numbers.map(|word| word.parse::<f64>().unwrap());
        sums.iter()
            .zip(numbers)
            .map(|(sum, number)| sum + number)
            .collect()
    })
}

/// What another process shows: with the names of Services, also of virtual servers by mark.
fn shown_by_top(setup: &Setup) {
    let top = || {
        let mut top = setup.command();
        top.arg("top");
        top
    };
    let listing = |arguments: &[&str]| {
        let output = top().args(arguments).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let json: Value = serde_json::from_str(&listing(&["--once", "--output=json"])).unwrap();
    let of = |kind: &str, port: &str, endpoint: &Value| {
        let rows = json[kind].as_array().unwrap().iter();
        let mut rows = rows.filter(|row| {
            row["service"] == "steady" && row["port"] == port && row["endpoint"] == *endpoint
        });
        let row = rows.next().unwrap_or_else(|| panic!("{port}: {json}"));
        assert!(rows.next().is_none(), "{json}");
        row["activeConnections"].clone()
    };
    assert_eq!(json["named"], true);
    assert_eq!(of("services", "tcp", &Value::Null), 1, "{json}");
    assert_eq!(
        of("endpoints", "tcp", &json!("10.244.1.5:8080")),
        1,
        "{json}"
    );
    assert_eq!(
        of("endpoints", "tcp", &json!("10.244.2.6:8080")),
        0,
        "{json}"
    );
    of("services", "udp", &Value::Null);
    // All have a name.
    let all = json["services"].as_array().unwrap();
    assert_eq!(all.len(), 2, "{json}");

    let text = listing(&["--once", "--sort=active", "--namespace=default"]);
    let lines: Vec<_> = text.lines().collect();
    assert!(lines[0].starts_with("kube-proxier top, node-a, "), "{text}");
    assert!(lines[3].starts_with("default/steady:tcp "), "{text}");
    assert!(!text.contains('\u{1b}'), "{text}");
    let none = listing(&["--once", "--namespace=nothing"]);
    assert!(
        none.contains(": 0 Service ports with traffic, 0 endpoints"),
        "{none}"
    );
}

/// On a terminal it has a screen of its own, and leaves the terminal as it was when it is interrupted.
pub(crate) fn top_leaves_the_terminal_as_it_was() {
    let server = ApiServer::start();
    steady(&server, &["10.244.1.5"]);
    let setup = Setup::new(&server, FIELDS);
    let _daemon = setup.started();
    let script = format!(
        "stty -g; timeout --foreground --signal=INT 20 {BINARY} top {}; echo; stty -g",
        setup.config_flag()
    );
    let file = setup.folder().join("typescript");
    let status = Command::new("script")
        .args(["--quiet", "--flush", "--command", &script])
        .arg(&file)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success(), "{status}");
    let text = fs::read_to_string(file).unwrap();
    let (enter, leave) = ("\u{1b}[?1049h\u{1b}[?25l", "\u{1b}[?25h\u{1b}[?1049l");
    let (before, rest) = text.split_once(enter).unwrap_or_else(|| panic!("{text:?}"));
    let (drawn, after) = rest.split_once(leave).unwrap_or_else(|| panic!("{text:?}"));
    assert!(drawn.contains("kube-proxier top, node-a, "), "{text:?}");
    assert!(
        drawn.matches("\u{1b}[H").count() >= 2,
        "drawn again: {text:?}"
    );
    // Settings of a terminal as `stty -g` prints them.
    let settings = |text: &str| {
        let mut lines = text.lines().map(|line| line.trim().to_owned());
        lines.find(|line| line.split(':').count() > 10).unwrap()
    };
    assert_eq!(settings(before), settings(after), "{text:?}");
}

/// Connections to the cluster IP and to a node port are counted as what `ipvsadm` counts, and what was counted stays when a
/// virtual server goes.
pub(crate) fn is_counted_by_service_port(layout: Layout) {
    let (net, server) = node();
    let (setup, mut daemon) = started(&server, layout);
    let marked = cmd("ipvsadm -Sn").contains("-A -f ");
    assert_eq!(marked, layout == Layout::Nftables);
    let cluster_ip = format!("{STEADY}:80").parse().unwrap();
    let node_port = NODE.port(Family::V4, 30080);
    for _ in 0..5 {
        answer(&net.client, Protocol::Tcp, cluster_ip);
    }
    for _ in 0..3 {
        answer(&net.client, Protocol::Tcp, node_port);
    }
    answer(&net.client, Protocol::Udp, cluster_ip);
    let (mut open, _) = Conversation::with(&net.client, node_port);
    open.say("words ".repeat(1000).trim_end());

    let ports = ["tcp", "udp"];
    let sum = |what: &str, direction: &str| -> Option<f64> {
        let values = ports.map(|port| of_port(what, "steady", port, direction));
        values.into_iter().sum()
    };
    let shown = || {
        let (incoming, outgoing) = (",direction=\"in\"", ",direction=\"out\"");
        [
            sum("connections_total", ""),
            sum("packets_total", incoming),
            sum("packets_total", outgoing),
            sum("bytes_total", incoming),
            sum("bytes_total", outgoing),
        ]
    };
    daemon.wait_until("what ipvsadm shows", || {
        let (before, shown, after) = (by_ipvsadm(), shown(), by_ipvsadm());
        let tcp = of_port("connections_total", "steady", "tcp", "");
        match before == after && shown.iter().copied().eq(before.into_iter().map(Some)) {
            true if tcp == Some(9.0) => Ok(()),
            _ => Err(format!("{shown:?}, {after:?}, TCP: {tcp:?}")),
        }
    });
    let udp = of_port("connections_total", "steady", "udp", "");
    assert_eq!(udp, Some(1.0));
    let bytes = of_port("bytes_total", "steady", "tcp", ",direction=\"in\"");
    assert!(bytes > Some(6000.0), "{bytes:?}");
    assert_eq!(
        of_port("packets_total", "idle", "tcp", ",direction=\"in\""),
        Some(0.0)
    );
    daemon.wait_until("a rate", || {
        open.say("words ".repeat(1000).trim_end());
        let rate = of_port("bytes_per_second", "steady", "tcp", ",direction=\"out\"");
        match rate > Some(0.0) {
            true => Ok(()),
            false => Err(format!("{rate:?}")),
        }
    });
    shown_by_top(&setup);
    let (head, page) = request(METRICS, "/?q=default/steady").unwrap();
    assert!(head.starts_with("HTTP/1.0 200 "), "{head}");
    assert!(
        head.contains("content-security-policy: default-src 'none'; "),
        "{head}"
    );
    for part in [
        &format!("TCP {STEADY}:80"),
        "10.244.1.5:8080",
        "Services (1)",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    drop(open);
    if layout == Layout::Nftables {
        // There a virtual server by mark stays for as long as the kernel remembers its connections.
        return;
    }

    // The virtual servers of node ports go, with what they counted.
    server.put(service("steady", STEADY));
    daemon.wait_until("the node ports to be gone", || match by_ipvsadm()[0] {
        6.0 => Ok(()),
        connections => Err(connections.to_string()),
    });
    for _ in 0..2 {
        answer(&net.client, Protocol::Tcp, cluster_ip);
    }
    daemon.wait_until("two more connections", || {
        match of_port("connections_total", "steady", "tcp", "") {
            Some(11.0) => Ok(()),
            other => Err(format!("{other:?}, {}", setup.log())),
        }
    });
    setup.reconfigure(&format!("mode: iptables\n{FIELDS}"));
    daemon.wait_until("no traffic in iptables mode", || {
        let (_, text) = get(METRICS, "/metrics").unwrap();
        match text.contains("kube_proxier_service_") {
            true => Err(text),
            false => Ok(()),
        }
    });
}
