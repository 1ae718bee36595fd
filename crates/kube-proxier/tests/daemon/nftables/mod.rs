//! The layout `nftables`, on Debian's kernel: nothing bound, and no tool run.

pub(crate) mod image;
pub(crate) mod loopback;
pub(crate) mod mending;
pub(crate) mod moving;

use std::process::Command;

use dummy_link::Table;
use kernel_test::{cmd, try_cmd};
use proxier::cluster::Family;
use proxier::{Config, DetectLocal, Layout, NodePortAddresses};
use proxier_linux::LinuxKernel;
use serde_json::json;

use crate::api_server::ApiServer;
use crate::cluster::{STEADY, missing, service, slice, steady};
use crate::daemon::{BINARY, Daemon, HEALTH, METRICS, Setup, get, metric};
use crate::process::output;
use scenarios::client::{Conversation, Protocol, answer};
use scenarios::servers::serve;
use scenarios::topology::{ELSEWHERE, NODE_TO_ELSEWHERE, POD, Topology};

/// The limit of connections is the machine's, and this is not its first network namespace.
const PODS: &str = "clusterCIDR: 10.244.0.0/16\nconntrack: {maxPerCore: 0}\n";

/// The namespaces, with servers in both pods, and a node that can send to any address.
pub(super) fn topology() -> Topology {
    let net = Topology::new();
    serve(&net.pod, "pod", 8080);
    serve(&net.elsewhere, "elsewhere", 8080);
    net.node
        .cmd("ip route add default via 192.168.10.2 && ip route add default via 2001:db8:10::2");
    net
}

/// The daemon in a process that finds no program.
fn without_tools(server: &ApiServer, fields: &str) -> Setup {
    Setup::new(server, fields)
        .flag("--layout=nftables")
        .variable("PATH", "")
}

fn kernel() -> LinuxKernel {
    LinuxKernel::open_for(Layout::Nftables)
        .unwrap()
        .without_tools()
}

/// Waits until the kernel holds what the cluster asks for, and no more.
#[track_caller]
fn reach(daemon: &mut Daemon, server: &ApiServer, config: &Config) {
    let mut kernel = kernel();
    daemon.wait_until("the cluster's state", || {
        let left = missing(server, &mut kernel, config);
        if left.is_empty() { Ok(()) } else { Err(left) }
    });
}

fn config() -> Config {
    let mut config = Config::with_layout(Layout::Nftables);
    config.detect_local = DetectLocal::ClusterCidr(vec!["10.244.0.0/16".parse().unwrap()]);
    config
}

fn modules() -> String {
    cmd(
        "cut -d ' ' -f 1 /proc/modules | grep -E '^(ip_set|ip6?_tables|x_tables|dummy|iptable_)' || true",
    )
}

/// Starts, syncs, follows changes, is killed and started again, and cleans up, without a program to run and without the
/// modules of iptables, ipset and dummy links.
pub(crate) fn without_any_tool() {
    let net = topology();
    let server = ApiServer::start();
    let [pod, elsewhere] = [POD, ELSEWHERE].map(|at| at.of(Family::V4).to_string());
    steady(&server, &[&pod]);
    let modules_before = modules();
    let fields = format!("{PODS}ipvs: {{minSyncPeriod: 100ms}}\n");
    let setup = without_tools(&server, &fields);
    let mut daemon = setup.started();
    reach(&mut daemon, &server, &config());
    let log = setup.log();
    assert!(log.contains(" layout=\"nftables\""), "{log}");
    assert!(log.contains("Using ipvs Proxier."), "{log}");
    for unwanted in [" WARN ", " ERROR ", "iptables=", "ip6tables", "ipset"] {
        assert!(!log.contains(unwanted), "{unwanted}: {log}");
    }
    assert_eq!(modules(), modules_before);
    assert!(try_cmd("ip link show kube-ipvs0").is_err());
    assert_eq!(get(METRICS, "/proxyMode"), Some((200, "ipvs".to_owned())));
    assert_eq!(get(HEALTH, "/healthz").unwrap().0, 200);
    let programmed = "kube_proxier_operations_total{kind=\"nftables\",result=\"done\"}";
    assert!(
        metric(programmed) > Some(0.0),
        "{:?}",
        get(METRICS, "/metrics")
    );

    let to = format!("{STEADY}:80").parse().unwrap();
    let (mut open, _) = Conversation::with(&net.client, to);
    for protocol in Protocol::BOTH {
        assert_eq!(answer(&net.client, protocol, to).by, "pod");
        assert_eq!(answer(&net.node, protocol, to).by, "pod");
    }
    server.put(slice("steady", &[pod.clone(), elsewhere]));
    reach(&mut daemon, &server, &config());
    // Clients that are not pods are masqueraded, so that the answer comes back through this node.
    let seen = [(); 4].map(|()| answer(&net.client, Protocol::Tcp, to));
    let mut by: Vec<_> = seen.iter().map(|seen| (&*seen.by, seen.seen)).collect();
    by.sort_unstable();
    assert_eq!(by[0], ("elsewhere", NODE_TO_ELSEWHERE.of(Family::V4)));
    assert_eq!(by[3].0, "pod");

    // Killed, it leaves all in place; what happened meanwhile is made up for.
    daemon.kill();
    open.say("nobody is there");
    server.put(service("other", "10.96.0.11"));
    server.put(slice("other", &[pod]));
    let mut daemon = setup.started();
    reach(&mut daemon, &server, &config());
    open.say("somebody is there again");
    assert_eq!(
        answer(&net.client, Protocol::Tcp, "10.96.0.11:80".parse().unwrap()).by,
        "pod"
    );
    server.delete(&service("other", ""));
    reach(&mut daemon, &server, &config());
    daemon.kill();

    cmd("ipvsadm -A -f 7 -s rr");
    cleaned_up();
    assert_eq!(cmd("ipvsadm -Sn"), "-A -f 7 -s rr\n");
    assert_eq!(modules(), modules_before);
}

/// `--cleanup`, and nothing of the proxy is left.
fn cleaned_up() {
    let mut command = Command::new(BINARY);
    command.arg("--cleanup").env("PATH", "");
    let (status, said) = output(command);
    assert_eq!(status, Some(0), "{said}");
    assert_eq!(left_of_ours(), "");
}

/// Lines of nf_tables and routing that the proxy has made.
fn left_of_ours() -> String {
    let left = [
        "nft list ruleset",
        "ip rule",
        "ip -6 rule",
        "ip route show table 8192",
        "ip -6 route show table 8192",
    ];
    let left = left.map(|command| try_cmd(command).unwrap_or_default());
    let ours = |line: &&str| {
        // The rule of table `local` is everybody's.
        let line = line.replace("from all lookup local", "");
        ["kube-proxier", "0x2000", "local"]
            .iter()
            .any(|ours| line.contains(ours))
    };
    let left = left.concat();
    left.lines().filter(ours).collect()
}

/// Options that other layouts have are options of this one, from the start and after a change of the file.
pub(crate) fn options_are_followed() {
    let net = topology();
    let server = ApiServer::start();
    let pod = POD.of(Family::V4).to_string();
    steady(&server, &[&pod]);
    let mut web = service("web", "10.96.0.20");
    web["spec"]["type"] = "LoadBalancer".into();
    web["spec"]["externalTrafficPolicy"] = "Local".into();
    web["spec"]["healthCheckNodePort"] = 32123.into();
    web["spec"]["externalIPs"] = json!(["203.0.113.10"]);
    web["spec"]["ports"][0]["nodePort"] = 30080.into();
    web["spec"]["ports"][1]["nodePort"] = 30081.into();
    server.put(web);
    server.put(slice("web", &[pod]));
    cmd("ipvsadm -A -t 10.98.0.1:80 -s rr -b flag-3");

    let mut config = config();
    config.exclude_cidrs = vec!["10.98.0.0/16".parse().unwrap()];
    config.node_port_addresses =
        NodePortAddresses::Within(vec!["192.168.10.0/24".parse().unwrap()]);
    config.masquerade_bit = 15;
    config.nftables.route_mark = 0x8;
    config.nftables.service_marks = 0x30;
    config.nftables.routing_table = Table(77_000);
    config.nftables.rule_priority = 500;
    config.nftables.answer_ping = true;
    let fields = format!(
        "{PODS}nodePortAddresses: [192.168.10.0/24]
iptables: {{masqueradeBit: 15}}
ipvs:
  {{minSyncPeriod: 100ms, excludeCIDRs: [10.98.0.0/16], layout: nftables, routeMark: 0x8, serviceMarks: 0x30, routingTable: 77000,
    rulePriority: 500, answerPing: true}}
"
    );
    // Named in the file, and not by the flag.
    let setup = Setup::new(&server, &fields).variable("PATH", "");
    let mut daemon = setup.started();
    reach(&mut daemon, &server, &config);
    let held = cmd("ipvsadm -Sn");
    for server in ["-t 10.98.0.1:80 ", "-t 192.168.10.10:30080 "] {
        assert!(held.contains(server), "{held}");
    }
    assert!(!held.contains("192.168.20.10:30080"), "{held}");
    let rules = cmd("nft list table ip kube-proxier");
    assert!(rules.contains("0x00008000"), "{rules}");
    let node_port = "192.168.10.10:30080".parse().unwrap();
    assert_eq!(answer(&net.client, Protocol::Tcp, node_port).by, "pod");
    daemon.wait_until("the health check", || {
        match get("192.168.10.10:32123", "/") {
            Some((200, _)) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    });
    let (_, configz) = get(METRICS, "/configz").unwrap();
    assert!(configz.contains("\"layout\":\"nftables\""), "{configz}");
    assert!(configz.contains("\"routingTable\":77000"), "{configz}");
    assert!(configz.contains("\"answerPing\":true"), "{configz}");
    let rules = cmd("ip rule");
    assert!(
        rules.contains("501:\tfrom all fwmark 0x8/0x8 lookup 77000"),
        "{rules}"
    );

    // Everything else, live.
    config.nftables = Config::default().nftables;
    config.masquerade_bit = 14;
    config.masquerade_all = true;
    config.exclude_cidrs = Vec::new();
    config.node_port_addresses = NodePortAddresses::default();
    config.detect_local = DetectLocal::InterfaceNamePrefix("pod".into());
    setup.reconfigure(
        "conntrack: {maxPerCore: 0}
detectLocalMode: InterfaceNamePrefix
detectLocal: {interfaceNamePrefix: pod}
iptables: {masqueradeAll: true}
ipvs: {minSyncPeriod: 100ms, layout: nftables}
",
    );
    reach(&mut daemon, &server, &config);
    let held = cmd("ipvsadm -Sn");
    assert!(held.contains("192.168.20.10:30080"), "{held}");
    assert!(!held.contains("10.98.0.1"), "{held}");
    let rules = cmd("ip rule; ip route show table all");
    assert!(
        rules.contains("lookup 8192") && !rules.contains("77000"),
        "{rules}"
    );
    assert!(!setup.log().contains(" WARN "), "{}", setup.log());
}
