//! A node between a pod of its own and the pods behind Services.

use kernel_test::{Netns, cmd_input, set_sysctl};

/// The network of all pods.
pub(crate) const PODS: &str = "100.0.0.0/8";
/// The port that pods behind Services listen on, as [`benches::cluster`] has it.
pub(crate) const TARGET: u16 = 8080;

/// Three network namespaces in a row: `client` (100.200.0.2), `node`, and `server`, which has all addresses from 100.0.0.0
/// to 100.63.255.255.
pub(crate) struct Network {
    pub(crate) node: Netns,
    pub(crate) client: Netns,
    pub(crate) server: Netns,
}

impl Network {
    pub(crate) fn new() -> Self {
        let [node, client, server] = [(); 3].map(|()| Netns::new().expect("a network namespace"));
        node.veth("client0", &client, "eth0");
        node.veth("server0", &server, "eth0");
        node.run(|| set_sysctl("net.ipv4.ip_forward", "1"));
        ip(
            &node,
            "address add 100.200.0.1/24 dev client0
            address add 192.168.10.10/24 dev server0
            route add 100.0.0.0/10 via 192.168.10.2
            route add default via 192.168.10.2",
        );
        ip(
            &client,
            "address add 100.200.0.2/24 dev eth0
            route add default via 100.200.0.1",
        );
        ip(
            &server,
            "address add 192.168.10.2/24 dev eth0
            route add local 100.0.0.0/10 dev lo
            route add default via 192.168.10.10",
        );
        Self {
            node,
            client,
            server,
        }
    }
}

fn ip(netns: &Netns, lines: &str) {
    netns.run(|| cmd_input("ip -batch -", lines));
}
