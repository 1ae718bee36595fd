//! Node ports at 127.0.0.1, where the configuration asks for them.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpStream};

use kernel_test::sysctl;
use proxier::cluster::Family;
use serde_json::json;

use super::{PODS, config, reach, topology, without_tools};
use crate::api_server::ApiServer;
use crate::cluster::{STEADY, service, steady};
use scenarios::client::{Protocol, answer};
use scenarios::topology::POD;

const SETTING: &str = "net.ipv4.conf.all.route_localnet";

/// They are there while the file asks for them, and with them the setting that they need.
pub(crate) fn node_ports_come_and_go_with_the_option() {
    let net = topology();
    let server = ApiServer::start();
    steady(&server, &[&POD.of(Family::V4).to_string()]);
    let mut exposed = service("steady", STEADY);
    exposed["spec"]["type"] = json!("NodePort");
    for port in exposed["spec"]["ports"].as_array_mut().unwrap() {
        port["nodePort"] = json!(30080);
    }
    server.put(exposed);
    let fields = |asked: bool| {
        format!("{PODS}ipvs: {{minSyncPeriod: 100ms}}\niptables: {{localhostNodePorts: {asked}}}\n")
    };
    let setup = without_tools(&server, &fields(true));
    let mut daemon = setup.started();
    let mut with = config();
    with.localhost_node_ports = Some(true);
    let to: SocketAddr = "127.0.0.1:30080".parse().unwrap();
    for _ in 0..2 {
        reach(&mut daemon, &server, &with);
        assert_eq!(sysctl(SETTING), "1");
        for protocol in Protocol::BOTH {
            assert_eq!(answer(&net.node, protocol, to).by, "pod", "{protocol:?}");
        }

        setup.reconfigure(&fields(false));
        reach(&mut daemon, &server, &config());
        assert_eq!(sysctl(SETTING), "0");
        let refused = net
            .node
            .run(move || TcpStream::connect(to).map_err(|error| error.kind()));
        assert_eq!(refused.err(), Some(ErrorKind::ConnectionRefused));
        setup.reconfigure(&fields(true));
    }
}
