//! Packets that only this layout treats as they should be, and what it must not touch.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use kernel_test::{cmd, set_sysctl};
use proxier::cluster::Family;
use proxier::{Config, Desired, Kernel, Layout, reconcile};

use crate::addresses::{spreads_masqueraded, spreads_to_the_pod};
use crate::icmp;
use crate::marked::{assert_none_marked, count_marked};
use crate::proxy::{BALANCER, CLUSTER_IP, EXTERNAL_IP, Endpoint, NODE_PORT, Node, PORT, Web, open};
use scenarios::client::{
    Answer, Conversation, Protocol, answer, answers, assert_dropped, assert_refused,
};
use scenarios::servers::serve;
use scenarios::topology::{Both, CLIENT, NODE, POD, Topology};

/// Another node, which is there.
pub(crate) const OTHER_NODE: Both = Both("192.168.30.20", "2001:db8:30::20");

/// How long what goes at once may take on an emulated machine.
const AT_ONCE: Duration = Duration::from_secs(10);

/// Gives the namespace behind `eth2` the address of another node, which its UDP server does not choose for its answers.
pub(crate) fn other_node(net: &Topology) {
    let Both(v4, v6) = OTHER_NODE;
    net.elsewhere.cmd(&format!(
        "ip address add {v4}/32 dev eth0 && ip address add {v6}/128 dev eth0 nodad preferred_lft 0"
    ));
}

/// An address of another node as external IP and as that of the load balancer: its port is served, another port is
/// still that node's.
pub(crate) fn another_nodes_address(layout: Layout, family: Family) {
    let Both(v4, v6) = OTHER_NODE;
    let (net, mut node) = Node::serving(layout, &Web::new());
    other_node(&net);
    serve(&net.elsewhere, "other", 22);
    for field in [
        format!("externalIPs: ['{v4}', '{v6}']"),
        format!("loadBalancer: {{ingress: [{{ip: '{v4}'}}, {{ip: '{v6}'}}]}}"),
    ] {
        node.set(&Web::new().instead(&field));
        let to = OTHER_NODE.port(family, PORT);
        for from in [&net.client, &net.node, &net.pod] {
            spreads_masqueraded(from, to);
        }
        // By TCP: a UDP server on all addresses answers from another one of them.
        let of_other = OTHER_NODE.port(family, 22);
        assert_eq!(answer(&net.node, Protocol::Tcp, of_other).by, "other");
        let seen = answer(&net.pod, Protocol::Tcp, of_other);
        assert_eq!((&*seen.by, seen.seen), ("other", POD.of(family)));
        // And it can be reached by the node's own ping.
        icmp::ping(&net.node, OTHER_NODE.of(family)).unwrap();
    }
}

fn split_addresses(family: Family) -> [SocketAddr; 3] {
    [
        EXTERNAL_IP.port(family, PORT),
        BALANCER.port(family, PORT),
        NODE.port(family, NODE_PORT),
    ]
}

/// From outside the endpoint here, which sees the client; from pods and the node all endpoints.
pub(crate) fn split_policy(layout: Layout, family: Family) {
    let (net, _node) = Node::serving(layout, &Web::new().with("externalTrafficPolicy: Local"));
    for to in split_addresses(family) {
        for protocol in Protocol::BOTH {
            let seen: BTreeSet<_> = answers(&net.client, protocol, to, 3).into_keys().collect();
            let by = "pod".to_owned();
            let seen_by_pod = Answer {
                by,
                seen: CLIENT.of(family),
            };
            assert_eq!(seen, [seen_by_pod].into(), "{protocol:?} {to}");
        }
        spreads_masqueraded(&net.node, to);
        spreads_to_the_pod(&net, to);
    }
    // The cluster IP is of another policy.
    spreads_masqueraded(&net.client, CLUSTER_IP.port(family, PORT));
}

pub(crate) fn split_policy_without_local_endpoints(layout: Layout, family: Family) {
    let web = Web::on(&[Endpoint::Elsewhere]).with("externalTrafficPolicy: Local");
    let (net, mut node) = Node::serving(layout, &web);
    for to in split_addresses(family) {
        for protocol in Protocol::BOTH {
            assert_dropped(&net.client, protocol, to);
            let of_node = answer(&net.node, protocol, to);
            assert_eq!(of_node.by, "elsewhere");
            let of_pod = answer(&net.pod, protocol, to);
            assert_eq!((&*of_pod.by, of_pod.seen), ("elsewhere", POD.of(family)));
        }
    }
    // An endpoint comes here.
    node.set(&Web::new().with("externalTrafficPolicy: Local"));
    for to in split_addresses(family) {
        let answer = answer(&net.client, Protocol::Tcp, to);
        assert_eq!((&*answer.by, answer.seen), ("pod", CLIENT.of(family)));
    }
}

/// `internalTrafficPolicy: Local`: the endpoint here, and dropped for real where there is none.
pub(crate) fn internal_policy(layout: Layout, family: Family) {
    let local = "internalTrafficPolicy: Local";
    let (net, mut node) = Node::serving(layout, &Web::new().with(local));
    let to = CLUSTER_IP.port(family, PORT);
    for from in [&net.node, &net.pod, &net.client] {
        for protocol in Protocol::BOTH {
            let by: BTreeSet<_> = answers(from, protocol, to, 3)
                .into_keys()
                .map(|answer| answer.by)
                .collect();
            assert_eq!(by, ["pod".to_owned()].into());
        }
    }
    node.set(&Web::on(&[Endpoint::Elsewhere]).with(local));
    for from in [&net.node, &net.pod, &net.client] {
        for protocol in Protocol::BOTH {
            assert_dropped(from, protocol, to);
            // Of the other addresses it is not the policy.
            assert_eq!(
                answer(from, protocol, EXTERNAL_IP.port(family, PORT)).by,
                "elsewhere"
            );
        }
    }
}

/// Without endpoints anywhere: refused.
pub(crate) fn without_endpoints(layout: Layout, family: Family) {
    let (net, _node) = Node::serving(layout, &Web::on(&[]));
    for from in [&net.node, &net.pod, &net.client] {
        for address in [CLUSTER_IP, EXTERNAL_IP, BALANCER] {
            assert_refused(from, Protocol::Tcp, address.port(family, PORT));
        }
        assert_refused(from, Protocol::Tcp, NODE.port(family, NODE_PORT));
    }
}

/// Of a cluster IP: a port that no Service has, and ping. Of other addresses nothing but ports of Services is touched.
pub(crate) fn the_rest_of_a_cluster_ip_is_refused(layout: Layout, family: Family) {
    const OWN: u16 = 9999;
    let (net, _node) = Node::serving(layout, &Web::new());
    serve(&net.node, "node", OWN);
    for from in [&net.client, &net.pod, &net.node] {
        let to = CLUSTER_IP.port(family, OWN);
        assert_refused(from, Protocol::Tcp, to);
        let begun = Instant::now();
        // What is refused as it is sent is EPERM to a UDP socket of the node itself.
        let refused = icmp::ask_udp(from, to).unwrap_err();
        let ping = icmp::ping(from, CLUSTER_IP.of(family)).unwrap_err();
        assert!(begun.elapsed() < AT_ONCE);
        for error in [refused, ping] {
            assert!(
                matches!(
                    error.kind(),
                    ErrorKind::ConnectionRefused | ErrorKind::PermissionDenied
                ),
                "{error}"
            );
        }
    }
}

/// By an option, which is followed live. Ports that no Service has are refused all the same.
pub(crate) fn ping_is_answered(layout: Layout, family: Family) {
    let to = CLUSTER_IP.of(family);
    let (net, mut node) = Node::serving(layout, &Web::new());
    node.config.nftables.answer_ping = true;
    for (web, serves) in [(Web::new(), true), (Web::on(&[]), false)] {
        node.set(&web);
        for from in [&net.client, &net.pod, &net.node] {
            icmp::ping(from, to).unwrap();
            assert_refused(from, Protocol::Tcp, CLUSTER_IP.port(family, 9999));
            if serves {
                answer(from, Protocol::Tcp, CLUSTER_IP.port(family, PORT));
            }
        }
    }
    node.config.nftables.answer_ping = false;
    node.set(&Web::new());
    for from in [&net.client, &net.pod, &net.node] {
        icmp::ping(from, to).unwrap_err();
    }
}

/// As wg-quick sets it, with strict and with loose source checks.
pub(crate) fn src_valid_mark(layout: Layout, family: Family) {
    let (net, _node) = Node::serving(layout, &Web::new());
    set_sysctl("net.ipv4.conf.all.src_valid_mark", "1");
    for rp_filter in ["0", "1", "2"] {
        set_sysctl("net.ipv4.conf.all.rp_filter", rp_filter);
        for to in [CLUSTER_IP, EXTERNAL_IP].map(|address| address.port(family, PORT)) {
            for from in [&net.client, &net.node] {
                spreads_masqueraded(from, to);
            }
        }
        spreads_to_the_pod(&net, CLUSTER_IP.port(family, PORT));
    }
}

/// Without a default route only what the node itself sends has no way.
pub(crate) fn without_a_default_route(layout: Layout, family: Family) {
    let (net, _node) = Node::serving(layout, &Web::new());
    cmd("ip -4 route delete default && ip -6 route delete default");
    let to = CLUSTER_IP.port(family, PORT);
    spreads_masqueraded(&net.client, to);
    spreads_to_the_pod(&net, to);
    let error = net.node.run(|| TcpStream::connect(to)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NetworkUnreachable);
}

/// What the node sends has its own address, and one that the other node can answer.
pub(crate) fn the_node_has_its_own_source(layout: Layout, family: Family) {
    let (net, _node) = Node::serving(layout, &Web::new());
    let to = CLUSTER_IP.port(family, PORT);
    let local = net.node.run(|| TcpStream::connect(to)).unwrap();
    assert_eq!(local.local_addr().unwrap().ip(), NODE.of(family));
    let (addresses, links) = (cmd("ip address show"), cmd("ip -o link"));
    assert!(!addresses.contains(&to.ip().to_string()), "{addresses}");
    assert!(!links.contains("kube-ipvs0"), "{links}");
}

/// By SCTP, from everywhere.
pub(crate) fn sctp(layout: Layout, family: Family) {
    kernel_test::modprobe("sctp");
    let (net, _node) = Node::serving(layout, &Web::new().sctp());
    crate::sctp::serve(&net.pod, "pod", 8080);
    crate::sctp::serve(&net.elsewhere, "elsewhere", 8080);
    for from in [&net.client, &net.pod, &net.node] {
        for to in [
            CLUSTER_IP.port(family, PORT),
            EXTERNAL_IP.port(family, PORT),
            NODE.port(family, NODE_PORT),
        ] {
            let by: BTreeSet<_> = (0..2).map(|_| crate::sctp::ask(from, to)).collect();
            assert_eq!(by.len(), 2, "{to}: {by:?}");
        }
    }
}

/// After `nft flush ruleset` of somebody the next sync writes the table again, and an open connection goes on.
pub(crate) fn a_flushed_rule_set_is_mended(layout: Layout, family: Family) {
    let (net, mut node) = Node::serving(layout, &Web::new());
    let to = CLUSTER_IP.port(family, PORT);
    let (mut open, _) = Conversation::with(&net.client, to);
    open.say("before");
    cmd("nft flush ruleset");
    assert!(!node.set(&Web::new()).is_empty());
    open.say("after");
    spreads_masqueraded(&net.client, to);
    // Routing too.
    cmd(
        "ip rule flush && ip rule add priority 32766 table main && ip -6 rule flush && ip -6 rule add priority 32766 table main",
    );
    cmd("ip rule add priority 0 table local; ip -6 rule add priority 0 table local; true");
    cmd("ip route flush table 8192; ip -6 route flush table 8192; true");
    assert!(!node.set(&Web::new()).is_empty());
    open.say("at the end");
    spreads_masqueraded(&net.client, to);
    assert!(node.set(&Web::new()).is_empty());
}

/// Another process finds everything, changes nothing, and the connection lives.
pub(crate) fn a_restart_finds_everything(layout: Layout, family: Family) {
    let web = Web::new().with("externalTrafficPolicy: Local");
    let (net, mut node) = Node::serving(layout, &web);
    let (mut open, _) = Conversation::with(&net.client, EXTERNAL_IP.port(family, PORT));
    node.reopen();
    let plan = node.set(&web);
    assert!(plan.is_empty(), "{plan}");
    open.say("after");
}

/// Nothing of it is left, and what others have is.
pub(crate) fn cleanup_leaves_nothing(layout: Layout, family: Family) {
    let web = Web::new().with("externalTrafficPolicy: Local");
    cmd("nft add table ip others && ip rule add priority 50 fwmark 7 table 100");
    let (net, mut node) = Node::serving(layout, &web);
    answer(&net.client, Protocol::Tcp, EXTERNAL_IP.port(family, PORT));
    cmd("ipvsadm -A -f 9999 -s rr");
    node.clean_up();
    // Of the tools of iptables that were looked for, empty tables stay.
    let left = cmd("nft list ruleset");
    assert!(
        left.contains("table ip others") && !left.contains("kube"),
        "{left}"
    );
    assert_eq!(cmd("ipvsadm -Sn"), "-A -f 9999 -s rr\n");
    for flag in ["-4", "-6"] {
        let rules = cmd(&format!("ip {flag} rule"));
        assert!(!rules.contains("0x2000"), "{rules}");
        let routes = cmd(&format!("ip {flag} route show table all"));
        assert!(!routes.contains("8192"), "{routes}");
    }
    assert!(cmd("ip rule").contains("fwmark 0x7"));
}

/// Marks are off where packets leave: no rule of others sees them.
pub(crate) fn no_mark_leaves_the_node(layout: Layout, family: Family) {
    let (net, mut node) = Node::serving(layout, &Web::new());
    count_marked();
    for policy in ["Cluster", "Local"] {
        node.set(&Web::new().with(&format!("externalTrafficPolicy: {policy}")));
        for to in split_addresses(family) {
            for from in [&net.client, &net.pod, &net.node] {
                let (mut open, _) = Conversation::with(from, to);
                open.say("a second packet");
                answer(from, Protocol::Udp, to);
            }
        }
    }
    assert_none_marked();
}

/// The same in the process of an image from scratch: no program can be found.
pub(crate) fn with_an_empty_path() {
    let status = std::process::Command::new("/proc/self/exe")
        .env_clear()
        .env(crate::WITHOUT_TOOLS, "1")
        .status()
        .unwrap();
    assert!(status.success());
}

/// Serves, reads back, cleans up. Runs in a process without PATH.
pub(crate) fn without_tools() {
    let mut config = Config::with_layout(Layout::Nftables);
    config.masquerade_all = true;
    let mut node = Node::unconnected(config);
    node.set(&Web::new().with("externalTrafficPolicy: Local"));
    assert!(
        node.set(&Web::new().with("externalTrafficPolicy: Local"))
            .is_empty()
    );
    node.clean_up();
}

impl Node {
    /// As another process would find it.
    pub(crate) fn reopen(&mut self) {
        self.kernel = open(self.config.layout);
    }

    /// Removes everything.
    pub(crate) fn clean_up(&mut self) {
        let observed = self.kernel.observe().unwrap();
        let host = self.kernel.host("node-a").unwrap();
        let nothing = Desired::nothing(&observed, &host);
        let applied = self.kernel.apply(&reconcile(&nothing, &observed));
        assert!(applied.is_ok(), "{:?}", applied.failures);
        let observed = self.kernel.observe().unwrap();
        let nothing = Desired::nothing(&observed, &host);
        assert!(reconcile(&nothing, &observed).is_empty());
        assert!(observed.tables.v4.is_none() && observed.tables.v6.is_none());
        assert!(observed.routing.rules.is_empty() && observed.routing.routes.is_empty());
    }
}
