//! Endpoints that shut down: what is open goes on, and what is new does not hang.

use std::net::SocketAddr;

use kernel_test::set_sysctl;
use proxier::Layout;
use proxier::cluster::Family;
use scenarios::client::{Conversation, Protocol, answer, answers, assert_dropped, assert_refused};
use scenarios::topology::{NODE, Topology};

use crate::proxy::{BALANCER, CLUSTER_IP, EXTERNAL_IP, Endpoint, NODE_PORT, Node, PORT, Web};

/// All endpoints drain: connections go on, and new ones are refused at every address from everywhere.
pub(crate) fn of_all_endpoints(layout: Layout, family: Family) {
    let both = [Endpoint::Here, Endpoint::Elsewhere];
    let (net, mut node) = Node::serving(layout, &Web::new());
    // A burst of refusals, each of which is wanted.
    set_sysctl("net.ipv4.icmp_ratelimit", "0");
    set_sysctl("net.ipv6.icmp.ratelimit", "0");
    let addresses = [
        CLUSTER_IP.port(family, PORT),
        EXTERNAL_IP.port(family, PORT),
        BALANCER.port(family, PORT),
        NODE.port(family, NODE_PORT),
    ];
    let clients = [&net.client, &net.pod, &net.node];
    let mut open = Vec::new();
    for from in clients {
        for to in addresses {
            // One to each endpoint.
            open.extend([
                Conversation::with(from, to).0,
                Conversation::with(from, to).0,
            ]);
        }
    }
    for policy in ["Cluster", "Local"] {
        let web = Web::new().terminating(&both);
        node.set(&web.with(&format!("externalTrafficPolicy: {policy}")));
        for conversation in &mut open {
            conversation.say("still here");
        }
        for from in clients {
            for to in addresses {
                // The node itself may not even send by UDP: that is no ICMP to it.
                if !std::ptr::eq(from, &net.node) {
                    assert_refused(from, Protocol::Udp, to);
                }
                assert_refused(from, Protocol::Tcp, to);
            }
        }
    }
}

/// `externalTrafficPolicy: Local`, and the endpoints of this node drain: what the outside has open goes on, what it opens is
/// dropped; pods and the node get those elsewhere.
pub(crate) fn of_local_endpoints(layout: Layout, family: Family) {
    let web = Web::new().with("externalTrafficPolicy: Local");
    let (net, mut node) = Node::serving(layout, &web);
    let addresses = [EXTERNAL_IP.port(family, PORT), NODE.port(family, NODE_PORT)];
    let mut open: Vec<_> = addresses
        .iter()
        .map(|to| Conversation::with(&net.client, *to).0)
        .collect();
    node.set(&web.clone().terminating(&[Endpoint::Here]));
    for (conversation, to) in open.iter_mut().zip(addresses) {
        conversation.say("still here");
        for protocol in Protocol::BOTH {
            assert_dropped(&net.client, protocol, to);
            assert_eq!(answer(&net.pod, protocol, to).by, "elsewhere");
        }
    }
    // Then none is left anywhere.
    node.set(
        &web.clone()
            .terminating(&[Endpoint::Here, Endpoint::Elsewhere]),
    );
    for (conversation, to) in open.iter_mut().zip(addresses) {
        conversation.say("alone");
        assert_refused(&net.client, Protocol::Tcp, to);
    }
    // They come back.
    node.set(&web);
    for (conversation, to) in open.iter_mut().zip(addresses) {
        conversation.say("at the end");
        assert_eq!(answer(&net.client, Protocol::Tcp, to).by, "pod");
    }
}

/// `externalTrafficPolicy` becomes `Local`: what the outside has open to either pod goes on, and what is new stays here.
pub(crate) fn to_policy_local(layout: Layout, family: Family) {
    let (net, mut node) = Node::serving(layout, &Web::new());
    let mut open: Vec<_> = outside(family)
        .into_iter()
        .flat_map(|to| [(); 2].map(|()| Conversation::with(&net.client, to).0))
        .collect();
    node.set(&Web::new().with("externalTrafficPolicy: Local"));
    for conversation in &mut open {
        conversation.say("still here");
    }
    for to in outside(family) {
        for _ in 0..3 {
            assert_eq!(answer(&net.client, Protocol::Tcp, to).by, "pod");
        }
    }
}

/// It becomes `Cluster`: what the outside has open here goes on, and the virtual server by mark stays until it has ended.
pub(crate) fn to_policy_cluster(layout: Layout, family: Family) {
    let local = Web::new().with("externalTrafficPolicy: Local");
    let (net, mut node) = Node::serving(layout, &local);
    let to = outside(family);
    let mut open = to.map(|to| Conversation::with(&net.client, to).0);
    let by_mark = |net: &Topology| net.node.cmd("ipvsadm -Sn").contains("-f ");
    node.set(&Web::new());
    for conversation in &mut open {
        conversation.say("still here");
    }
    for to in to {
        let by = answers(&net.client, Protocol::Tcp, to, 6);
        assert_eq!(by.len(), 2, "{by:?}");
    }
    node.set(&Web::new());
    for conversation in &mut open {
        conversation.say("after another look");
    }
    assert!(by_mark(&net));
    open.iter_mut().for_each(Conversation::bye);
    drop(open);
    node.set(&Web::new());
    assert!(!by_mark(&net));
}

/// All addresses of the Service but the cluster IP.
fn outside(family: Family) -> [SocketAddr; 3] {
    [
        EXTERNAL_IP.port(family, PORT),
        BALANCER.port(family, PORT),
        NODE.port(family, NODE_PORT),
    ]
}
