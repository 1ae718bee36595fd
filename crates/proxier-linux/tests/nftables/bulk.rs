//! Whole files, over ways of any MTU.

use std::io::{Read as _, Write as _};
use std::net::{Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use kernel_test::{Netns, cmd, set_sysctl};
use proxier::Layout;
use proxier::cluster::Family;

use crate::proxy::{CLUSTER_IP, EXTERNAL_IP, Node, Web};

/// Answers with what it was sent, 200 kB.
fn echo(netns: &Netns) {
    let all = SocketAddr::from((Ipv6Addr::UNSPECIFIED, TARGET_OF_BULK));
    let tcp = netns.run(|| TcpListener::bind(all).unwrap());
    thread::spawn(move || {
        for mut stream in tcp.incoming().flatten() {
            thread::spawn(move || {
                let mut bytes = vec![0; BULK];
                stream.read_exact(&mut bytes)?;
                stream.write_all(&bytes)
            });
        }
    });
}

const BULK: usize = 200_000;
const BULK_PORT: u16 = 81;
const TARGET_OF_BULK: u16 = 8081;

/// Sends 200 kB, and has them come back.
#[track_caller]
fn transfers(who: &str, from: &Netns, to: SocketAddr) {
    let patience = Duration::from_secs(60);
    let stream = from.run(|| TcpStream::connect_timeout(&to, patience));
    let mut stream = stream.unwrap_or_else(|error| panic!("{who} to {to}: {error}"));
    stream.set_read_timeout(Some(patience)).unwrap();
    let sent: Vec<u8> = (0..251).cycle().take(BULK).collect();
    let mut writer = stream.try_clone().unwrap();
    let out = sent.clone();
    let writing = thread::spawn(move || writer.write_all(&out));
    let mut back = vec![0; BULK];
    stream
        .read_exact(&mut back)
        .unwrap_or_else(|error| panic!("{who} to {to}: {error}"));
    assert!(
        back == sent,
        "what came back from {to} is not what was sent"
    );
    writing.join().unwrap().unwrap();
}

/// Whole files, from everywhere, and over ways with a smaller MTU, where only an ICMP error to the Service's address
/// says so.
pub(crate) fn path_mtu(layout: Layout, family: Family) {
    let (net, mut node) = Node::serving(layout, &Web::new().bulk());
    echo(&net.pod);
    echo(&net.elsewhere);
    let far = Netns::new().unwrap();
    far.run(|| set_sysctl("net.ipv6.conf.default.accept_dad", "0"));
    net.client.run(|| {
        set_sysctl("net.ipv4.ip_forward", "1");
        set_sysctl("net.ipv6.conf.all.forwarding", "1");
    });
    net.client.veth("far0", &far, "eth0");
    net.client.cmd(
        "ip address add 192.168.40.1/24 dev far0 && ip address add 2001:db8:40::1/64 dev far0 nodad \
         && ip route replace 192.168.40.0/24 dev far0 mtu lock 1300 \
         && ip -6 route replace 2001:db8:40::/64 dev far0 mtu lock 1300",
    );
    far.cmd(
        "ip address add 192.168.40.2/24 dev eth0 && ip address add 2001:db8:40::2/64 dev eth0 nodad \
         && ip route add default via 192.168.40.1 && ip route add default via 2001:db8:40::1",
    );
    let (cluster, external) = (
        CLUSTER_IP.port(family, BULK_PORT),
        EXTERNAL_IP.port(family, BULK_PORT),
    );
    let all = [
        ("node", &net.node),
        ("pod", &net.pod),
        ("client", &net.client),
        ("far", &far),
    ];
    for (who, from) in all {
        for to in [cluster, cluster, external] {
            transfers(who, from, to);
        }
    }
    // The client's address is kept, so this is another path to the pod.
    node.set(&Web::new().bulk().with("externalTrafficPolicy: Local"));
    transfers("far, split", &far, external);
    // The way to the other node.
    cmd("ip route replace 10.244.2.0/24 dev eth2 mtu lock 1300 \
         && ip -6 route replace fd00:10:244:2::/64 dev eth2 mtu lock 1300");
    for (who, from) in all {
        transfers(who, from, cluster);
        transfers(who, from, cluster);
    }
}
