//! What annotations of a Service ask for.

use std::num::{NonZeroU16, NonZeroU32};

use ipvs_netlink::{Protocol, Scheduler, ServiceFlags};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use proxier::cluster::{
    AffinityScope, DrainLimit, Forwarding, Masquerading, PortRange, ServiceOptions,
};

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
