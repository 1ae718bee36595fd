//! Iptables mode: asked for, left and taken again while the daemon runs, and standing in for ipvs mode.

use std::collections::BTreeSet;

use kernel_test::{CommandError, cmd, iptables_flavour, try_cmd};
use proxier::cluster::Family;

use crate::api_server::ApiServer;
use crate::cluster::{STEADY, service, slice, steady};
use crate::daemon::{Daemon, METRICS, Setup, get, metric};
use scenarios::client::{Conversation, Protocol, answers};
use scenarios::servers::serve;
use scenarios::topology::{ELSEWHERE, POD, Topology};

const PERIOD: &str = "iptables: {minSyncPeriod: 100ms}\nipvs: {minSyncPeriod: 100ms}\n";

/// The nat table. The tool fails when a set goes that it has just read a rule of: then it reads again.
pub(crate) fn nat() -> String {
    let line = format!("iptables-{}-save -t nat", iptables_flavour());
    let gone = |error: &CommandError| error.to_string().contains("in kernel doesn't exist");
    loop {
        match try_cmd(&line) {
            Err(error) if gone(&error) => {}
            read => return read.unwrap(),
        }
    }
}

/// Waits until the nat table has all of some texts and none of others.
#[track_caller]
pub(crate) fn wait(daemon: &mut Daemon, has: &[&str], lacks: &[&str]) {
    daemon.wait_until("the rules", || {
        let nat = nat();
        let missing: Vec<_> = has.iter().filter(|text| !nat.contains(**text)).collect();
        let left: Vec<_> = lacks.iter().filter(|text| nat.contains(**text)).collect();
        match missing.is_empty() && left.is_empty() {
            true => Ok(()),
            false => Err(format!("missing {missing:?}, left {left:?}: {nat}")),
        }
    });
}

/// Waits until `/proxyMode` gives a mode.
#[track_caller]
pub(crate) fn wait_for_mode(daemon: &mut Daemon, mode: &str) {
    daemon.wait_until("the mode", || match get(METRICS, "/proxyMode") {
        Some((200, now)) if now == mode => Ok(()),
        other => Err(format!("{other:?}")),
    });
}

pub(crate) fn the_mode_is_followed_and_nothing_of_the_other_is_left() {
    let server = ApiServer::start();
    steady(&server, &["10.244.1.5"]);
    let iptables = format!("mode: iptables\n{PERIOD}");
    let setup = Setup::new(&server, &iptables);
    let mut daemon = setup.started();
    let log = setup.log();
    assert!(log.contains("Using iptables Proxier."), "{log}");
    let to = "--to-destination 10.244.1.5:8080";
    wait(&mut daemon, &[to, "KUBE-SEP-"], &["KUBE-CLUSTER-IP"]);
    wait_for_mode(&mut daemon, "iptables");
    assert_eq!(cmd("ipvsadm -Sn").trim(), "");
    assert!(try_cmd("ip link show kube-ipvs0").is_err());
    let rules = "kubeproxy_sync_proxy_rules_iptables_total{ip_family=\"IPv4\",table=\"nat\"}";
    assert!(metric(rules) > Some(5.0), "{:?}", get(METRICS, "/metrics"));

    // A change writes what it touches.
    server.put(slice("steady", &["10.244.1.6".to_owned()]));
    wait(&mut daemon, &["--to-destination 10.244.1.6:8080"], &[to]);

    setup.reconfigure(PERIOD);
    wait(
        &mut daemon,
        &["KUBE-CLUSTER-IP"],
        &["KUBE-SEP-", "KUBE-SVC-"],
    );
    wait_for_mode(&mut daemon, "ipvs");
    let servers = cmd("ipvsadm -Sn");
    assert!(servers.contains("-r 10.244.1.6:8080 -m"), "{servers}");

    setup.reconfigure(&iptables);
    let back = "--to-destination 10.244.1.6:8080";
    wait(&mut daemon, &[back], &["KUBE-CLUSTER-IP"]);
    wait_for_mode(&mut daemon, "iptables");
    nothing_of_ipvs_mode(&mut daemon, || {});
}

/// Asked for ipvs mode with a scheduler that this kernel lacks, it serves by iptables and shows why.
pub(crate) fn it_stands_in_for_ipvs_mode_and_shows_why() {
    let server = ApiServer::start();
    steady(&server, &["10.244.1.5"]);
    let setup = Setup::new(&server, "ipvs: {scheduler: nosuch, minSyncPeriod: 100ms}\n");
    let mut daemon = setup.started();
    let log = setup.log();
    for line in [
        "Can't use ipvs proxier, trying iptables proxier",
        "Using iptables Proxier.",
    ] {
        assert!(log.contains(line), "{line}: {log}");
    }
    wait(&mut daemon, &["--to-destination 10.244.1.5:8080"], &[]);
    wait_for_mode(&mut daemon, "iptables");
    let (_, text) = get(METRICS, "/metrics").unwrap();
    let why = "kube_proxier_fallback{missing=\"module ip_vs_nosuch: ";
    assert!(text.contains(why), "{text}");
}

/// A connection through IPVS lives on in iptables mode, and one of iptables mode in ipvs mode. What the first one needs of
/// ipvs mode stays until it ends.
pub(crate) fn connections_live_on_in_both_directions() {
    let net = Topology::new();
    serve(&net.pod, "pod", 8080);
    serve(&net.elsewhere, "elsewhere", 8080);
    net.node.cmd("ip route add default via 192.168.10.2");
    let server = ApiServer::start();
    let pods = [POD, ELSEWHERE].map(|at| at.of(Family::V4).to_string());
    steady(&server, &[&pods[0], &pods[1]]);
    server.put(service("other", "10.96.0.11"));
    server.put(slice("other", &pods[..1]));
    let fields = "clusterCIDR: 10.244.0.0/16
conntrack: {maxPerCore: 0}
iptables: {minSyncPeriod: 100ms, syncPeriod: 1s}
ipvs: {minSyncPeriod: 100ms, syncPeriod: 1s}
";
    let iptables = format!("mode: iptables\n{fields}");
    let setup = Setup::new(&server, fields);
    let mut daemon = setup.started();
    let to = format!("{STEADY}:80").parse().unwrap();
    let (mut of_client, _) = Conversation::with(&net.client, to);
    let (mut of_node, _) = Conversation::with(&net.node, to);

    setup.reconfigure(&iptables);
    wait_for_mode(&mut daemon, "iptables");
    of_client.say("in iptables mode");
    of_node.say("in iptables mode");
    let (mut later, _) = Conversation::with(&net.client, to);
    let by: BTreeSet<_> = answers(&net.client, Protocol::Tcp, to, 24)
        .into_keys()
        .collect();
    assert_eq!(by.len(), 2, "{by:?}");
    // The Service without connections has no virtual server any more.
    let steady_alone = |servers: &str| servers.contains(STEADY) && !servers.contains("10.96.0.11");
    // The servers close a connection that is silent for a minute.
    daemon.wait_until("what has no connections to go", || {
        later.say("is anybody there?");
        of_client.say("is anybody there?");
        of_node.say("is anybody there?");
        let servers = cmd("ipvsadm -Sn");
        match steady_alone(&servers) {
            true => Ok(()),
            false => Err(servers),
        }
    });
    let log = setup.log();
    assert!(
        log.contains("virtual servers with open connections stay"),
        "{log}"
    );
    of_client.say("some syncs later");

    drop((of_client, of_node));
    nothing_of_ipvs_mode(&mut daemon, || later.say("is anybody there?"));
    later.say("without ipvs mode");
    setup.reconfigure(fields);
    daemon.wait_until("ipvs mode", || {
        later.say("is anybody there?");
        match nat() {
            rules if rules.contains("KUBE-CLUSTER-IP") && !rules.contains("KUBE-SEP-") => Ok(()),
            rules => Err(rules),
        }
    });
    wait_for_mode(&mut daemon, "ipvs");
    later.say("in ipvs mode");
    assert_eq!(answers(&net.client, Protocol::Tcp, to, 4).len(), 2);
}

#[track_caller]
fn nothing_of_ipvs_mode(daemon: &mut Daemon, mut meanwhile: impl FnMut()) {
    daemon.wait_until("nothing of ipvs mode", || {
        meanwhile();
        let left = cmd("ipvsadm -Sn") + &cmd("ipset list -n");
        match left.trim().is_empty() && try_cmd("ip link show kube-ipvs0").is_err() {
            true => Ok(()),
            false => Err(left),
        }
    });
}
