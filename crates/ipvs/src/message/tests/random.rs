//! Random messages, against themselves. That the layout is the kernel's, the captured bytes show.

use std::net::IpAddr;
use std::num::NonZeroU32;

use netlink_packet_core::Emitable;
use netlink_packet_generic::GenlFamily;
use proptest::prelude::*;

use crate::message::tests::emit;
use crate::{
    Connections, Counters, Daemon, DaemonRole, Destination, DestinationConfig, DestinationId,
    DestinationStatus, Family, ForwardingMethod, Info, InterfaceName, Netmask, PersistenceEngine,
    Protocol, Reply, Request, Scheduler, ServiceFlags, Statistics, Timeouts, Tunnel, TunnelFlags,
    TunnelType, Version, VirtualServer, VirtualServerConfig, VirtualServerId,
};

fn family() -> impl Strategy<Value = Family> {
    prop_oneof![Just(Family::V4), Just(Family::V6)]
}

fn service_id() -> impl Strategy<Value = VirtualServerId> {
    prop_oneof![
        (any::<u8>(), any::<IpAddr>(), any::<u16>()).prop_map(|(protocol, address, port)| {
            VirtualServerId::Address {
                protocol: Protocol(protocol),
                address,
                port,
            }
        }),
        (family(), any::<NonZeroU32>())
            .prop_map(|(family, mark)| VirtualServerId::FirewallMark { family, mark }),
    ]
}

fn service() -> impl Strategy<Value = (VirtualServerId, VirtualServerConfig)> {
    let engine = proptest::option::of("[!-~]{1,15}");
    (
        service_id(),
        "[!-~]{1,15}",
        any::<u32>(),
        any::<u32>(),
        0_u8..=128,
        engine,
    )
        .prop_map(|(id, scheduler, flags, timeout, netmask, engine)| {
            let netmask = netmask.clamp(u8::from(id.family() == Family::V6), id.family().bits());
            let config = VirtualServerConfig {
                scheduler: Scheduler::new(&scheduler).unwrap(),
                flags: ServiceFlags::from_bits_retain(flags) - ServiceFlags::HASHED,
                timeout,
                netmask: Netmask::new(id.family(), netmask).unwrap(),
                engine: engine.map(|name| PersistenceEngine::new(&name).unwrap()),
            };
            (id, config)
        })
}

fn destination() -> impl Strategy<Value = Destination> {
    let forwarding = prop_oneof![
        Just(ForwardingMethod::Masquerade),
        Just(ForwardingMethod::Local),
        Just(ForwardingMethod::Tunnel),
        Just(ForwardingMethod::DirectRoute),
        Just(ForwardingMethod::Bypass),
    ];
    let tunnel = (any::<u8>(), any::<u16>(), any::<u16>()).prop_map(|(kind, port, flags)| Tunnel {
        kind: TunnelType(kind),
        port,
        flags: TunnelFlags::from_bits_retain(flags),
    });
    (
        any::<IpAddr>(),
        any::<u16>(),
        forwarding,
        any::<u32>(),
        any::<u32>(),
        any::<u32>(),
        tunnel,
    )
        .prop_map(
            |(address, port, forwarding, weight, upper_threshold, lower_threshold, tunnel)| {
                Destination {
                    id: DestinationId { address, port },
                    config: DestinationConfig {
                        forwarding,
                        weight,
                        upper_threshold,
                        lower_threshold,
                        tunnel,
                    },
                }
            },
        )
}

fn role() -> impl Strategy<Value = DaemonRole> {
    prop_oneof![Just(DaemonRole::Master), Just(DaemonRole::Backup)]
}

fn daemon() -> impl Strategy<Value = Daemon> {
    (
        role(),
        "[!-~]{1,15}",
        any::<u32>(),
        any::<Option<u16>>(),
        any::<Option<IpAddr>>(),
        any::<Option<u16>>(),
        any::<Option<u8>>(),
    )
        .prop_map(|(role, interface, sync_id, max_length, group, port, ttl)| {
            let interface = InterfaceName::new(&interface).unwrap();
            Daemon {
                role,
                interface,
                sync_id,
                max_length,
                group,
                port,
                ttl,
            }
        })
}

fn timeouts() -> impl Strategy<Value = Timeouts> {
    any::<[u32; 3]>().prop_map(|[tcp, tcp_fin, udp]| Timeouts { tcp, tcp_fin, udp })
}

fn statistics() -> impl Strategy<Value = Statistics> {
    let counters = |[
        connections,
        incoming_packets,
        outgoing_packets,
        incoming_bytes,
        outgoing_bytes,
    ]: [u64; 5]| {
        Counters {
            connections,
            incoming_packets,
            outgoing_packets,
            incoming_bytes,
            outgoing_bytes,
        }
    };
    any::<[[u64; 5]; 2]>().prop_map(move |[totals, rates]| Statistics {
        totals: counters(totals),
        rates: counters(rates),
    })
}

fn request() -> impl Strategy<Value = Request> {
    prop_oneof![
        service().prop_map(|(id, config)| Request::NewService { id, config }),
        service().prop_map(|(id, config)| Request::SetService { id, config }),
        service_id().prop_map(|id| Request::DeleteService { id }),
        service_id().prop_map(|id| Request::GetService { id }),
        (service_id(), destination()).prop_map(|(service, destination)| Request::NewDestination {
            service,
            destination
        }),
        (service_id(), destination()).prop_map(|(service, destination)| Request::SetDestination {
            service,
            destination
        }),
        (service_id(), destination()).prop_map(|(service, destination)| {
            Request::DeleteDestination {
                service,
                id: destination.id,
            }
        }),
        service_id().prop_map(|service| Request::GetDestinations { service }),
        daemon().prop_map(Request::NewDaemon),
        role().prop_map(Request::DeleteDaemon),
        timeouts().prop_map(Request::SetTimeouts),
        proptest::option::of(service_id()).prop_map(Request::Zero),
        Just(Request::GetServices),
        Just(Request::GetDaemons),
        Just(Request::GetTimeouts),
        Just(Request::GetInfo),
        Just(Request::Flush),
    ]
}

fn reply() -> impl Strategy<Value = Reply> {
    let connections = any::<[u32; 3]>().prop_map(|[active, inactive, persistent]| Connections {
        active,
        inactive,
        persistent,
    });
    prop_oneof![
        (service(), statistics()).prop_map(|((id, config), statistics)| {
            Reply::Service(VirtualServer {
                id,
                config,
                statistics,
            })
        }),
        (destination(), connections, statistics()).prop_map(
            |(destination, connections, statistics)| {
                Reply::Destination(DestinationStatus {
                    destination,
                    connections,
                    statistics,
                })
            }
        ),
        daemon().prop_map(Reply::Daemon),
        timeouts().prop_map(Reply::Timeouts),
        any::<[u32; 2]>().prop_map(|[version, connection_table_size]| {
            Reply::Info(Info {
                version: Version(version),
                connection_table_size,
            })
        }),
    ]
}

proptest! {
    #[test]
    fn requests_read_back(request in request()) {
        let bytes = emit(&request);
        prop_assert_eq!(Request::decode(request.command(), &bytes), Ok(request));
        prop_assert_eq!(bytes.len() % 4, 0);
        // Every byte of a buffer in use before is written.
        let mut used = vec![0x55; request.buffer_len()];
        request.emit(&mut used);
        prop_assert_eq!(used, bytes);
    }

    #[test]
    fn replies_read_back(reply in reply()) {
        prop_assert_eq!(Reply::decode(reply.command(), &emit(&reply)), Ok(reply));
    }

    #[test]
    fn replies_cut_short_never_read_as_something_else(reply in reply(), cut in 1_usize..400) {
        let bytes = emit(&reply);
        let kept = bytes.len().saturating_sub(cut);
        match Reply::decode(reply.command(), &bytes[..kept]) {
            Err(_) => {}
            // Of the timeouts, each may be missing.
            Ok(Reply::Timeouts(_)) if matches!(reply, Reply::Timeouts(_)) => {}
            // Only padding was cut.
            Ok(other) => prop_assert!(other == reply && cut < 4),
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(command in any::<u8>(), bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        crate::fuzz::reply(&[&[command, 1, 0, 0], &bytes[..]].concat());
        crate::fuzz::request(&[&[command, 1, 0, 0], &bytes[..]].concat());
    }
}
