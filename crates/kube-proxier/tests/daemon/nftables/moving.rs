//! Moves from one layout to another and back, while connections are open and new ones are made.

use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use kernel_test::{cmd, cmd_input, try_cmd};
use proxier::cluster::Family;
use proxier::{Config, Layout};
use proxier_linux::LinuxKernel;
use serde_json::Value;

use super::{PODS, config, reach, topology};
use crate::api_server::ApiServer;
use crate::cluster::{STEADY, missing, steady};
use crate::daemon::{PATIENCE, Setup};
use scenarios::client::{Conversation, Protocol, answer};
use scenarios::topology::{POD, Topology};

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
    let kernel = LinuxKernel::open_for(Layout::Current).unwrap();
    // An emulated machine's tools may take longer than the daemon waits for them.
    let mut kernel = kernel.with_patience(PATIENCE);
    daemon.wait_until("the state of current", || {
        let left = missing(&server, &mut kernel, &config);
        if left.is_empty() { Ok(()) } else { Err(left) }
    });
    talk("to the end");
    let log = setup.log();
    let mut errors = log.lines().filter(|line| line.contains(" ERROR "));
    assert!(
        errors.all(|line| line.contains("has not ended after")),
        "{log}"
    );
}

/// What a kube-proxy of 1.36 in ipvs mode has left: the state that one had when it had brought a Service of three kinds up.
const LEFT: &str = "clusterip-to-nodeport-to-lb";
const STEP: usize = 3;

/// Loads it by the tools that show it. All of its lines are as `Snapshot` has them.
fn load(state: &Value) {
    let lines = |part: &str| -> Vec<&str> {
        let lines = state[part].as_array().unwrap();
        lines.iter().map(|line| line.as_str().unwrap()).collect()
    };
    let text = |lines: &[&str]| lines.join("\n") + "\n";
    for (path, value) in state["sysctl"].as_object().unwrap() {
        kernel_test::set_sysctl(&path.replace('/', "."), value.as_str().unwrap());
    }
    cmd("ip link add kube-ipvs0 type dummy");
    for address in state["addresses"]["kube-ipvs0"].as_array().unwrap() {
        cmd(&format!(
            "ip address add {} dev kube-ipvs0",
            address.as_str().unwrap()
        ));
    }
    let (made, filled): (Vec<_>, Vec<_>) = lines("ipset")
        .into_iter()
        .partition(|line| line.starts_with("create "));
    cmd_input("ipset restore", &text(&[made, filled].concat()));
    cmd_input("ipvsadm -R", &text(&lines("ipvs")));
    cmd_input("iptables-restore", &text(&lines("iptables")));
    cmd_input("ip6tables-restore", &text(&lines("ip6tables")));
}

/// A node whose kube-proxy has just been stopped: connections that it had go on, and nothing of it is left.
pub(crate) fn from_the_state_of_kube_proxy() {
    let net = topology();
    let folder = scenarios::data().join(LEFT);
    let file = |name: String| String::from_utf8(scenarios::read(&folder.join(name))).unwrap();
    load(&serde_json::from_str(&file(format!("expected-{STEP}.json"))).unwrap());
    let options = serde_saphyr::options! { strict_booleans: true };
    let objects = file(format!("step-{STEP}.yaml"));
    let objects: Vec<Value> = serde_saphyr::from_multiple_with_options(&objects, options).unwrap();

    // From outside through a node port, and a pod by the cluster IP.
    let node_port = "192.168.10.10:30080".parse().unwrap();
    let cluster_ip = "10.0.1.10:80".parse().unwrap();
    let mut open = [
        Conversation::with(&net.client, node_port).0,
        Conversation::with(&net.pod, cluster_ip).0,
    ];
    let mut talk = |words: &str| open.iter_mut().for_each(|open| open.say(words));
    talk("by kube-proxy");

    let server = ApiServer::start();
    server.apply_step(objects);
    let fields = "conntrack: {maxPerCore: 0}\nipvs: {minSyncPeriod: 100ms, syncPeriod: 2s}\n";
    let setup = Setup::new(&server, fields).flag("--layout=nftables");
    let mut daemon = setup.started();
    daemon.wait_until("the move", || {
        talk("while it moves");
        let left = cmd("iptables-save; ip6tables-save; ipset list -n; ip -o link");
        let gone = !left.contains("KUBE-") && !left.contains("kube-ipvs0");
        gone.then_some(()).ok_or_else(|| left + &setup.log())
    });
    reach(&mut daemon, &server, &Config::with_layout(Layout::Nftables));
    talk("without it");
    for (from, to) in [
        (&net.client, node_port),
        (&net.pod, cluster_ip),
        (&net.node, cluster_ip),
    ] {
        answer(from, Protocol::Tcp, to);
    }
    talk("to the end");
    assert!(!setup.log().contains(" ERROR "), "{}", setup.log());
}
