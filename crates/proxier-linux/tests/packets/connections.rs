//! What becomes of open connections when things change under them.

use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use ipvs_netlink::{Scheduler, Timeouts};
use proxier::cluster::Family;
use proxier::{Layout, Operation};

use crate::proxy::{CLUSTER_IP, Endpoint, Node, PORT, Web};
use scenarios::client::{Asker, Conversation, Protocol, answers};

/// Three of them all go to one pod.
#[track_caller]
fn all_go_to(net: &scenarios::topology::Topology, to: SocketAddr, pod: &str) {
    for answer in answers(&net.client, Protocol::Tcp, to, 3).into_keys() {
        assert_eq!(answer.by, pod);
    }
}

fn others(pod: &str) -> Endpoint {
    match pod {
        "pod" => Endpoint::Elsewhere,
        _ => Endpoint::Here,
    }
}

fn name(endpoint: Endpoint) -> &'static str {
    match endpoint {
        Endpoint::Here => "pod",
        Endpoint::Elsewhere => "elsewhere",
        Endpoint::Host => "node",
    }
}

/// It goes on until its server ends it; only then does the destination go.
pub(crate) fn tcp_survives_its_endpoint(layout: Layout, family: Family) {
    let (net, mut node) = Node::serving(layout, &Web::new());
    // How long IPVS keeps a connection that one side has closed.
    node.config.timeouts = Timeouts {
        tcp_fin: 1,
        ..Timeouts::default()
    };
    node.set(&Web::new());
    let to = CLUSTER_IP.port(family, PORT);
    let (mut open, first) = Conversation::with(&net.client, to);
    open.say("before");

    let other = others(&first.by);
    let without = Web::on(&[other]);
    node.set(&without);
    let draining = |node: &mut Node| {
        let server = node.server(Protocol::Tcp, to);
        let weights = server.destinations.iter();
        weights
            .map(|found| found.destination.config.weight)
            .filter(|weight| *weight == 0)
            .count()
    };
    assert_eq!(draining(&mut node), 1);
    open.say("after");
    all_go_to(&net, to, name(other));

    // As long as it is open, it stays so however often all is looked at.
    assert!(node.set(&without).is_empty());
    open.say("later");

    open.bye();
    let deadline = Instant::now() + Duration::from_secs(20);
    while draining(&mut node) > 0 {
        assert!(Instant::now() < deadline, "the destination does not go");
        thread::sleep(Duration::from_millis(200));
        node.set(&without);
    }
    assert_eq!(node.server(Protocol::Tcp, to).destinations.len(), 1);
    all_go_to(&net, to, name(other));
}

/// It goes on as long as its Service lets it, and is cut when that time is over: with a time of 0 s as soon as that is set.
pub(crate) fn tcp_is_cut_when_its_time_is_over(layout: Layout, family: Family) {
    let (net, mut node) = Node::serving(layout, &Web::new());
    let to = CLUSTER_IP.port(family, PORT);
    let (mut open, first) = Conversation::with(&net.client, to);
    let without = |drain: &str| {
        let annotation = format!("kube-proxier/drain: {drain}");
        Web::on(&[others(&first.by)]).annotated(&annotation)
    };
    // The daemon counts seconds: nothing here does.
    for drain in ["until-idle", "2s"] {
        node.set(&without(drain));
        open.say(drain);
    }
    node.set(&without("0s"));
    assert_eq!(node.server(Protocol::Tcp, to).destinations.len(), 1);
    assert!(open.is_cut());
    all_go_to(&net, to, name(others(&first.by)));
}

/// The virtual server is changed in place.
pub(crate) fn tcp_survives_a_change_of_scheduler(layout: Layout, family: Family) {
    let (net, mut node) = Node::serving(layout, &Web::new());
    let to = CLUSTER_IP.port(family, PORT);
    let (mut open, _) = Conversation::with(&net.client, to);
    open.say("rr");
    node.config.scheduler = Scheduler::LC;
    let plan = node.set(&Web::new());
    for (_, operation) in plan.iter() {
        assert!(
            matches!(operation, Operation::SetServer { .. }),
            "{operation}"
        );
    }
    let server = node.server(Protocol::Tcp, to);
    assert_eq!(server.config.scheduler, Scheduler::LC);
    open.say("lc");
}

/// An endpoint that comes back while its connections live gets its weight back, and keeps them.
pub(crate) fn tcp_survives_its_endpoint_coming_back(layout: Layout, family: Family) {
    let (net, mut node) = Node::serving(layout, &Web::new());
    let to = CLUSTER_IP.port(family, PORT);
    let (mut open, first) = Conversation::with(&net.client, to);
    node.set(&Web::on(&[others(&first.by)]));
    open.say("away");
    node.set(&Web::new());
    open.say("back");
    let spread = answers(&net.client, Protocol::Tcp, to, 4);
    assert_eq!(spread.len(), 2, "{spread:?}");
}

/// No weight of 0 for UDP: whoever asked the endpoint that went is answered by another one, from the same
/// port.
pub(crate) fn udp_leaves_its_endpoint_at_once(layout: Layout, family: Family) {
    let (net, mut node) = Node::serving(layout, &Web::new());
    let to = CLUSTER_IP.port(family, PORT);
    let asker = Asker::new(&net.client, to).unwrap();
    let first = asker.ask_up_to(1).unwrap();
    let other = others(&first.by);
    node.set(&Web::on(&[other]));
    assert_eq!(node.server(Protocol::Udp, to).destinations.len(), 1);
    // The first datagram ends the connection to what is gone (expire_nodest_conn).
    let then = asker.ask_up_to(3).unwrap();
    assert_eq!(then.by, name(other));
}
