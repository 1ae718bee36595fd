//! Addresses that belong to something else are never bound.

use kernel_test::cmd;
use proxier::cluster::Family;
use scenarios::topology::{ELSEWHERE, Topology};
use serde_json::{Value, json};

use crate::api_server::ApiServer;
use crate::cluster::{service, slice, steady};
use crate::daemon::{Daemon, Setup};

const ADDRESSES: &str = "ip -o -4 address show dev kube-ipvs0";

/// A Service that claims an address of somebody else, at these ports.
fn thief(name: &str, cluster_ip: &str, address: &str, port: u16) -> Value {
    let mut thief = service(name, cluster_ip);
    thief["metadata"]["uid"] = format!("uid-of-{name}").into();
    thief["spec"]["externalIPs"] = json!([address]);
    thief["spec"]["ports"] = json!([
        {"name": "tcp", "protocol": "TCP", "port": port, "targetPort": 8080},
        {"name": "other", "protocol": "TCP", "port": 80, "targetPort": 8080},
    ]);
    thief
}

/// The server is followed over a new connection.
#[track_caller]
fn follows(daemon: &mut Daemon, server: &ApiServer, endpoint: &str) {
    server.break_watches();
    server.put(slice("steady", &[endpoint.to_owned()]));
    daemon.wait_until(endpoint, || {
        let held = cmd("ipvsadm -Sn");
        let there = held.contains(&format!("-t 10.96.0.10:80 -r {endpoint}:8080"));
        there.then_some(()).ok_or(held)
    });
}

/// Whatever a Service claims, the daemon reaches its API server.
pub(crate) fn the_api_server_stays_in_reach() {
    let net = Topology::new();
    let at = ELSEWHERE.of(Family::V4);
    let server = net.elsewhere.run(move || ApiServer::start_at(at));
    steady(&server, &["10.244.1.5"]);
    let setup = Setup::new(&server, "ipvs: {minSyncPeriod: 100ms, syncPeriod: 1s}\n");
    let mut daemon = setup.started();
    let claim = thief(
        "thief",
        "10.96.0.66",
        &at.to_string(),
        server.address().port(),
    );
    server.put(claim.clone());
    let events = server.wait_for_events(1);
    assert_eq!(events[0]["regarding"]["uid"], "uid-of-thief", "{events:#?}");
    let not_taken = || {
        let (bound, held) = (cmd(ADDRESSES), cmd("ipvsadm -Sn"));
        assert!(held.contains("-t 10.96.0.66:80"), "{held}");
        assert!(!held.contains(&at.to_string()), "{held}");
        assert!(!bound.contains(&at.to_string()), "{bound}");
    };
    not_taken();
    let log = setup.log();
    assert!(log.contains("the address is the API server's"), "{log}");
    follows(&mut daemon, &server, "10.244.1.6");
    not_taken();

    daemon.kill();
    let mut daemon = setup.started();
    follows(&mut daemon, &server, "10.244.1.7");
    not_taken();

    server.delete(&claim);
    daemon.wait_until("the end of the conflict", || {
        let log = setup.log();
        let ended = log.contains("a conflict ended: ");
        ended.then_some(()).ok_or(log)
    });
    follows(&mut daemon, &server, "10.244.1.8");
}

/// On the node of the API server itself the address is not bound anyway, but its port must not be taken either.
pub(crate) fn the_api_server_of_this_node_keeps_its_port() {
    let net = Topology::new();
    let at = scenarios::topology::NODE.of(Family::V4);
    let server = net.node.run(move || ApiServer::start_at(at));
    steady(&server, &["10.244.1.5"]);
    let port = server.address().port();
    server.put(thief("thief", "10.96.0.66", &at.to_string(), port));
    let setup = Setup::new(&server, "ipvs: {minSyncPeriod: 100ms, syncPeriod: 1s}\n");
    let mut daemon = setup.started();
    let held = cmd("ipvsadm -Sn");
    assert!(held.contains(&format!("-t {at}:80")), "{held}");
    assert!(!held.contains(&format!("-t {at}:{port}")), "{held}");
    follows(&mut daemon, &server, "10.244.1.6");
}

/// An external IP is bound while it is no Node's.
pub(crate) fn the_addresses_of_other_nodes_are_left_alone() {
    let server = ApiServer::start();
    steady(&server, &["10.244.1.5"]);
    let mut node_b = crate::cluster::node();
    node_b["metadata"]["name"] = "node-b".into();
    node_b["status"]["addresses"][0]["address"] = "192.168.10.11".into();
    server.put(node_b.clone());
    let setup = Setup::new(&server, "ipvs: {minSyncPeriod: 100ms, syncPeriod: 1h}\n");
    let mut daemon = setup.started();
    server.put(thief("taker", "10.96.0.66", "192.168.10.11", 443));
    let bound = |daemon: &mut Daemon, expected: bool| {
        daemon.wait_until("the address of node-b", || {
            let (bound, held) = (cmd(ADDRESSES), cmd("ipvsadm -Sn"));
            let there = [
                bound.contains("192.168.10.11"),
                held.contains("-t 192.168.10.11:443"),
            ];
            let served = held.contains("-t 10.96.0.66:443");
            (served && there == [expected; 2])
                .then_some(())
                .ok_or(format!("{bound}{held}"))
        });
    };
    bound(&mut daemon, false);
    // It was not bound for a moment either: the kernel would have told, and so would the log.
    let events = server.wait_for_events(1);
    assert!(events[0]["note"].as_str().unwrap().contains("Node node-b"));
    server.delete(&node_b);
    bound(&mut daemon, true);
    server.put(node_b);
    bound(&mut daemon, false);
}
