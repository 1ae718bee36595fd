//! Iptables mode: asked for, left and taken again while the daemon runs, and standing in for ipvs mode.

use kernel_test::{cmd, iptables_flavour, try_cmd};

use crate::api_server::ApiServer;
use crate::cluster::{slice, steady};
use crate::daemon::{Daemon, METRICS, Setup, get, metric};

const PERIOD: &str = "iptables: {minSyncPeriod: 100ms}\nipvs: {minSyncPeriod: 100ms}\n";

fn nat() -> String {
    cmd(&format!("iptables-{}-save -t nat", iptables_flavour()))
}

/// Waits until the nat table has all of some texts and none of others.
#[track_caller]
fn wait(daemon: &mut Daemon, has: &[&str], lacks: &[&str]) {
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
fn wait_for_mode(daemon: &mut Daemon, mode: &str) {
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
    daemon.wait_until("nothing of ipvs mode", || {
        let left = cmd("ipvsadm -Sn") + &cmd("ipset list -n");
        match left.trim().is_empty() && try_cmd("ip link show kube-ipvs0").is_err() {
            true => Ok(()),
            false => Err(left),
        }
    });
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
