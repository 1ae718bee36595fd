//! Random clusters, configurations, machines and states found. Names, addresses and ports come from small
//! supplies, so that they meet.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::num::{NonZeroU16, NonZeroU32};
use std::sync::Arc;

use proptest::collection::{btree_set, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use proxier::cluster::{
    AffinityScope, Cluster, DrainLimit, Endpoint, EndpointPort, EndpointSlice, Family, Forwarding,
    Hints, Host, Masquerading, Node, ObjectName, PortRange, Service, ServiceOptions, ServicePort,
    ServiceType, TrafficPolicy,
};
use proxier::{Config, DetectLocal, Layout, NodePortAddresses, Observed};

use ipvs_netlink::{Protocol, Scheduler, ServiceFlags, Timeouts};

/// A cluster, where it is seen from, and what that machine's kernel holds at first.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) cluster: Cluster,
    pub(crate) host: Host,
    pub(crate) config: Config,
    pub(crate) found: Observed,
}

pub(crate) fn case() -> impl Strategy<Value = Case> {
    (cluster(), host(), config(), crate::found::found()).prop_map(
        |(cluster, host, config, found)| Case {
            cluster,
            host,
            config,
            found,
        },
    )
}

fn v4(net: [u8; 3], last: u8) -> IpAddr {
    Ipv4Addr::new(net[0], net[1], net[2], last).into()
}

fn v6(net: u16, last: u16) -> IpAddr {
    Ipv6Addr::new(0xfd00, net, 0, 0, 0, 0, 0, last).into()
}

fn addresses(
    v4s: Vec<IpAddr>,
    v6s: Vec<IpAddr>,
    most: usize,
) -> impl Strategy<Value = Vec<IpAddr>> {
    let all: Vec<_> = v4s.into_iter().chain(v6s).collect();
    subsequence(all, 0..=most)
}

fn protocol() -> impl Strategy<Value = Protocol> {
    select(vec![
        Protocol::TCP,
        Protocol::TCP,
        Protocol::UDP,
        Protocol::SCTP,
    ])
}

fn policy() -> impl Strategy<Value = TrafficPolicy> {
    select(vec![TrafficPolicy::Cluster, TrafficPolicy::Local])
}

fn service_ports() -> impl Strategy<Value = Vec<ServicePort>> {
    let port = (
        protocol(),
        select(vec![80u16, 81, 443]),
        option::of(30_000u16..30_004),
    );
    vec(port, 0..3).prop_map(|ports| {
        let names = ["", "b", "c"];
        let port = |(name, (protocol, port, node_port)): (&&str, (Protocol, u16, Option<u16>))| {
            let mut port = ServicePort::new(*name, protocol, NonZeroU16::new(port).unwrap());
            port.node_port = node_port.and_then(NonZeroU16::new);
            port
        };
        names.iter().zip(ports).map(port).collect()
    })
}

fn service(name: u8) -> impl Strategy<Value = Service> {
    let types = [
        ServiceType::ClusterIp,
        ServiceType::NodePort,
        ServiceType::LoadBalancer,
    ];
    let ranges = [
        "10.0.0.0/8",
        "192.168.0.0/16",
        "0.0.0.0/0",
        "fd00::/8",
        "2001:db8::/32",
    ];
    let what = (
        select(types.to_vec()),
        // Mostly its own cluster IP, sometimes one that another has.
        (option::of(0..12u8), option::of(0..12u8), any::<bool>()),
        addresses(
            (1..3)
                .map(|n| v4([203, 0, 113], n))
                .chain([v4([192, 168, 10], 10)])
                .collect(),
            vec![v6(3, 1)],
            2,
        ),
        addresses(
            (1..3).map(|n| v4([198, 51, 100], n)).collect(),
            vec![v6(4, 1)],
            2,
        ),
        subsequence(ranges.to_vec(), 0..3),
        service_ports(),
    );
    let how = (
        option::weighted(0.4, 1..86_400u32),
        policy(),
        policy(),
        option::of(31_000..31_002u16),
        option::of(0..3i64),
        proptest::bool::weighted(0.05),
        options(),
    );
    (what, how).prop_map(move |(what, how)| {
        let (service_type, (own_v4, own_v6, own), external_ips, load_balancer_ips, ranges, ports) =
            what;
        let (affinity_seconds, internal, external, health, created, other_proxy, options) = how;
        let ip = |n: u8| if own { name * 16 } else { n };
        let cluster_ips = own_v4
            .map(|n| v4([10, 0, 0], ip(n) + 1))
            .into_iter()
            .chain(own_v6.map(|n| v6(1, u16::from(ip(n)) + 1)));
        let mut service = Service::new(
            ObjectName::new("default", format!("s{name}")),
            cluster_ips.collect(),
        );
        service.service_type = service_type;
        service.external_ips = external_ips;
        service.load_balancer_ips = load_balancer_ips;
        service.source_ranges = ranges.iter().map(|range| range.parse().unwrap()).collect();
        service.ports = ports;
        service.affinity_seconds = affinity_seconds;
        service.internal_policy = internal;
        service.external_policy = external;
        service.health_check_node_port = health.and_then(NonZeroU16::new);
        service.created = created;
        service.other_proxy = other_proxy;
        service.options = options;
        service
    })
}

/// Ranges that overlap one another, ports of Services and node ports, or do not.
fn port_ranges() -> impl Strategy<Value = Vec<PortRange>> {
    let range = |protocol, first, last| {
        let [first, last] = [first, last].map(|port| NonZeroU16::new(port).unwrap());
        PortRange::new(protocol, first, last).unwrap()
    };
    let all = vec![
        range(Protocol::TCP, 80, 82),
        range(Protocol::TCP, 82, 90),
        range(Protocol::TCP, 30_000, 30_002),
        range(Protocol::UDP, 1, 443),
        range(Protocol::UDP, 500, 500),
        PortRange::all(Protocol::SCTP),
        PortRange::all(Protocol::TCP),
    ];
    prop_oneof![1 => Just(Vec::new()), 1 => subsequence(all, 1..=3)].prop_map(PortRange::merge)
}

/// What annotations ask for: mostly nothing.
pub(crate) fn options() -> impl Strategy<Value = Option<Box<ServiceOptions>>> {
    let schedulers = vec![
        Scheduler::SH,
        Scheduler::MH,
        Scheduler::WRR,
        Scheduler::TWOS,
    ];
    let flags = vec![
        ServiceFlags::empty(),
        ServiceFlags::SCHED_2,
        ServiceFlags::SCHED_1 | ServiceFlags::SCHED_2,
    ];
    // The lower one is at most the upper one.
    let thresholds = option::of((3..5u32, option::of(1..4u32)));
    let all = (
        option::of(select(schedulers)),
        option::of(select(flags)),
        thresholds,
        option::of(select(vec![
            DrainLimit::Idle,
            DrainLimit::GracePeriod,
            DrainLimit::Seconds(0),
            DrainLimit::Seconds(30),
        ])),
        any::<bool>(),
        option::of(select(vec![
            Forwarding::Masquerade,
            Forwarding::Direct,
            Forwarding::Ipip,
            Forwarding::Gue(NonZeroU16::MIN),
        ])),
        port_ranges(),
        option::of(select(vec![
            AffinityScope::EachPort,
            AffinityScope::AllPorts,
        ])),
        option::of(select(vec![
            Masquerading::Default,
            Masquerading::Never,
            Masquerading::Always,
        ])),
        subsequence(
            vec!["172.20.0.0/16", "192.168.0.0/16", "2001:db8:20::/64"],
            0..=2,
        ),
    );
    let all = all.prop_map(
        |(
            scheduler,
            flags,
            thresholds,
            drain,
            drain_udp,
            forwarding,
            ports,
            affinity,
            masquerade,
            networks,
        )| {
            let mut options = ServiceOptions::default();
            options.scheduler = scheduler;
            options.scheduler_flags = flags.filter(|_| scheduler.is_some());
            options.drain = drain;
            options.drain_udp = drain_udp;
            options.forwarding = forwarding;
            options.ports = ports;
            options.affinity = affinity;
            options.masquerade = masquerade;
            let networks = networks.iter().map(|network| network.parse().unwrap());
            options.masquerade_networks = networks.collect();
            if let Some((upper, lower)) = thresholds {
                options.upper_threshold = NonZeroU32::new(upper);
                options.lower_threshold = lower.and_then(NonZeroU32::new);
            }
            Some(Box::new(options)).filter(|options| **options != ServiceOptions::default())
        },
    );
    prop_oneof![2 => Just(None), 1 => all]
}

fn endpoint(family: Family) -> impl Strategy<Value = Endpoint> {
    let names = |all: &[&str]| {
        let all: Vec<Box<str>> = all.iter().map(|name| (*name).into()).collect();
        subsequence(all, 0..=1)
    };
    (
        // The last two are addresses that Services bind.
        1..9u8,
        (
            proptest::bool::weighted(0.7),
            any::<bool>(),
            proptest::bool::weighted(0.3),
        ),
        option::of(select(vec!["node-a", "node-b"])),
        names(&["node-a", "node-b"]),
        names(&["zone-a", "zone-b"]),
    )
        .prop_map(
            move |(last, (ready, serving, terminating), node, nodes, zones)| {
                let mut endpoint = Endpoint::ready(match (family, last) {
                    (Family::V4, 7) => v4([203, 0, 113], 1),
                    (Family::V4, 8) => v4([198, 51, 100], 2),
                    (Family::V4, _) => v4([10, 244, 0], last),
                    (Family::V6, 7 | 8) => v6(4, 1),
                    (Family::V6, _) => v6(2, last.into()),
                });
                endpoint.ready = ready;
                endpoint.serving = serving;
                endpoint.terminating = terminating;
                endpoint.node = node.map(Into::into);
                endpoint.hints = Some(Hints::new(nodes, zones))
                    .filter(|hints| *hints != Hints::default())
                    .map(Arc::new);
                endpoint
            },
        )
}

fn slice(name: u8) -> impl Strategy<Value = EndpointSlice> {
    let port = (
        select(vec!["", "b", "c"]),
        protocol(),
        // What is not masqueraded, and ports that are served together, need a Service's own port.
        select(vec![8080u16, 8081, 80, 80]),
    );
    let weight = option::weighted(0.3, 0..3u16);
    let all = (
        0..5u8,
        select(Family::ALL.to_vec()),
        vec(port, 0..3),
        weight,
    );
    all.prop_flat_map(move |(service, family, ports, weight)| {
        vec(endpoint(family), 0..5).prop_map(move |endpoints| {
            let object = ObjectName::new("default", format!("e{name}"));
            let ports = ports.iter().map(|(name, protocol, port)| {
                EndpointPort::new(*name, *protocol, NonZeroU16::new(*port).unwrap())
            });
            let mut slice = EndpointSlice::new(object, format!("s{service}"), family)
                .with_ports(ports.collect::<Vec<_>>())
                .with_endpoints(endpoints);
            slice.weight = weight;
            slice
        })
    })
}

pub(crate) fn any_service() -> impl Strategy<Value = Service> {
    (0..5u8).prop_flat_map(service)
}

pub(crate) fn any_slice() -> impl Strategy<Value = EndpointSlice> {
    (0..8u8).prop_flat_map(slice)
}

pub(crate) fn cluster() -> impl Strategy<Value = Cluster> {
    let services = btree_set(0..5u8, 0..5)
        .prop_flat_map(|names| names.into_iter().map(service).collect::<Vec<_>>());
    let slices = btree_set(0..8u8, 0..8)
        .prop_flat_map(|names| names.into_iter().map(slice).collect::<Vec<_>>());
    (services, slices).prop_map(|(services, slices)| {
        let mut cluster = Cluster::default();
        let addresses = [v4([192, 168, 10], 10), "2001:db8:10::10".parse().unwrap()];
        let mut node = Node::new("node-a").with_addresses(addresses);
        node.zone = Some("zone-a".into());
        node.pod_cidrs = vec![
            "10.244.1.0/24".parse().unwrap(),
            "fd00:2::/64".parse().unwrap(),
        ];
        cluster.add_node(node);
        services
            .into_iter()
            .for_each(|service| drop(cluster.add_service(service)));
        slices
            .into_iter()
            .for_each(|slice| drop(cluster.add_slice(slice)));
        cluster
    })
}

/// The same cluster many times over, each time with other names and addresses.
pub(crate) fn repeated(cluster: &Cluster, times: u8) -> Cluster {
    let mut many = cluster.clone();
    let moved = |ip: IpAddr, by: u8| match ip {
        IpAddr::V4(v4) => {
            let [a, b, c, d] = v4.octets();
            IpAddr::V4(Ipv4Addr::new(a, b, c, d ^ (by << 5)))
        }
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from(u128::from(v6) ^ (u128::from(by) << 16))),
    };
    for n in 1..=times {
        for service in cluster.services.values() {
            let mut copy = service.clone();
            copy.name = ObjectName::new(format!("copy-{n}"), service.name.name());
            let lists = [
                &mut copy.cluster_ips,
                &mut copy.external_ips,
                &mut copy.load_balancer_ips,
            ];
            for ip in lists.into_iter().flatten() {
                *ip = moved(*ip, n);
            }
            many.add_service(copy);
        }
        for slice in cluster.slices.values() {
            let mut copy = slice.clone();
            copy.name = ObjectName::new(format!("copy-{n}"), slice.name.name());
            // They stay addresses that the copies of Services bind, or stay none.
            for endpoint in &mut copy.endpoints {
                endpoint.address = moved(endpoint.address, n);
            }
            many.add_slice(copy);
        }
    }
    many
}

pub(crate) fn host() -> impl Strategy<Value = Host> {
    // The second link may have an address that Services want too.
    let more = subsequence(
        vec!["172.20.5.7/16", "203.0.113.1/32", "2001:db8:20::7/64"],
        0..=3,
    );
    // One that Services want to bind, one that the node has itself; ports that Services and their node ports have.
    let at = [
        SocketAddr::new(v4([198, 51, 100], 1), 80),
        SocketAddr::new(v4([192, 168, 10], 10), 30001),
        SocketAddr::new(v4([192, 168, 10], 10), 80),
    ];
    let api_servers = option::weighted(0.3, select(at.to_vec()));
    let missing = option::weighted(0.2, Just(Scheduler::TWOS));
    let all = (more, proptest::bool::weighted(0.9), api_servers, missing);
    all.prop_map(|(more, ipv6, api_servers, missing)| {
        let mut host = Host::new("node-a");
        host.ipv6 = ipv6;
        host.missing_schedulers = missing.into_iter().collect();
        host.api_servers = api_servers.into_iter().collect();
        let eth0 = "eth0".parse().unwrap();
        host.links.insert(eth0, "192.168.10.10/24".parse().unwrap());
        host.links
            .insert(eth0, "2001:db8:10::10/64".parse().unwrap());
        host.links.insert(eth0, "fe80::1/64".parse().unwrap());
        host.links
            .insert("lo".parse().unwrap(), "127.0.0.1/8".parse().unwrap());
        for address in more {
            host.links
                .insert("eth1".parse().unwrap(), address.parse().unwrap());
        }
        host
    })
}

pub(crate) fn config() -> impl Strategy<Value = Config> {
    let local = prop_oneof![
        Just(DetectLocal::ClusterCidr(Vec::new())),
        Just(DetectLocal::ClusterCidr(vec![
            "10.244.0.0/16".parse().unwrap()
        ])),
        Just(DetectLocal::NodeCidr),
        Just(DetectLocal::BridgeInterface("br0".into())),
        Just(DetectLocal::InterfaceNamePrefix("veth".into())),
    ];
    let node_ports = prop_oneof![
        Just(NodePortAddresses::All),
        Just(NodePortAddresses::Primary),
        Just(NodePortAddresses::Within(vec![
            "192.168.0.0/16".parse().unwrap()
        ])),
    ];
    let excluded = subsequence(vec!["172.31.0.0/16", "10.0.0.0/30"], 0..=2);
    let excluded = (excluded, any::<bool>());
    (
        (
            select(Layout::ALL.to_vec()),
            select(vec![Scheduler::RR, Scheduler::MH, Scheduler::WLC]),
        ),
        (any::<bool>(), any::<bool>(), 0..32u8),
        (local, node_ports, excluded),
        (0..3u32, 0..3u32),
        // So few marks that not all Services get one, and all move.
        (select(vec![0x2000, 0x80]), select(vec![0x1, 0x3, 0x107f])),
    )
        .prop_map(
            |(
                (layout, scheduler),
                (arp, all, bit),
                (local, node_ports, (excluded, foreign)),
                (tcp, udp),
                (route_mark, service_marks),
            )| {
                let mut config = Config::with_layout(layout);
                config.scheduler = scheduler;
                config.nftables.route_mark = route_mark;
                config.nftables.service_marks = service_marks;
                config.nftables.answer_ping = bit % 5 == 0;
                config.strict_arp = arp;
                config.masquerade_all = all;
                config.masquerade_bit = bit;
                config.localhost_node_ports = bit % 2 == 0;
                config.conntrack_tcp_be_liberal = bit % 3 == 0;
                config.detect_local = local;
                config.node_port_addresses = node_ports;
                config.remove_foreign_servers = foreign;
                config.exclude_cidrs = excluded.iter().map(|cidr| cidr.parse().unwrap()).collect();
                config.timeouts = Timeouts {
                    tcp: tcp * 600,
                    tcp_fin: 0,
                    udp: udp * 60,
                };
                config
            },
        )
}
