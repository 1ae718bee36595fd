//! Against a real kernel: flows made by packets, listed as `conntrack` lists them, deleted exactly.
#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests fail by panicking"
)]

mod details;
mod events;
mod zones;

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::ops::ControlFlow;
use std::process::ExitCode;
use std::time::Duration;

use conntrack_netlink::{
    DumpItem, Error, EventKinds, Family, Flow, FlowKey, FlowUpdate, Mark, Monitor, Protocol, Tuple,
};
use kernel_test::{AnySocket, Needs, Test, cmd, cmd_input, modprobe, set_sysctl, tests};
use netlink_batch::uapi::NETLINK_NETFILTER;
use nix::unistd::{Gid, Uid, setresgid, setresuid};

fn main() -> ExitCode {
    let on_tokio = anywhere().into_iter().map(Test::on_tokio);
    // The guest's kernel has no zones, this machine's may have.
    let here = tests![
        zones::zones_of_this_kernel,
        zones::filters_by_zone,
        events::times_of_this_kernel,
    ]
    .map(|test| test.needs(Needs::NetNamespace));
    kernel_test::main(anywhere().into_iter().chain(on_tokio).chain(here))
}

/// The tests of both clients.
fn anywhere() -> impl IntoIterator<Item = Test> {
    tests![
        listed_as_conntrack_lists_them,
        packets_make_flows_and_those_that_match_are_deleted,
        deleting_what_is_gone_is_not_an_error,
        zones::a_kernel_without_zones,
        a_newer_flow_of_the_same_tuple_stays,
        six_thousand_flows,
        a_visitor_may_have_enough,
        through_ipvs_the_reply_comes_from_the_destination,
        details::filters_narrow_listings_and_deletions,
        details::updates_are_read_by_conntrack,
        details::what_cannot_be_changed_is_named,
        details::a_family_is_flushed_and_then_all,
        events::a_connection_from_its_first_packet_to_its_last,
        events::what_others_change_is_reported,
        events::more_than_the_buffer_holds,
        without_permission,
    ]
}

/// The blocking client, or the async one on a tokio runtime.
type Client = conntrack_netlink::Client<AnySocket>;

fn open() -> Result<Client, Error> {
    let connection = AnySocket::connect(NETLINK_NETFILTER);
    connection.map(Client::new).map_err(Error::Netlink)
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// What conntrack prints, without what a [`Flow`] does not have.
fn identity(line: &str) -> String {
    let mut words = line.split_whitespace();
    let name = format!("{:<8} {}", words.next().unwrap(), words.next().unwrap());
    let identifying = words.filter(|word| {
        word.split_once('=')
            .is_some_and(|(key, _)| !["mark", "use", "secctx"].contains(&key))
    });
    let words: Vec<_> = std::iter::once(name.as_str()).chain(identifying).collect();
    words.join(" ")
}

/// What `conntrack -L` lists.
fn theirs(family: Family) -> Vec<String> {
    let option = match family {
        Family::V4 => "ipv4",
        Family::V6 => "ipv6",
    };
    let listed = cmd(&format!("conntrack -L -f {option} 2>/dev/null"));
    let mut flows: Vec<_> = listed.lines().map(identity).collect();
    flows.sort();
    flows
}

fn ours(client: &mut Client, family: Family) -> Vec<String> {
    let flows = client.flows(family).unwrap();
    assert!(flows.iter().all(|flow| flow.family() == family));
    let mut flows: Vec<_> = flows.iter().map(ToString::to_string).collect();
    flows.sort();
    flows
}

/// Makes the kernel track, in this network namespace.
fn track() {
    for tool in ["iptables", "ip6tables"] {
        let rule = "-A INPUT -m conntrack --ctstate ESTABLISHED -j ACCEPT";
        cmd(&format!("{tool}-legacy {rule} || {tool} {rule}"));
    }
}

/// A server that sends back what it gets, for as long as the test lives.
fn echo(address: SocketAddr) {
    let server = UdpSocket::bind(address).unwrap();
    std::thread::spawn(move || {
        let mut buffer = [0; 64];
        while let Ok((length, from)) = server.recv_from(&mut buffer) {
            let _ = server.send_to(&buffer[..length], from);
        }
    });
}

/// Sends a packet there and waits for its answer. Returns the socket, so that its port stays its own.
fn ask(from: IpAddr, to: SocketAddr) -> UdpSocket {
    let client = UdpSocket::bind((from, 0)).unwrap();
    client
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    client.connect(to).unwrap();
    client.send(b"?").unwrap();
    assert_eq!(client.recv(&mut [0; 64]).unwrap(), 1);
    client
}

fn listed_as_conntrack_lists_them() {
    for line in [
        "-p udp -s 10.0.0.1 -d 10.96.0.10 --sport 40000 --dport 53 -r 10.244.1.5 -q 10.0.0.1 \
         --reply-port-src 5353 --reply-port-dst 40000",
        "-p tcp -s 2001:db8::1 -d fd00::1 --sport 40001 --dport 443 --state ESTABLISHED",
        "-p icmp -s 10.0.0.1 -d 10.0.0.2 --icmp-type 8 --icmp-code 0 --icmp-id 7",
        "-p icmpv6 -s fd00::1 -d fd00::2 --icmpv6-type 128 --icmpv6-code 0 --icmpv6-id 9",
        "-p 47 -s 10.0.0.1 -d 10.0.0.2 --srckey 1 --dstkey 2",
        "-p 50 -s 10.0.0.1 -d 10.0.0.2",
    ] {
        cmd(&format!("conntrack -I {line} -t 300 2>/dev/null"));
    }
    let mut client = open().unwrap();
    for (family, count) in [(Family::V4, 4), (Family::V6, 2)] {
        assert_eq!(ours(&mut client, family), theirs(family));
        assert_eq!(theirs(family).len(), count);
    }
    // Of every kind one is deleted by us, seen by them.
    for family in Family::ALL {
        let mut left = client.flows(family).unwrap();
        while let Some(flow) = left.pop() {
            assert_eq!(client.delete(&[flow.key()]), Ok(1), "{flow}");
            let mut rest: Vec<_> = left.iter().map(ToString::to_string).collect();
            rest.sort();
            assert_eq!(theirs(family), rest);
        }
    }
}

fn packets_make_flows_and_those_that_match_are_deleted() {
    track();
    cmd("ip addr add fd00::1/128 dev lo nodad");
    let servers: Vec<SocketAddr> = ["127.0.0.1:5301", "127.0.0.1:5302", "[fd00::1]:5301"]
        .map(|text| text.parse().unwrap())
        .into();
    let mut asked = Vec::new();
    for server in &servers {
        echo(*server);
        for _ in 0..3 {
            asked.push(ask(server.ip(), *server));
        }
    }
    let mut client = open().unwrap();
    let to = |flow: &Flow| {
        let port = flow.original.destination_port().unwrap();
        SocketAddr::from((flow.original.destination, port))
    };
    for family in Family::ALL {
        assert_eq!(ours(&mut client, family), theirs(family));
    }
    for question in &asked {
        let (from, server) = (
            question.local_addr().unwrap(),
            question.peer_addr().unwrap(),
        );
        let tuple = Tuple::ports(
            Protocol::UDP,
            (from.ip(), from.port()),
            (server.ip(), server.port()),
        );
        let flows = client.flows(Family::of(from.ip())).unwrap();
        assert!(flows.iter().any(|flow| flow.original == tuple), "{tuple}");
    }

    let left_of = |client: &mut Client, family| {
        let mut left: Vec<_> = client.flows(family).unwrap().iter().map(to).collect();
        left.sort();
        left
    };
    assert_eq!(
        client.delete_matching(Family::V4, |flow| to(flow) == servers[0]),
        Ok(3)
    );
    assert_eq!(left_of(&mut client, Family::V4), [servers[1]; 3]);
    assert_eq!(left_of(&mut client, Family::V6), [servers[2]; 3]);
    assert_eq!(client.delete_matching(Family::V4, |_| false), Ok(0));
    assert_eq!(client.delete_matching(Family::V6, |_| true), Ok(3));
    assert_eq!(theirs(Family::V4).len(), 3);
    assert_eq!(theirs(Family::V6).len(), 0);
}

/// Flows without packets: so many from one address, to port 53 of another.
fn make_flows(count: u16) -> Vec<Tuple> {
    let tuples: Vec<_> = (0..count)
        .map(|number| {
            let source = (ip("10.0.0.1"), 10_000 + number);
            Tuple::ports(Protocol::UDP, source, (ip("10.96.0.10"), 53))
        })
        .collect();
    let lines: Vec<_> = tuples
        .iter()
        .map(|tuple| {
            format!(
                "-I -p udp -s 10.0.0.1 -d 10.96.0.10 --sport {} --dport 53 -t 300\n",
                tuple.source_port().unwrap()
            )
        })
        .collect();
    cmd_input("conntrack --load-file - 2>/dev/null", &lines.concat());
    tuples
}

fn deleting_what_is_gone_is_not_an_error() {
    let tuples = make_flows(4);
    let mut client = open().unwrap();
    let keys: Vec<FlowKey> = tuples.iter().map(|tuple| (*tuple).into()).collect();
    assert_eq!(client.delete(&[]), Ok(0));
    assert_eq!(client.delete(&keys[1..2]), Ok(1));
    assert_eq!(client.delete(&keys), Ok(3));
    assert_eq!(client.delete(&keys), Ok(0));
    assert_eq!(theirs(Family::V4), [""; 0]);
}

fn a_newer_flow_of_the_same_tuple_stays() {
    let mut client = open().unwrap();
    let tuples = make_flows(1);
    let old = client.flows(Family::V4).unwrap();
    assert_eq!(client.delete(&[tuples[0].into()]), Ok(1));
    // The id of the new flow is made of its place in memory, which may be that of the old one.
    let other = old[0].key().with_id(old[0].id.unwrap() ^ 1);
    make_flows(1);
    assert_eq!(client.delete(&[other]), Ok(0));
    assert_eq!(theirs(Family::V4).len(), 1);
    assert_eq!(client.delete(&[tuples[0].into()]), Ok(1));
}

fn six_thousand_flows() {
    let tuples = make_flows(6000);
    let mut client = open().unwrap();
    assert_eq!(client.flows(Family::V4).unwrap().len(), 6000);
    let even = |flow: &Flow| flow.original.source_port().unwrap() % 2 == 0;
    assert_eq!(client.delete_matching(Family::V4, even), Ok(3000));
    let left = client.flows(Family::V4).unwrap();
    assert!(left.len() == 3000 && !left.iter().any(even));
    assert_eq!(cmd("conntrack -C"), "3000\n");
    let keys: Vec<FlowKey> = tuples.iter().map(|tuple| (*tuple).into()).collect();
    assert_eq!(client.delete(&keys), Ok(3000));
    assert_eq!(cmd("conntrack -C"), "0\n");
}

fn a_visitor_may_have_enough() {
    make_flows(2000);
    let mut client = open().unwrap();
    let mut seen = 0;
    let third = client.visit(Family::V4, |listed| {
        seen += u32::from(matches!(listed, DumpItem::Flow(_)));
        match listed {
            DumpItem::Flow(flow) if seen == 3 => ControlFlow::Break(flow),
            _ => ControlFlow::Continue(()),
        }
    });
    assert_eq!(seen, 3);
    // What was broken off is not in the way of the next.
    let all = client.flows(Family::V4).unwrap();
    assert_eq!(all.len(), 2000);
    assert!(all.contains(&third.unwrap().unwrap()));
}

/// What a service proxy asks for when a destination is gone.
fn through_ipvs_the_reply_comes_from_the_destination() {
    modprobe("ip_vs_rr");
    set_sysctl("net.ipv4.vs.conntrack", "1");
    track();
    cmd("ip addr add 10.96.0.10/32 dev lo && ip addr add 10.244.1.5/32 dev lo");
    cmd("ip addr add 10.244.1.6/32 dev lo && ip addr add 10.0.0.1/32 dev lo");
    cmd_input(
        "ipvsadm -R",
        "-A -u 10.96.0.10:53 -s rr
         -a -u 10.96.0.10:53 -r 10.244.1.5:5353 -m
         -a -u 10.96.0.10:53 -r 10.244.1.6:5353 -m",
    );
    let service: SocketAddr = "10.96.0.10:53".parse().unwrap();
    let destinations = [ip("10.244.1.5"), ip("10.244.1.6")];
    for destination in destinations {
        echo((destination, 5353).into());
    }
    let asked: Vec<_> = (0..4).map(|_| ask(ip("10.0.0.1"), service)).collect();

    let mut client = open().unwrap();
    let flows = client.flows(Family::V4).unwrap();
    let through: Vec<_> = flows
        .iter()
        .filter(|flow| flow.original.destination == service.ip())
        .collect();
    assert_eq!(through.len(), asked.len(), "{}", cmd("conntrack -L"));
    for destination in destinations {
        let there = through.iter().filter(|flow| {
            (flow.reply.source, flow.reply.source_port()) == (destination, Some(5353))
        });
        assert_eq!(there.count(), 2);
    }
    let deleted = client.delete_matching(Family::V4, |flow| {
        flow.original.protocol == Protocol::UDP
            && flow.original.destination == service.ip()
            && flow.original.destination_port() == Some(service.port())
            && flow.reply.source == destinations[0]
    });
    assert_eq!(deleted, Ok(2));
    let listed = cmd("conntrack -L -p udp -d 10.96.0.10 2>/dev/null");
    assert_eq!(listed.matches("src=10.244.1.6").count(), 2, "{listed}");
    assert!(!listed.contains("10.244.1.5"), "{listed}");
}

/// Runs last in its process: there is no way back to root.
fn without_permission() {
    let tuples = make_flows(1);
    let nobody = (Uid::from_raw(65534), Gid::from_raw(65534));
    setresgid(nobody.1, nobody.1, nobody.1).unwrap();
    setresuid(nobody.0, nobody.0, nobody.0).unwrap();

    let mut client = open().unwrap();
    assert_eq!(client.flows(Family::V4), Err(Error::NotPermitted));
    let deleted = client.delete(&[tuples[0].into()]);
    assert_eq!(deleted, Err(Error::NotPermitted));
    let update = FlowUpdate::new(tuples[0]).mark(Mark::exactly(1));
    assert_eq!(client.update(&[update]), Err(Error::NotPermitted));
    assert_eq!(client.flush(), Err(Error::NotPermitted));
    let monitor = Monitor::over(EventKinds::all(), AnySocket::new);
    assert_eq!(monitor.unwrap_err(), Error::NotPermitted);
    assert!(Error::NotPermitted.to_string().contains("CAP_NET_ADMIN"));
}
