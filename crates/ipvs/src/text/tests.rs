//! Text held against `ipvsadm` 1.31 on Linux 6.1.176 (User Mode Linux of Debian 12), and against
//! itself for random values.

use std::net::IpAddr;
use std::num::NonZeroU32;

use proptest::prelude::*;

use crate::listing::{Listing, Row};
use crate::{
    Connections, Destination, DestinationConfig, DestinationId, Error, Family, ForwardingMethod,
    Info, Netmask, PersistenceEngine, Protocol, SaveLine, Scheduler, ServiceFlags, Tunnel,
    TunnelFlags, Version, VirtualServerConfig, VirtualServerId,
};

/// Printed by `ipvsadm -Sn` and `ipvsadm -Ln`, of the same services.
const SAVED: &str = include_str!("testdata/save.txt");
const LISTED: &str = include_str!("testdata/listing.txt");

/// Printed by `ipvsadm -Sn` where kube-proxy 1.36.2 had programmed the services.
const KUBE_PROXY: &str = include_str!("testdata/kube-proxy.txt");

/// Lines that `ipvsadm` prints wrong, in both forms, and what was programmed.
const MENDED: [(&str, &str); 4] = [
    ("-A -f -294967296 -s rr", "-A -f 4000000000 -s rr"),
    (
        "-A -t 10.0.0.9:82 -s sh -b ",
        "-A -t 10.0.0.9:82 -s sh -b flag-3",
    ),
    ("FWM  -294967296 rr", "FWM  4000000000 rr"),
    ("TCP  10.0.0.9:82 sh ()", "TCP  10.0.0.9:82 sh (flag-3)"),
];

fn mended(line: &'static str) -> &'static str {
    MENDED
        .iter()
        .find(|(wrong, _)| *wrong == line)
        .map_or(line, |(_, right)| *right)
}

#[test]
fn saved_lines_parse_and_print_as_ipvsadm_has_them() {
    assert_eq!(
        (SAVED.lines().count(), KUBE_PROXY.lines().count()),
        (40, 18)
    );
    for line in SAVED.lines().map(mended).chain(KUBE_PROXY.lines()) {
        let parsed: SaveLine = line.parse().unwrap();
        assert_eq!(parsed.to_string(), line);
    }
}

#[test]
fn the_listing_is_that_of_ipvsadm() {
    let mut rows: Vec<Row> = Vec::new();
    for line in SAVED.lines().map(mended) {
        match line.parse().unwrap() {
            SaveLine::AddService { id, config } => {
                rows.push(Row {
                    id,
                    config,
                    destinations: Vec::new(),
                });
            }
            SaveLine::AddDestination {
                service,
                destination,
            } => {
                let row = rows.iter_mut().find(|row| row.id == service).unwrap();
                row.destinations.push((destination, Connections::default()));
            }
        }
    }
    let info = Info {
        version: Version(0x01_0201),
        connection_table_size: 4096,
    };
    let listing = Listing::new(info, &rows).to_string();
    assert_eq!(
        listing.lines().collect::<Vec<_>>(),
        LISTED.lines().map(mended).collect::<Vec<_>>()
    );
}

#[test]
fn every_spelling_that_ipvsadm_restores_is_read() {
    for (spelling, saved) in [
        (
            "--add-service --tcp-service=1.2.3.4:80 --scheduler wrr --persistent=50 --netmask 255.0.0.0",
            "-A -t 1.2.3.4:80 -s wrr -p 50 -M 255.0.0.0",
        ),
        ("-A -t 1.2.3.4:81", "-A -t 1.2.3.4:81 -s wlc"),
        (
            "-A -t1.2.3.4:82 -swrr -p300",
            "-A -t 1.2.3.4:82 -s wrr -p 300",
        ),
        ("-At 1.2.3.7:80 -s rr", "-A -t 1.2.3.7:80 -s rr"),
        ("ipvsadm -A -t 1.2.3.4:80 -s rr\n", "-A -t 1.2.3.4:80 -s rr"),
        ("-A -t 1.2.3.4 -p", "-A -t 1.2.3.4:0 -s wlc -p 360"),
        ("-A -t 1.2.3.4:80 -p -s rr", "-A -t 1.2.3.4:80 -s rr -p 360"),
        (
            "-A -t 2001:db8::1 -p 5",
            "-A -t [2001:db8::1]:0 -s wlc -p 5",
        ),
        (
            "-A -t 1.2.3.4:80 -b mh-port -s mh",
            "-A -t 1.2.3.4:80 -s mh -b mh-port",
        ),
        ("-A -u 1.2.3.4:80 -os rr", "-A -u 1.2.3.4:80 -s rr -o"),
        (
            "-A -u 1.2.3.4:80 --ops -s=rr --pe=sip",
            "-A -u 1.2.3.4:80 -s rr --pe sip -o",
        ),
        ("-A -s rr --fwmark-service 7 --ipv6", "-A -f 7 -6 -s rr"),
        (
            "-a -t 1.2.3.4:82 -r 1.1.1.1",
            "-a -t 1.2.3.4:82 -r 1.1.1.1:82 -g -w 1",
        ),
        ("-a -f 5 -r 1.1.1.1", "-a -f 5 -r 1.1.1.1:0 -g -w 1"),
        (
            "--add-server -t 1.2.3.4:80 --real-server 1.1.1.1:80 --ipip --tun-type=gre --tun-csum",
            "-a -t 1.2.3.4:80 -r 1.1.1.1:80 -i -w 1 --tun-type gre --tun-csum",
        ),
        (
            "-a -t 1.2.3.4:80 -r 1.1.1.1:80 --masquerading --weight=7 --u-threshold 9 --l-threshold 3",
            "-a -t 1.2.3.4:80 -r 1.1.1.1:80 -m -w 7 -x 9 -y 3",
        ),
        ("-A -f -294967296 -s rr", "-A -f 4000000000 -s rr"),
    ] {
        assert_eq!(
            spelling.parse::<SaveLine>().unwrap().to_string(),
            saved,
            "{spelling}"
        );
    }
}

#[test]
fn errors_name_the_word_at_fault() {
    for (line, word) in [
        ("", ""),
        ("# comment", "#"),
        ("-A", "-A"),
        ("-t 1.2.3.4:80 -s rr", "-t 1.2.3.4:80 -s rr"),
        ("-D -t 1.2.3.4:80", "-D"),
        ("-A -t 1.2.3.4:http -s rr", "1.2.3.4:http"),
        ("-A -t [2001:db8::1:80 -s rr", "[2001:db8::1:80"),
        ("-A -t 1.2.3.4:80 -s rr -w 5", "-w"),
        ("-A -t 1.2.3.4:80 -s rr -n", "-n"),
        ("-A -t 1.2.3.4:80 -s rr --numeric=", "--numeric="),
        ("-A -t 1.2.3.4:80 -s rr extra", "extra"),
        ("-A -t 1.2.3.4:80 -s rr -s wrr", "-s"),
        ("-A -t 1.2.3.4:80 -u 1.2.3.5:80", "-u"),
        ("-A -t 1.2.3.4:80 -6 -s rr", "-6"),
        ("-A -t 1.2.3.4:80 -s sh -b mh-port", "mh-port"),
        ("-A -t 1.2.3.4:80 -p x", "x"),
        ("-A -t 1.2.3.4:80 -p 5 -M 255.255.0.255", "255.255.0.255"),
        ("-A -t [::1]:80 -p 5 -M 0", "0"),
        ("-A -t [::1]:80 -p 5 -M 129", "129"),
        ("-A -f 0 -s rr", "0"),
        ("-A -t 1.2.3.4:80 --ops=yes", "--ops=yes"),
        ("-a -t 1.2.3.4:80 -r 1.1.1.1:80 -w", "-w"),
        ("-a -t 1.2.3.4:80 -r 1.1.1.1:80 -w 2147483648", "2147483648"),
        ("-a -t 1.2.3.4:80 -r 1.1.1.1:80 -w -5", "-5"),
        ("-a -t 1.2.3.4:80 -r 1.1.1.1:80 -m -g", "-g"),
        ("-a -t 1.2.3.4:80 -r 1.1.1.1:80 -s rr", "-s"),
        ("-a -t 1.2.3.4:80 -m", "-a -t 1.2.3.4:80 -m"),
        (
            "-a -t 1.2.3.4:80 -r 1.1.1.1:80 -m --tun-type gue --tun-port 5",
            "--tun-…",
        ),
        ("-a -t 1.2.3.4:80 -r 1.1.1.1:80 -i --tun-type gue", "gue"),
        (
            "-a -t 1.2.3.4:80 -r 1.1.1.1:80 -i --tun-type gre --tun-port 5",
            "--tun-port",
        ),
        (
            "-a -t 1.2.3.4:80 -r 1.1.1.1:80 -i --tun-type gre --tun-remcsum",
            "--tun-remcsum",
        ),
        ("-a -t 1.2.3.4:80 -r 1.1.1.1:80 -i --tun-type 9", "9"),
        ("-a -t 1.2.3.4:80 -r 1.1.1.1:80 -i --tun-csum", "ipip"),
    ] {
        match line.parse::<SaveLine>() {
            Err(Error::SaveLine { token, .. }) => assert_eq!(token, word, "{line}"),
            other => panic!("{line}: {other:?}"),
        }
    }
}

fn any_address() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        any::<[u8; 4]>().prop_map(IpAddr::from),
        any::<[u8; 16]>().prop_map(IpAddr::from),
        any::<[u16; 2]>().prop_map(|[a, b]| [0x2001, 0xdb8, 0, 0, a, 0, 0, b].into()),
    ]
}

fn any_id() -> impl Strategy<Value = VirtualServerId> {
    let protocol = prop_oneof![
        Just(Protocol::TCP),
        Just(Protocol::UDP),
        Just(Protocol::SCTP),
        any::<u8>().prop_map(Protocol)
    ];
    let family = prop_oneof![Just(Family::V4), Just(Family::V6)];
    prop_oneof![
        (protocol, any_address(), any::<u16>()).prop_map(|(protocol, address, port)| {
            VirtualServerId::Address {
                protocol,
                address,
                port,
            }
        }),
        (family, any::<NonZeroU32>())
            .prop_map(|(family, mark)| VirtualServerId::FirewallMark { family, mark }),
    ]
}

fn any_scheduler() -> impl Strategy<Value = Scheduler> {
    prop_oneof![
        Just(Scheduler::SH),
        Just(Scheduler::MH),
        "[!-~]{1,15}".prop_map(|name| Scheduler::new(&name).unwrap())
    ]
}

/// Settings that have an effect, which is what a save line carries, and that `ipvsadm` takes.
fn any_service() -> impl Strategy<Value = SaveLine> {
    let engine =
        proptest::option::of("[!-~]{1,15}".prop_map(|name| PersistenceEngine::new(&name).unwrap()));
    let persistence = proptest::option::of((1..=2_678_400_u32, 1_u8..=128));
    (
        any_id(),
        any_scheduler(),
        persistence,
        engine,
        0_u32..8,
        any::<bool>(),
    )
        .prop_map(|(id, scheduler, persistence, engine, flags, one_packet)| {
            let mut config = VirtualServerConfig::new(scheduler);
            if let Some((timeout, netmask)) = persistence {
                config = config.persistent(timeout);
                let netmask = netmask.min(id.family().bits());
                config.netmask = Netmask::new(id.family(), netmask).unwrap();
            }
            config.engine = engine;
            config.flags |= ServiceFlags::from_bits_retain(flags << 3);
            let mut id = id;
            let mut can_be_one_packet = true;
            if let VirtualServerId::Address { protocol, port, .. } = &mut id {
                can_be_one_packet = *protocol == Protocol::UDP;
                *port = (*port).max(u16::from(!config.is_persistent()));
            }
            let one_packet = one_packet && can_be_one_packet;
            config.flags.set(ServiceFlags::ONE_PACKET, one_packet);
            SaveLine::AddService { id, config }
        })
}

fn any_tunnel() -> impl Strategy<Value = Tunnel> {
    prop_oneof![
        Just(Tunnel::IPIP),
        (1..=u16::MAX, 0_u16..4)
            .prop_map(|(port, flags)| Tunnel::gue(port, TunnelFlags::from_bits_retain(flags))),
        any::<bool>().prop_map(|csum| {
            Tunnel::gre(if csum {
                TunnelFlags::CHECKSUM
            } else {
                TunnelFlags::empty()
            })
        }),
    ]
}

fn any_destination() -> impl Strategy<Value = SaveLine> {
    let forwarding = prop_oneof![
        Just((ForwardingMethod::Masquerade, Tunnel::IPIP)),
        Just((ForwardingMethod::DirectRoute, Tunnel::IPIP)),
        any_tunnel().prop_map(|tunnel| (ForwardingMethod::Tunnel, tunnel)),
    ];
    let id =
        (any_address(), any::<u16>()).prop_map(|(address, port)| DestinationId { address, port });
    (
        any_id(),
        id,
        forwarding,
        0..=u32::MAX >> 1,
        any::<[u32; 2]>().prop_map(|thresholds| thresholds.map(|threshold| threshold >> 1)),
    )
        .prop_map(|(service, mut id, (forwarding, tunnel), weight, [a, b])| {
            let (upper_threshold, lower_threshold) = (a.max(b), a.min(b));
            if forwarding != ForwardingMethod::Tunnel && Family::of(id.address) != service.family()
            {
                id.address = service.family().unspecified();
            }
            let config = DestinationConfig {
                forwarding,
                weight,
                upper_threshold,
                lower_threshold,
                tunnel,
            };
            SaveLine::AddDestination {
                service,
                destination: Destination { id, config },
            }
        })
}

proptest! {
    #[test]
    fn printed_services_parse_back(line in any_service()) {
        prop_assert_eq!(line.to_string().parse(), Ok(line));
    }

    #[test]
    fn printed_destinations_parse_back(line in any_destination()) {
        prop_assert_eq!(line.to_string().parse(), Ok(line));
    }

    #[test]
    fn no_text_makes_the_parser_panic(line in "(-?-?[A-Za-z0-9:.=-]{0,12} ?){0,8}") {
        if let Ok(parsed) = line.parse::<SaveLine>() {
            prop_assert_eq!(parsed.to_string().parse(), Ok(parsed));
        }
    }
}
