//! Connection-tracking entries that lead to destinations which are no more.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};

use conntrack_netlink::{Client, Error, Family, Flow, Protocol};
use ipvs_netlink::{DestinationId, VirtualServerId};
use proxier::cluster::PortRange;
use proxier::nftables::AddressRange;

/// Deletes the UDP flows to these virtual servers that were sent to none of their present destinations, and
/// returns how many. An empty list of destinations says that the virtual server is gone, or has none.
///
/// The address `127.0.0.1` stands for all IPv4 loopback addresses, at which node ports are served alike.
///
/// UDP has no end: the kernel sends what belongs to a flow where it sent the first packet, for as long as more
/// comes. Of other protocols, and of firewall marks, nothing is done. A virtual server is expected once.
///
/// Reads one listing for each family among the virtual servers, however many they are. Call it after the plan
/// was carried out: before, the next packet could make the same flow again.
///
/// # Errors
///
/// [`Error`] as of [`Client::delete_matching`]; the other family is gone through all the same.
pub fn stale_flows(
    client: &mut Client,
    servers: &[(VirtualServerId, Vec<DestinationId>)],
) -> Result<usize, Error> {
    let servers = Servers::new(servers);
    delete(
        client,
        |family| servers.has(family),
        |flow| servers.is_stale(flow),
    )
}

/// Deletes the UDP flows to these ranges of ports that are not translated, and returns how many.
///
/// They began when nothing served the ranges. IPVS does not translate answers that belong to them, so that clients which go
/// on sending would never get one. Flows to endpoints that are gone need no such help: a virtual server by mark ends them.
///
/// Reads one listing for each family among the ranges, and none for other protocols. Call it once the ranges are served.
///
/// # Errors
///
/// [`Error`] as of [`Client::delete_matching`]; the other family is gone through all the same.
pub fn untranslated_flows(client: &mut Client, ranges: &[AddressRange]) -> Result<usize, Error> {
    let ranges = Ranges::new(ranges);
    delete(
        client,
        |family| ranges.has(family),
        |flow| ranges.began_before(flow),
    )
}

/// Node ports are served at loopback addresses alike: `127.0.0.1` stands for all of IPv4.
const fn known_as(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(v4) if v4.is_loopback() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        other => other,
    }
}

/// Deletes flows of the families that have any. All of these are gone through, also when one fails.
fn delete(
    client: &mut Client,
    has: impl Fn(Family) -> bool,
    is_stale: impl Fn(&Flow) -> bool,
) -> Result<usize, Error> {
    let results = Family::ALL.map(|family| match has(family) {
        true => client.delete_matching(family, &is_stale),
        false => Ok(0),
    });
    results.into_iter().sum()
}

/// Ranges of UDP ports, by their address.
struct Ranges(HashMap<IpAddr, Vec<PortRange>>);

impl Ranges {
    fn new(ranges: &[AddressRange]) -> Self {
        let mut all: HashMap<_, Vec<_>> = HashMap::new();
        for range in ranges {
            if range.ports.protocol() == Protocol::UDP {
                all.entry(range.address).or_default().push(range.ports);
            }
        }
        Self(all)
    }

    fn has(&self, family: Family) -> bool {
        self.0.keys().any(|address| Family::of(*address) == family)
    }

    fn began_before(&self, flow: &Flow) -> bool {
        let (to, answers) = (flow.original, flow.reply);
        let Some(port) = to.destination_port() else {
            return false;
        };
        let is_translated = (answers.source, answers.source_port()) != (to.destination, Some(port));
        let ranges = self
            .0
            .get(&known_as(to.destination))
            .filter(|_| !is_translated);
        ranges.is_some_and(|ranges| ranges.iter().any(|range| range.contains(to.protocol, port)))
    }
}

/// Present destinations, by the address and port of their virtual server.
struct Servers<'a>(HashMap<(IpAddr, u16), &'a [DestinationId]>);

impl<'a> Servers<'a> {
    fn new(servers: &'a [(VirtualServerId, Vec<DestinationId>)]) -> Self {
        let udp = servers.iter().filter_map(|(id, destinations)| match *id {
            VirtualServerId::Address {
                protocol: Protocol::UDP,
                address,
                port,
            } => Some(((address, port), &**destinations)),
            _ => None,
        });
        Self(udp.collect())
    }

    fn has(&self, family: Family) -> bool {
        self.0
            .keys()
            .any(|(address, _)| Family::of(*address) == family)
    }

    fn is_stale(&self, flow: &Flow) -> bool {
        let (Protocol::UDP, Some(port), Some(sent_to)) = (
            flow.original.protocol,
            flow.original.destination_port(),
            flow.reply.source_port(),
        ) else {
            return false;
        };
        let Some(destinations) = self.0.get(&(known_as(flow.original.destination), port)) else {
            return false;
        };
        !destinations.iter().any(|destination| {
            let destination_port = match destination.port {
                // It keeps the port the packet was sent to.
                0 => port,
                other => other,
            };
            (destination.address, destination_port) == (flow.reply.source, sent_to)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use conntrack_netlink::Tuple;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn server(protocol: Protocol, address: &str, port: u16) -> VirtualServerId {
        VirtualServerId::Address {
            protocol,
            address: ip(address),
            port,
        }
    }

    fn flow(protocol: Protocol, to: (&str, u16), sent_to: (&str, u16)) -> Flow {
        let client = (ip("192.0.2.1"), 40000);
        Flow::new(
            Tuple::ports(protocol, client, (ip(to.0), to.1)),
            Tuple::ports(protocol, (ip(sent_to.0), sent_to.1), client),
        )
    }

    #[test]
    fn stale_is_what_goes_to_none_of_the_destinations() {
        let udp = Protocol::UDP;
        let mark = VirtualServerId::FirewallMark {
            family: Family::V4,
            mark: 1.try_into().unwrap(),
        };
        let all = [
            (
                server(udp, "10.96.0.10", 53),
                vec![
                    (ip("10.244.1.5"), 5353).into(),
                    (ip("10.244.1.6"), 0).into(),
                ],
            ),
            (server(udp, "10.96.0.11", 53), vec![]),
            (
                server(udp, "127.0.0.1", 30053),
                vec![(ip("10.244.1.5"), 5353).into()],
            ),
            (server(Protocol::TCP, "10.96.0.12", 53), vec![]),
            (mark, vec![]),
        ];
        let servers = Servers::new(&all);
        assert!(servers.has(Family::V4) && !servers.has(Family::V6));
        for (protocol, to, sent_to, stale) in [
            (
                Protocol::UDP,
                ("10.96.0.10", 53),
                ("10.244.1.5", 5353),
                false,
            ),
            (
                Protocol::UDP,
                ("10.96.0.10", 53),
                ("10.244.1.5", 5354),
                true,
            ),
            (Protocol::UDP, ("10.96.0.10", 53), ("10.244.1.6", 53), false),
            (
                Protocol::UDP,
                ("10.96.0.10", 53),
                ("10.244.1.7", 5353),
                true,
            ),
            (udp, ("127.0.0.9", 30053), ("10.244.1.5", 5353), false),
            (udp, ("127.0.0.9", 30053), ("10.244.1.6", 5353), true),
            (udp, ("127.0.0.1", 30053), ("127.0.0.1", 30053), true),
            // It was never translated.
            (Protocol::UDP, ("10.96.0.10", 53), ("10.96.0.10", 53), true),
            (
                Protocol::UDP,
                ("10.96.0.10", 54),
                ("10.244.1.7", 5353),
                false,
            ),
            (
                Protocol::TCP,
                ("10.96.0.10", 53),
                ("10.244.1.7", 5353),
                false,
            ),
            (
                Protocol::UDP,
                ("10.96.0.11", 53),
                ("10.244.1.5", 5353),
                true,
            ),
            (
                Protocol::UDP,
                ("10.96.0.12", 53),
                ("10.244.1.5", 5353),
                false,
            ),
        ] {
            let flow = flow(protocol, to, sent_to);
            assert_eq!(servers.is_stale(&flow), stale, "{flow}");
        }
    }

    #[test]
    fn flows_to_ranges_that_began_before_are_not_translated() {
        let range = |address, protocol, first: u16, last: u16| AddressRange {
            address: ip(address),
            ports: PortRange::new(
                protocol,
                first.try_into().unwrap(),
                last.try_into().unwrap(),
            )
            .unwrap(),
        };
        let udp = Protocol::UDP;
        let ranges = Ranges::new(&[
            range("10.96.0.10", udp, 1000, 1999),
            range("10.96.0.10", udp, 3000, 3000),
            range("10.96.0.10", Protocol::TCP, 1, 65535),
        ]);
        assert!(ranges.has(Family::V4) && !ranges.has(Family::V6));
        for (protocol, to, sent_to, before) in [
            (udp, ("10.96.0.10", 1000), ("10.96.0.10", 1000), true),
            (udp, ("10.96.0.10", 3000), ("10.96.0.10", 3000), true),
            (udp, ("10.96.0.10", 2000), ("10.96.0.10", 2000), false),
            (udp, ("10.96.0.11", 1000), ("10.96.0.11", 1000), false),
            (udp, ("10.96.0.10", 1000), ("10.244.1.5", 1000), false),
            (udp, ("10.96.0.10", 1000), ("10.96.0.10", 1001), false),
            (
                Protocol::TCP,
                ("10.96.0.10", 1000),
                ("10.96.0.10", 1000),
                false,
            ),
        ] {
            let flow = flow(protocol, to, sent_to);
            assert_eq!(ranges.began_before(&flow), before, "{flow}");
        }
    }
}
