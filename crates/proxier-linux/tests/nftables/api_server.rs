//! A Service with the API server's own address.

use proxier::cluster::Family;
use proxier::{Conflict, Holder, Layout};
use scenarios::client::{Protocol, answer};
use scenarios::servers::serve;
use scenarios::topology::POD;

use crate::packets::{OTHER_NODE, other_node};
use crate::proxy::{Node, PORT, TARGET, Web};

const API_PORT: u16 = 6443;

/// Its other ports are served, and at its port only itself: the Service that wants it is a conflict.
pub(crate) fn keeps_its_port(layout: Layout, family: Family) {
    let addresses = format!("externalIPs: ['{}', '{}']", OTHER_NODE.0, OTHER_NODE.1);
    let (net, mut node) = Node::serving(layout, &Web::new());
    other_node(&net);
    serve(&net.elsewhere, "api", API_PORT);
    let api = OTHER_NODE.port(family, API_PORT);
    let other = OTHER_NODE.port(family, PORT);
    let web = Web::new()
        .instead(&addresses)
        .port("api", API_PORT, TARGET, "TCP", "");
    // Like any other node's address, as long as nobody knows better.
    node.set(&web);
    assert_eq!(node.conflicts, []);
    assert_ne!(answer(&net.node, Protocol::Tcp, api).by, "api");
    node.api_servers = [api].into();
    node.set(&web);
    let of_api = |conflict: &&Conflict| conflict.holder == Holder::ApiServer;
    assert_eq!(node.conflicts.iter().filter(of_api).count(), 1);
    for from in [&net.node, &net.pod] {
        let by: Vec<_> = (0..2)
            .map(|_| answer(from, Protocol::Tcp, other).by)
            .collect();
        assert!(by.iter().all(|by| by != "api") && by[0] != by[1], "{by:?}");
        assert_eq!(answer(from, Protocol::Tcp, api).by, "api");
    }
    let seen = answer(&net.pod, Protocol::Tcp, api).seen;
    assert_eq!(seen, POD.of(family));
}
