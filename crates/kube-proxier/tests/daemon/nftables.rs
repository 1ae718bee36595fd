//! The layout `nftables`, on Debian's kernel: nothing bound, and no tool run.

use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use kernel_test::{cmd, try_cmd};
use proxier::cluster::Family;
use proxier::{Config, DetectLocal, Layout, NodePortAddresses};
use proxier_linux::LinuxKernel;
use serde_json::json;

use crate::api_server::ApiServer;
use crate::cluster::{STEADY, missing, service, slice, steady};
use crate::daemon::{Daemon, HEALTH, METRICS, Setup, get, metric};
use crate::process::output;
use scenarios::client::{Conversation, Protocol, answer};
use scenarios::servers::serve;
use scenarios::topology::{ELSEWHERE, NODE_TO_ELSEWHERE, POD, Topology};

/// The limit of connections is the machine's, and this is not its first network namespace.
const PODS: &str = "clusterCIDR: 10.244.0.0/16\nconntrack: {maxPerCore: 0}\n";

/// The namespaces, with servers in both pods, and a node that can send to any address.
fn topology() -> Topology {
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
    let mut command = Command::new(env!("CARGO_BIN_EXE_kube-proxier"));
    command.arg("--cleanup").env("PATH", "");
    let (status, said) = output(command);
    assert_eq!(status, Some(0), "{said}");
    let left = [
        "nft list ruleset",
        "ip rule",
        "ip -6 rule",
        "ip route show table 8192",
        "ip -6 route show table 8192",
    ];
    let left = left
        .map(|command| try_cmd(command).unwrap_or_default())
        .concat();
    for ours in ["kube-proxier", "0x2000", "local"] {
        // The rule of table `local` is everybody's.
        let left = left.replace("from all lookup local", "");
        assert!(!left.contains(ours), "{left}");
    }
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
    let fields = format!(
        "{PODS}nodePortAddresses: [192.168.10.0/24]
iptables: {{masqueradeBit: 15}}
ipvs: {{minSyncPeriod: 100ms, excludeCIDRs: [10.98.0.0/16], layout: nftables}}
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

    // Everything else, live.
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
    assert!(!setup.log().contains(" WARN "), "{}", setup.log());
}

/// The next period is an hour away: the kernel reports what others do, and it is mended at once.
pub(crate) fn what_others_do_is_mended_at_once() {
    let server = ApiServer::start();
    steady(&server, &["10.244.1.5"]);
    let mut six = service("six", "fd00:10:96::10");
    six["spec"]["ipFamilies"] = json!(["IPv6"]);
    server.put(six);
    let fields = "conntrack: {maxPerCore: 0}\nipvs: {syncPeriod: 1h, minSyncPeriod: 1h}\n";
    let setup = without_tools(&server, fields);
    let mut daemon = setup.started();
    let mut kernel = kernel();
    let config = Config::with_layout(Layout::Nftables);
    assert_eq!(missing(&server, &mut kernel, &config), "");
    let held = || {
        let commands = [
            "nft list table ip kube-proxier || true",
            "nft list table ip6 kube-proxier || true",
            "ip rule",
            "ip -6 rule",
            "ip route show table 8192",
            "ip -6 route show table 8192",
        ];
        commands.map(cmd)
    };
    let before = held();
    let full = "kubeproxy_sync_full_proxy_rules_duration_seconds_count{ip_family=\"IPv4\"}";
    let mut syncs = metric(full).unwrap();
    for tampering in [
        "nft flush ruleset",
        "nft delete table ip6 kube-proxier",
        "nft delete element ip kube-proxier services '{ 10.96.0.10 . tcp . 80 }'",
        "nft add element ip kube-proxier services '{ 10.96.0.99 . tcp . 80 }'",
        "nft flush chain ip kube-proxier prerouting",
        "ip rule del priority 77",
        "ip -6 rule del priority 78",
        "ip route flush table 8192",
    ] {
        let began = Instant::now();
        if let Err(error) = try_cmd(tampering) {
            assert!(
                tampering.contains("nft delete table") || tampering.contains("flush"),
                "{error}"
            );
        }
        let did = began.elapsed();
        daemon.wait_until(tampering, || {
            if metric(full) > Some(syncs) && held() == before {
                Ok(())
            } else {
                Err(format!("{:#?}\n{}", held(), setup.log()))
            }
        });
        syncs = metric(full).unwrap();
        println!(
            "{tampering}: took {did:?}, mended and seen so after {:?}",
            began.elapsed()
        );
    }
    let log = setup.log();
    assert!(
        log.contains("others changed: table ip kube-proxier removed"),
        "{log}"
    );
    assert!(log.contains("(by nft, process "), "{log}");
    assert_eq!(missing(&server, &mut kernel, &config), "");
    // Its own changes do not wake it, and neither do those of others elsewhere.
    server.put(slice("steady", &["10.244.1.6".to_owned()]));
    cmd(
        "nft add table inet other && nft delete table inet other && ip rule add fwmark 7 table 99 && ip rule del fwmark 7 table 99",
    );
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(metric(full), Some(syncs), "{}", setup.log());
}

/// Opens connections from everywhere, one after the other, until told to end: how many, and which failed.
struct Opener {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<(usize, Vec<String>)>>,
}

impl Opener {
    fn start(net: &Topology, to: SocketAddr) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let from = [
            ("client", &net.client),
            ("pod", &net.pod),
            ("node", &net.node),
        ];
        let threads = from.map(|(name, netns)| {
            let stop = Arc::clone(&stop);
            netns.spawn(move || {
                let (mut opened, mut failed) = (0, Vec::new());
                while !stop.load(Ordering::Acquire) {
                    match TcpStream::connect_timeout(&to, Duration::from_secs(10)) {
                        Ok(_) => opened += 1,
                        Err(error) => failed.push(format!("{name}: {error}")),
                    }
                    std::thread::sleep(Duration::from_millis(20));
                }
                (opened, failed)
            })
        });
        Self {
            stop,
            threads: threads.into(),
        }
    }

    fn end(self) {
        self.stop.store(true, Ordering::Release);
        for thread in self.threads {
            let (opened, failed) = thread.join().unwrap();
            println!("{opened} connections opened, {} failed", failed.len());
            assert!(opened > 5 && failed.is_empty(), "{failed:?}");
        }
    }
}

/// A live change of the file moves the node to another layout and back: what is open goes on, what is new is served, and
/// in the end nothing of the layout before is left.
pub(crate) fn moves_live_and_back() {
    let net = topology();
    let server = ApiServer::start();
    let pod = POD.of(Family::V4).to_string();
    steady(&server, &[&pod]);
    let fields = |layout: &str| {
        format!("{PODS}ipvs: {{minSyncPeriod: 100ms, syncPeriod: 2s, layout: {layout}}}\n")
    };
    let setup = Setup::new(&server, &fields("current"));
    let mut daemon = setup.started();
    // Tools that are slow to be found keep their rules waiting, and with them what depends on these.
    daemon.wait_until("the state of current", || {
        let bound = try_cmd("ip -o address show dev kube-ipvs0").unwrap_or_default();
        bound
            .contains(STEADY)
            .then_some(())
            .ok_or_else(|| setup.log())
    });
    let to = format!("{STEADY}:80").parse().unwrap();
    let from = [&net.client, &net.pod, &net.node];
    let mut open: Vec<_> = from
        .iter()
        .map(|from| Conversation::with(from, to).0)
        .collect();
    let mut talk = |words: &str| open.iter_mut().for_each(|open| open.say(words));
    talk("before");

    let opener = Opener::start(&net, to);
    setup.reconfigure(&fields("nftables"));
    daemon.wait_until("the move", || {
        talk("while it moves");
        let rules = cmd("iptables-nft-save; ip6tables-nft-save; ipset list -n");
        let tables = cmd("nft list tables");
        let moved = !rules.contains("KUBE-") && tables.contains("table ip kube-proxier");
        moved.then_some(()).ok_or_else(|| rules + &setup.log())
    });
    talk("after the move");
    opener.end();
    // The node's own connection is from the address itself, which stays for as long as that.
    assert!(
        cmd("ip -o address show dev kube-ipvs0").contains(STEADY),
        "{}",
        setup.log()
    );
    talk("still");
    let Some(mut of_node) = open.pop() else {
        unreachable!()
    };
    of_node.bye();
    drop(of_node);
    reach(&mut daemon, &server, &config());
    assert!(try_cmd("ip link show kube-ipvs0").is_err());

    // And back, with a connection that this layout has opened.
    open.push(Conversation::with(&net.node, to).0);
    let mut talk = |words: &str| open.iter_mut().for_each(|open| open.say(words));
    let opener = Opener::start(&net, to);
    setup.reconfigure(&fields("current"));
    daemon.wait_until("the move back", || {
        talk("while it moves back");
        let tables = cmd("nft list tables");
        let rules = cmd("ip rule");
        let moved = !tables.contains("kube-proxier") && !rules.contains("0x2000");
        moved.then_some(()).ok_or_else(|| tables + &setup.log())
    });
    talk("back again");
    opener.end();
    let mut config = config();
    config.layout = Layout::Current;
    let mut kernel = LinuxKernel::open_for(Layout::Current).unwrap();
    daemon.wait_until("the state of current", || {
        let left = missing(&server, &mut kernel, &config);
        if left.is_empty() { Ok(()) } else { Err(left) }
    });
    talk("to the end");
    assert!(!setup.log().contains(" ERROR "), "{}", setup.log());
}
