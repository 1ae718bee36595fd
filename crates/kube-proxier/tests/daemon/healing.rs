//! What others do to the kernel is undone, what the cluster and the node do is followed.

use std::time::Duration;

use kernel_test::cmd;
use proxier::cluster::Family;
use serde_json::json;

use crate::api_server::ApiServer;
use crate::cluster::{STEADY, service, slice, steady};
use crate::daemon::{HEALTH, Setup, get, metric};
use scenarios::client::{Asker, Conversation};
use scenarios::servers::serve;
use scenarios::topology::{ELSEWHERE, POD, Topology};

#[track_caller]
fn wait_for(daemon: &mut crate::daemon::Daemon, command: &str, holds: impl Fn(&str) -> bool) {
    daemon.wait_until(command, || {
        let said = cmd(command);
        if holds(&said) { Ok(()) } else { Err(said) }
    });
}

/// Each period everything is compared with the kernel.
pub(crate) fn what_others_changed_is_healed() {
    let server = ApiServer::start();
    steady(&server, &["10.244.1.5"]);
    let setup = Setup::new(
        &server,
        "ipvs: {syncPeriod: 1s, minSyncPeriod: 100ms, excludeCIDRs: [10.96.200.0/24]}\n",
    );
    // As kube-proxy does it; by default others' virtual servers stay.
    let setup = setup.flag("--remove-foreign-servers");
    let mut daemon = setup.started();
    let servers = cmd("ipvsadm -Sn");
    let sets = cmd("ipset save");
    let rules = cmd("iptables-legacy -t nat -S");
    let addresses =
        cmd("ip -o -4 address show dev kube-ipvs0 | tr -s ' ' | cut -d ' ' -f 4 | sort");

    cmd("ipvsadm -d -t 10.96.0.10:80 -r 10.244.1.5:8080");
    cmd("ipvsadm -A -t 10.96.99.9:80 -s rr"); // foreign, inside our ranges
    cmd("ipvsadm -A -t 10.96.200.1:80 -s rr"); // foreign, excluded
    cmd("ipset flush KUBE-CLUSTER-IP");
    cmd("iptables-legacy -t nat -D PREROUTING 1");
    cmd("iptables-legacy -t nat -F KUBE-SERVICES");
    cmd("ip address del 10.96.0.10/32 dev kube-ipvs0");

    let kept = format!("-A -t 10.96.200.1:80 -s rr\n{servers}");
    let sorted = |text: &str| {
        let mut lines: Vec<_> = text.lines().map(ToOwned::to_owned).collect();
        lines.sort();
        lines
    };
    wait_for(&mut daemon, "ipvsadm -Sn", |said| {
        sorted(said) == sorted(&kept)
    });
    wait_for(&mut daemon, "ipset save", |said| {
        sorted(said) == sorted(&sets)
    });
    wait_for(&mut daemon, "iptables-legacy -t nat -S", |said| {
        said == rules
    });
    wait_for(
        &mut daemon,
        "ip -o -4 address show dev kube-ipvs0 | tr -s ' ' | cut -d ' ' -f 4 | sort",
        |said| said == addresses,
    );
}

/// The next period is an hour away: signs of what others removed are looked at each second.
pub(crate) fn what_others_removed_is_mended_at_once() {
    let server = ApiServer::start();
    steady(&server, &["10.244.1.5"]);
    // One of IPv6, too.
    let mut six = service("six", "fd00:10:96::10");
    six["spec"]["ipFamilies"] = serde_json::json!(["IPv6"]);
    server.put(six);
    let mut calls = service("calls", "10.96.0.77");
    calls["metadata"]["annotations"] = serde_json::json!({"kube-proxier/ports": "10000-20000/udp"});
    server.put(calls);
    let setup = Setup::new(&server, "ipvs: {syncPeriod: 1h, minSyncPeriod: 100ms}\n");
    let mut daemon = setup.started();
    let addresses =
        "ip -o address show dev kube-ipvs0 | grep -v fe80 | tr -s ' ' | cut -d ' ' -f 3,4 | sort";
    let states = [
        "ipvsadm -Sn | sort",
        "ipset save | sed 's, initval .*,,' | sort",
        "iptables-legacy -t nat -S",
        "iptables-legacy -S",
        "ip6tables-legacy -t nat -S",
        "ip6tables-legacy -S",
        "iptables-legacy -t mangle -S",
        addresses,
        "ipvsadm -L --timeout",
        "cat /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv4/vs/conntrack",
    ];
    let before = states.map(cmd);
    assert!(
        before[0].contains("-A -t [fd00:10:96::10]:80"),
        "{}",
        before[0]
    );
    assert!(before[6].contains("--dport 10000:20000"), "{}", before[6]);
    for removal in [
        "ipvsadm -C",
        "ipvsadm -D -t 10.96.0.10:80",
        "ipvsadm -D -t [fd00:10:96::10]:80",
        "ipvsadm -d -t 10.96.0.10:80 -r 10.244.1.5:8080",
        "ipvsadm -E -t 10.96.0.10:80 -s wrr",
        "ipvsadm -e -t 10.96.0.10:80 -r 10.244.1.5:8080 -m -w 0 && ipvsadm -E -t 10.96.0.10:80 -s rr -p 7",
        "ipset flush",
        "ipset del KUBE-CLUSTER-IP 10.96.0.10,udp:80",
        "iptables-legacy -t nat -F KUBE-SERVICES",
        "iptables-legacy -t nat -D PREROUTING 1",
        "iptables-legacy -F",
        "iptables-legacy -t nat -F && iptables-legacy -t nat -X",
        "ip6tables-legacy -t nat -F KUBE-SERVICES",
        "iptables-legacy -t mangle -F KUBE-RANGE-MARKS",
        "ip address del 10.96.0.10/32 dev kube-ipvs0",
        "ip link del kube-ipvs0",
        "ip link set kube-ipvs0 down; ip address flush dev kube-ipvs0",
        "echo 0 > /proc/sys/net/ipv4/ip_forward",
        "echo 0 > /proc/sys/net/ipv4/vs/conntrack",
        // A rule that is mended between the two holds its set: then both are removed again.
        "for try in 1 2 3 4 5 6 7 8 9; do \
         for of in iptables ip6tables; do for table in mangle nat filter; do $of-legacy -t $table -F; $of-legacy -t $table -X; done; done; \
         ipset destroy && exit; done; exit 1",
    ] {
        const MENDED: &str = "others changed what is programmed, and it is mended: ";
        let mended = || setup.log().matches(MENDED).count();
        let lines = mended();
        cmd(removal);
        let began = std::time::Instant::now();
        daemon.wait_until("a line about it in the log", || {
            (mended() > lines).then_some(()).ok_or_else(|| setup.log())
        });
        println!("{removal}: mended after {:?}", began.elapsed());
        for (state, before) in states.iter().zip(&before) {
            wait_for(&mut daemon, state, |said| said == before);
        }
    }
}

/// Node ports appear on new addresses of the node, and go with them.
pub(crate) fn node_addresses_are_followed() {
    let server = ApiServer::start();
    steady(&server, &["10.244.1.5"]);
    let mut web = service("web", "10.96.0.20");
    web["spec"]["type"] = "NodePort".into();
    web["spec"]["ports"][0]["nodePort"] = 30080.into();
    server.put(web);
    server.put(slice("web", &["10.244.1.5".to_owned()]));
    let setup = Setup::new(&server, "ipvs: {minSyncPeriod: 100ms, syncPeriod: 1h}\n");
    let mut daemon = setup.started();
    cmd("ip link add eth9 type dummy && ip link set eth9 up");
    cmd("ip address add 192.168.99.1/24 dev eth9");
    wait_for(&mut daemon, "ipvsadm -Sn", |said| {
        said.contains("-a -t 192.168.99.1:30080 -r 10.244.1.5:8080")
    });
    cmd("ip address del 192.168.99.1/24 dev eth9");
    wait_for(&mut daemon, "ipvsadm -Sn", |said| {
        !said.contains("192.168.99.1")
    });
}

/// Connection tracking forgets where datagrams went once that is no endpoint any more.
pub(crate) fn udp_clients_leave_an_endpoint_that_is_gone() {
    let net = Topology::new();
    serve(&net.pod, "pod", 8080);
    serve(&net.elsewhere, "elsewhere", 8080);
    let server = ApiServer::start();
    let [pod, elsewhere] = [POD, ELSEWHERE].map(|at| at.of(Family::V4).to_string());
    steady(&server, &[&pod]);
    let setup = Setup::new(
        &server,
        "ipvs: {minSyncPeriod: 100ms, syncPeriod: 1h}\nclusterCIDR: 10.244.0.0/16\n",
    );
    let mut daemon = setup.started();
    let to = format!("{STEADY}:80").parse().unwrap();
    let asker = Asker::new(&net.client, to).unwrap();
    assert_eq!(
        asker.ask_up_to(3).map(|answer| answer.by),
        Some("pod".to_owned())
    );
    let tracked = || cmd("cat /proc/net/nf_conntrack");
    assert!(tracked().contains(&format!("src={pod}")), "{}", tracked());

    server.put(slice("steady", &[elsewhere]));
    wait_for(&mut daemon, "ipvsadm -Sn", |said| {
        !said.contains("10.244.1.5")
    });
    daemon.wait_until("end of the old flow", || {
        let flows = tracked();
        let old = flows.lines().any(|flow| {
            flow.contains("udp") && flow.contains(STEADY) && flow.contains(&format!("src={pod}"))
        });
        if old { Err(flows) } else { Ok(()) }
    });
    let by = asker.ask_up_to(10).map(|answer| answer.by);
    assert_eq!(by, Some("elsewhere".to_owned()));
}

/// A connection outlives its endpoint's place in the Service, also across a restart of the daemon.
pub(crate) fn connections_drain() {
    let net = Topology::new();
    serve(&net.pod, "pod", 8080);
    let server = ApiServer::start();
    steady(&server, &[&POD.of(Family::V4).to_string()]);
    let setup = Setup::new(
        &server,
        "ipvs: {minSyncPeriod: 100ms, syncPeriod: 1s, tcpFinTimeout: 1s}\n",
    );
    let mut daemon = setup.started();
    let to = format!("{STEADY}:80").parse().unwrap();
    let (mut open, _) = Conversation::with(&net.client, to);
    server.put(slice("steady", &[]));
    wait_for(&mut daemon, "ipvsadm -Sn", |said| {
        said.contains("-a -t 10.96.0.10:80 -r 10.244.1.5:8080 -m -w 0") && !said.contains("-a -u")
    });
    open.say("draining");
    daemon.kill();
    let mut daemon = setup.started();
    open.say("still draining");
    // Closed by both sides it would wait two minutes (TIME_WAIT).
    open.bye();
    wait_for(&mut daemon, "ipvsadm -Sn", |said| {
        !said.contains("10.244.1.5")
    });
}

/// Nothing but its time ends it: no change comes, and no full sync for an hour.
pub(crate) fn a_connection_is_cut_when_its_time_is_over() {
    let net = Topology::new();
    serve(&net.pod, "pod", 8080);
    let server = ApiServer::start();
    steady(&server, &[&POD.of(Family::V4).to_string()]);
    let mut draining = service("steady", STEADY);
    draining["metadata"]["annotations"] = json!({"kube-proxier/drain": "2s"});
    server.put(draining);
    let setup = Setup::new(&server, "ipvs: {syncPeriod: 1h}\n");
    let mut daemon = setup.started();
    let to = format!("{STEADY}:80").parse().unwrap();
    let (mut open, _) = Conversation::with(&net.client, to);
    server.put(slice("steady", &[]));
    wait_for(&mut daemon, "ipvsadm -Sn", |said| {
        said.contains("-a -t 10.96.0.10:80 -r 10.244.1.5:8080 -m -w 0")
    });
    open.say("draining");
    wait_for(&mut daemon, "ipvsadm -Sn", |said| {
        !said.contains("10.244.1.5")
    });
    assert!(open.is_cut());
}

/// The node keeps what it has while nobody tells it otherwise.
pub(crate) fn without_an_api_server_all_stays() {
    let server = ApiServer::start();
    steady(&server, &["10.244.1.5"]);
    let setup = Setup::new(&server, "ipvs: {minSyncPeriod: 100ms, syncPeriod: 1s}\n");
    let mut daemon = setup.started();
    let before = cmd("ipvsadm -Sn");
    server.stop();
    std::thread::sleep(Duration::from_secs(5));
    assert_eq!(cmd("ipvsadm -Sn"), before);
    server.come_back();
    server.put(slice("steady", &["10.244.1.6".to_owned()]));
    wait_for(&mut daemon, "ipvsadm -Sn", |said| {
        said.contains("10.244.1.6")
    });
}

/// An operation that fails is tried again, and shows.
pub(crate) fn what_fails_is_retried_and_shows() {
    let server = ApiServer::start();
    steady(&server, &["10.244.1.5"]);
    // While a set of that name and another type is in use by somebody, ours cannot take its place.
    cmd("ipset create KUBE-CLUSTER-IP hash:net");
    cmd("iptables-legacy -A OUTPUT -m set --match-set KUBE-CLUSTER-IP dst -j ACCEPT");
    let setup = Setup::new(&server, "ipvs: {minSyncPeriod: 100ms, syncPeriod: 2s}\n");
    let mut daemon = setup.started();
    daemon.wait_until("pending failures", || {
        let pending = metric("kube_proxier_pending_failures");
        pending
            .filter(|n| *n > 0.0)
            .map(drop)
            .ok_or_else(|| setup.log())
    });
    cmd("iptables-legacy -F OUTPUT");
    daemon.wait_until("success", || {
        let pending = metric("kube_proxier_pending_failures");
        pending
            .filter(|n| *n == 0.0)
            .map(drop)
            .ok_or_else(|| setup.log())
    });
    assert!(cmd("ipset list KUBE-CLUSTER-IP").contains("10.96.0.10,tcp:80"));
    assert_eq!(get(HEALTH, "/healthz").unwrap().0, 200);
}

/// The file is read again when it changes.
pub(crate) fn another_configuration_is_followed() {
    let server = ApiServer::start();
    steady(&server, &["10.244.1.5"]);
    let setup = Setup::new(&server, "ipvs: {minSyncPeriod: 100ms}\n");
    let mut daemon = setup.started();
    assert!(cmd("ipvsadm -Sn").contains("-A -t 10.96.0.10:80 -s rr\n"));
    setup.reconfigure("ipvs: {minSyncPeriod: 100ms, scheduler: lc}\n");
    wait_for(&mut daemon, "ipvsadm -Sn", |said| {
        said.contains("-A -t 10.96.0.10:80 -s lc\n")
    });
    // What is wrong with a file is said, and the one before stays in force.
    setup.reconfigure("ipvs: {scheduler: longer-than-any-kernel-has}\n");
    daemon.wait_until("a complaint", || {
        let log = setup.log();
        log.contains("ipvs.scheduler").then_some(()).ok_or(log)
    });
    assert!(cmd("ipvsadm -Sn").contains("-A -t 10.96.0.10:80 -s lc\n"));
}
