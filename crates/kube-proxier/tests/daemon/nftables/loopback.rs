//! Node ports at 127.0.0.1, where the configuration asks for them.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpStream};
use std::process::Command;

use kernel_test::{cmd, set_sysctl, sysctl};
use proxier::cluster::Family;
use serde_json::json;

use super::{PODS, config, reach, topology, without_tools};
use crate::api_server::ApiServer;
use crate::cluster::{STEADY, service, steady};
use crate::daemon::BINARY;
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

/// A kernel without the module that draws slots cannot have such a table, which the doctor says before the daemon finds out.
pub(crate) fn the_doctor_looks_for_what_they_need() {
    const LOADER: &str = "kernel.modprobe";
    let says = |flags: &[&str]| {
        let mut doctor = Command::new(BINARY);
        let output = doctor
            .args(["doctor", "--layout=nftables"])
            .args(flags)
            .output();
        String::from_utf8(output.unwrap().stdout).unwrap()
    };
    let misses = |flags: &[&str]| says(flags).contains("nft_numgen");
    let asked: &[&str] = &["--iptables-localhost-nodeports"];
    assert!(!misses(asked), "{}", says(asked));
    // The namespace of another test may have such a table for a moment.
    cmd("for n in $(seq 50); do rmmod nft_numgen && exit; sleep 0.1; done; exit 1");
    let loader = sysctl(LOADER);
    set_sysctl(LOADER, "/bin/false");
    let missed = [misses(asked), misses(&[])];
    set_sysctl(LOADER, &loader);
    assert_eq!(missed, [true, false]);
}
