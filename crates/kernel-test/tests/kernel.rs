//! The environment of a test in the guest, and the helpers.
#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::ExitCode;
use std::{fs, io, thread};

use kernel_test::{
    Link, Namespace, Needs, Netns, Test, cmd, cmd_input, set_sysctl, sysctl, tests, try_cmd,
};

fn main() -> ExitCode {
    let anywhere = tests![
        ipvs_keeps_what_ipvsadm_adds,
        ipvs_starts_empty_here_too,
        modules_load_when_asked_for,
        lo_is_up_and_nothing_else_is_there,
        connections_go_through_ipvs,
    ];
    let here =
        tests![a_network_namespace_of_this_machine].map(|test| test.needs(Needs::NetNamespace));
    // It takes /dev/net/tun, which few machines that build software have.
    let linked = Test::new("a_link_to_this_machine", a_link_to_this_machine)
        .beside(greeting)
        .ignored();
    kernel_test::main(anywhere.into_iter().chain(here).chain([linked]))
}

const SERVICE: &str = "-A -t 10.0.0.1:80 -s rr\n";

fn ipvs_keeps_what_ipvsadm_adds() {
    assert_eq!(cmd("ipvsadm -Sn"), "");
    cmd_input("ipvsadm -R", SERVICE);
    assert_eq!(cmd("ipvsadm -Sn"), SERVICE);
}

/// The same again: it would find the other test's service if they shared a namespace.
fn ipvs_starts_empty_here_too() {
    ipvs_keeps_what_ipvsadm_adds();
}

fn modules_load_when_asked_for() {
    cmd("ipvsadm -A -t 10.0.0.1:80 -s mh"); // ip_vs_mh, by the kernel
    cmd("ipset create set hash:ip,port"); // ip_set and its type, by the kernel
    cmd("iptables-legacy -t nat -A POSTROUTING -m set --match-set set dst,dst -j MASQUERADE"); // by iptables
    kernel_test::modprobe("br_netfilter");
    assert_eq!(sysctl("net.bridge.bridge-nf-call-iptables"), "1");
    let unknown = try_cmd("ipvsadm -A -t 10.0.0.1:81 -s unheard").unwrap_err();
    assert_eq!(unknown.code(), Some(255), "{unknown}");
}

fn lo_is_up_and_nothing_else_is_there(namespace: &Namespace) {
    let links = cmd("ip -o link");
    assert!(links.contains("1: lo: <LOOPBACK,UP"), "{links}");
    // Kernels make some links (sit0, tunl0) in every namespace, none of them up.
    assert_eq!(links.matches(",UP").count(), 1, "{links}");
    // Namespaces have their settings to themselves.
    let other = Netns::new().unwrap();
    set_sysctl("net.ipv4.ip_forward", "1");
    other.run(|| set_sysctl("net.ipv4.ip_forward", "0"));
    assert_eq!(sysctl("net.ipv4.ip_forward"), "1");
    assert_eq!(
        namespace.netns().cmd("cat /proc/sys/net/ipv4/ip_forward"),
        "1\n"
    );
    assert_eq!(other.cmd("cat /proc/sys/net/ipv4/ip_forward"), "0\n");
    // Named ones are the test's own too.
    cmd("ip netns add here && ip netns exec here true");
}

/// Client, node and backend, each in a namespace: the node balances by translating addresses.
fn connections_go_through_ipvs(namespace: &Namespace) -> Result<(), Box<dyn std::error::Error>> {
    let node = namespace.netns();
    let (client, backend) = (Netns::new()?, Netns::new()?);
    client.veth("eth0", node, "client");
    backend.veth("eth0", node, "backend");
    node.cmd("ip addr add 192.168.1.1/24 dev client && ip addr add 192.168.2.1/24 dev backend");
    client.cmd("ip addr add 192.168.1.2/24 dev eth0 && ip route add default via 192.168.1.1");
    backend.cmd("ip addr add 192.168.2.2/24 dev eth0 && ip route add default via 192.168.2.1");
    node.run(|| set_sysctl("net.ipv4.ip_forward", "1"));
    cmd("ipvsadm -A -t 192.168.1.1:80 -s rr");
    cmd("ipvsadm -a -t 192.168.1.1:80 -r 192.168.2.2:8080 -m");

    let listener = backend.run(|| TcpListener::bind("192.168.2.2:8080"))?;
    let server = backend.spawn(move || -> io::Result<String> {
        let (mut stream, peer) = listener.accept()?;
        stream.write_all(b"hello")?;
        Ok(peer.ip().to_string())
    });
    let mut text = String::new();
    client
        .run(|| TcpStream::connect("192.168.1.1:80"))?
        .read_to_string(&mut text)?;
    assert_eq!(text, "hello");
    // IPVS keeps the client's address.
    assert_eq!(
        server.join().map_err(|_| "server panicked")??,
        "192.168.1.2"
    );
    Ok(())
}

fn a_network_namespace_of_this_machine() {
    assert_eq!(std::env::var_os("KERNEL_TEST_IN_GUEST"), None);
    assert_eq!(fs::read_dir("/run/netns").unwrap().count(), 0);
    cmd("ip address add 10.0.0.1/32 dev lo");
    assert!(cmd("ip -o address show dev lo").contains(" 10.0.0.1/32 "));
}

/// Greets who connects, on this machine; the guest's kernel is another.
fn greeting() {
    let listener = TcpListener::bind((Link::MACHINE, 7)).unwrap();
    thread::spawn(move || {
        let (mut stream, peer) = listener.accept().unwrap();
        assert_eq!(peer.ip(), Link::GUEST);
        let release = sysctl("kernel.osrelease");
        writeln!(stream, "{release} {}", cmd("ip -br link").lines().count()).unwrap();
    });
}

fn a_link_to_this_machine() {
    let mut text = String::new();
    let stream = TcpStream::connect((Link::MACHINE, 7));
    stream.unwrap().read_to_string(&mut text).unwrap();
    let (release, links) = text.trim().split_once(' ').unwrap();
    assert_ne!(release, sysctl("kernel.osrelease"));
    // `lo` and the link.
    assert_eq!(links, "2");
}
