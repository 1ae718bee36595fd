//! What annotations ask of the proxy, beyond the fields of the Kubernetes API.

use std::fmt;
use std::num::{NonZeroU16, NonZeroU32};

use ipnetwork::IpNetwork;
use ipvs_netlink::{
    DestinationConfig, ForwardingMethod, Scheduler, SchedulerFlags, ServiceFlags, Tunnel,
    TunnelFlags,
};

use super::{AffinityScope, Family, PortRange};

/// Keys of annotations.
pub mod annotation {
    /// Of a Service: the scheduler of its virtual servers.
    pub const SCHEDULER: &str = "kube-proxier/scheduler";
    /// Of a Service: flags of that scheduler.
    pub const SCHEDULER_FLAGS: &str = "kube-proxier/scheduler-flags";
    /// The same as [`SCHEDULER`], as kube-router calls it.
    pub const KUBE_ROUTER_SCHEDULER: &str = "kube-router.io/service.scheduler";
    /// The same as [`SCHEDULER_FLAGS`], as kube-router calls it.
    pub const KUBE_ROUTER_SCHEDULER_FLAGS: &str = "kube-router.io/service.schedflags";
    /// Of a Service: connections from which on an endpoint gets no new ones.
    pub const UPPER_THRESHOLD: &str = "kube-proxier/upper-threshold";
    /// Of a Service: connections below which such an endpoint gets new ones again.
    pub const LOWER_THRESHOLD: &str = "kube-proxier/lower-threshold";
    /// Of a Service: how long connections of TCP go on to an endpoint that gets no new ones.
    pub const DRAIN: &str = "kube-proxier/drain";
    /// Of a Service: whether flows of UDP go on to an endpoint that terminates and serves.
    pub const DRAIN_UDP: &str = "kube-proxier/drain-udp";
    /// Of a Service: how packets from outside get to its endpoints.
    pub const FORWARDING: &str = "kube-proxier/forwarding";
    /// The same as [`FORWARDING`], as kube-router calls it.
    pub const KUBE_ROUTER_DSR: &str = "kube-router.io/service.dsr";
    /// Of a Service: ranges of ports that are served beside those of `spec.ports`.
    pub const PORTS: &str = "kube-proxier/ports";
    /// Of a Service: over which ports a client stays with its endpoint.
    pub const AFFINITY: &str = "kube-proxier/affinity";
    /// Of a Service: whether packets to it are masqueraded.
    pub const MASQUERADE: &str = "kube-proxier/masquerade";
    /// Of a Service: which of the node's addresses is the source of packets to it that are masqueraded.
    pub const MASQUERADE_ADDRESS: &str = "kube-proxier/masquerade-address";
    /// Of an EndpointSlice: the weight of its endpoints.
    pub const WEIGHT: &str = "kube-proxier/weight";

    /// All that are read.
    pub const ALL: [&str; 15] = [
        SCHEDULER,
        SCHEDULER_FLAGS,
        UPPER_THRESHOLD,
        LOWER_THRESHOLD,
        DRAIN,
        DRAIN_UDP,
        FORWARDING,
        PORTS,
        AFFINITY,
        MASQUERADE,
        MASQUERADE_ADDRESS,
        WEIGHT,
        KUBE_ROUTER_SCHEDULER,
        KUBE_ROUTER_SCHEDULER_FLAGS,
        KUBE_ROUTER_DSR,
    ];
}

/// What a Service asks for by annotations. `docs/services.md` describes each option.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct ServiceOptions {
    /// The scheduler of its virtual servers, in place of the configured one.
    pub scheduler: Option<Scheduler>,
    /// Flags of that scheduler, some of [`ServiceFlags::SCHEDULER`], in place of the default ones. Without
    /// `scheduler` they have no effect.
    pub scheduler_flags: Option<ServiceFlags>,
    /// From how many connections on an endpoint gets no new ones, as one node counts those that it sends there.
    pub upper_threshold: Option<NonZeroU32>,
    /// Below how many connections such an endpoint gets new ones again, at most `upper_threshold`. Without that it has no
    /// effect; where it is missing, the kernel takes three quarters of it.
    pub lower_threshold: Option<NonZeroU32>,
    /// How long connections of TCP go on to an endpoint that gets no new ones.
    pub drain: Option<DrainLimit>,
    /// Whether flows of UDP go on to an endpoint that terminates and serves.
    pub drain_udp: bool,
    /// How packets from outside get to its endpoints.
    pub forwarding: Option<Forwarding>,
    /// Ports of its addresses that are served beside those of `spec.ports`, sorted, without any that overlap or touch
    /// ([`PortRange::merge`]). A packet keeps the port that it was sent to.
    pub ports: Vec<PortRange>,
    /// Over which ports a client stays with its endpoint, where the Service has session affinity.
    pub affinity: Option<AffinityScope>,
    /// Whether packets to it are masqueraded.
    pub masquerade: Option<Masquerading>,
    /// Where the address lies that is the source of packets to it that are masqueraded: the first of these networks that an
    /// address of the node is in has it ([`Host::address_in`](super::Host::address_in)). Where there is none, the kernel
    /// chooses. At most [`ServiceOptions::MOST_NETWORKS`].
    pub masquerade_networks: Vec<IpNetwork>,
}

/// Which packets to a Service get an address of the node as their source, so that answers come back through the node.
/// Whatever is asked for, a pod that reaches itself is masqueraded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Masquerading {
    #[default]
    /// Those that the configuration and the traffic policies say.
    Default,
    /// Those that the node itself sends. Endpoints see the addresses of all other clients, at every address of the Service.
    Never,
    /// Besides those of [`Default`](Self::Default), all to its cluster IPs.
    Always,
}

/// As the annotation has it.
impl fmt::Display for Masquerading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Default => "default",
            Self::Never => "never",
            Self::Always => "always",
        })
    }
}

/// How packets from outside to a Service's external IPs and load balancer addresses get to its endpoints. All but
/// [`Masquerade`](Self::Masquerade) leave a packet as it is: the endpoint has the Service's address too, and
/// answers the client itself, past the node that chose it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Forwarding {
    /// The packet's destination becomes the endpoint, and its source the node.
    Masquerade,
    /// By the endpoint's link address: the endpoint is on a link of the node.
    Direct,
    /// In an IP packet.
    Ipip,
    /// In a GRE packet.
    Gre,
    /// In a UDP datagram to this port, with the header of generic UDP encapsulation.
    Gue(NonZeroU16),
}

impl Forwarding {
    /// The same destination, forwarded so. Tunnels are without checksums: what they carry has its own.
    #[must_use]
    pub const fn applied_to(self, mut destination: DestinationConfig) -> DestinationConfig {
        let (method, tunnel) = match self {
            Self::Masquerade => (ForwardingMethod::Masquerade, Tunnel::IPIP),
            Self::Direct => (ForwardingMethod::DirectRoute, Tunnel::IPIP),
            Self::Ipip => (ForwardingMethod::Tunnel, Tunnel::IPIP),
            Self::Gre => (ForwardingMethod::Tunnel, Tunnel::gre(TunnelFlags::empty())),
            Self::Gue(port) => {
                let tunnel = Tunnel::gue(port.get(), TunnelFlags::empty());
                (ForwardingMethod::Tunnel, tunnel)
            }
        };
        destination.forwarding = method;
        destination.tunnel = tunnel;
        destination
    }

    /// How many bytes of headers a tunnel puts before a packet: an IP header, four bytes of GRE, or a UDP header and
    /// four bytes of GUE.
    #[must_use]
    pub const fn overhead(self, family: Family) -> u16 {
        let ip = match family {
            Family::V4 => 20,
            Family::V6 => 40,
        };
        match self {
            Self::Masquerade | Self::Direct => 0,
            Self::Ipip => ip,
            Self::Gre => ip + 4,
            Self::Gue(_) => ip + 8 + 4,
        }
    }
}

/// As the annotation has it.
impl fmt::Display for Forwarding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Masquerade => f.write_str("masquerade"),
            Self::Direct => f.write_str("direct"),
            Self::Ipip => f.write_str("ipip"),
            Self::Gre => f.write_str("gre"),
            Self::Gue(port) => write!(f, "gue:{port}"),
        }
    }
}

/// How long connections of TCP go on to an endpoint that gets no new ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum DrainLimit {
    /// Until they end by themselves.
    Idle,
    /// Until the endpoint is in none of the Service's EndpointSlices: a pod that is deleted is in them until it has ended,
    /// at the end of its grace period at the latest.
    GracePeriod,
    /// For so many seconds.
    Seconds(u32),
}

/// As the annotation has it.
impl fmt::Display for DrainLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Idle => f.write_str("until-idle"),
            Self::GracePeriod => f.write_str("grace-period"),
            Self::Seconds(seconds) => write!(f, "{seconds}s"),
        }
    }
}

/// One of the options that a Service can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ServiceOption {
    /// [`ServiceOptions::scheduler`].
    Scheduler,
    /// [`ServiceOptions::scheduler_flags`].
    SchedulerFlags,
    /// [`ServiceOptions::upper_threshold`].
    UpperThreshold,
    /// [`ServiceOptions::lower_threshold`].
    LowerThreshold,
    /// [`ServiceOptions::drain`].
    Drain,
    /// [`ServiceOptions::drain_udp`].
    DrainUdp,
    /// [`ServiceOptions::forwarding`].
    Forwarding,
    /// [`ServiceOptions::ports`].
    Ports,
    /// [`ServiceOptions::affinity`].
    Affinity,
    /// [`ServiceOptions::masquerade`].
    Masquerade,
    /// [`ServiceOptions::masquerade_networks`].
    MasqueradeAddress,
}

impl ServiceOption {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Scheduler,
        Self::SchedulerFlags,
        Self::UpperThreshold,
        Self::LowerThreshold,
        Self::Drain,
        Self::DrainUdp,
        Self::Forwarding,
        Self::Ports,
        Self::Affinity,
        Self::Masquerade,
        Self::MasqueradeAddress,
    ];

    /// The key of its annotation.
    #[must_use]
    pub const fn annotation(self) -> &'static str {
        match self {
            Self::Scheduler => annotation::SCHEDULER,
            Self::SchedulerFlags => annotation::SCHEDULER_FLAGS,
            Self::UpperThreshold => annotation::UPPER_THRESHOLD,
            Self::LowerThreshold => annotation::LOWER_THRESHOLD,
            Self::Drain => annotation::DRAIN,
            Self::DrainUdp => annotation::DRAIN_UDP,
            Self::Forwarding => annotation::FORWARDING,
            Self::Ports => annotation::PORTS,
            Self::Affinity => annotation::AFFINITY,
            Self::Masquerade => annotation::MASQUERADE,
            Self::MasqueradeAddress => annotation::MASQUERADE_ADDRESS,
        }
    }

    /// Its name: the key of its annotation without the prefix.
    #[must_use]
    pub fn name(self) -> &'static str {
        let key = self.annotation();
        key.split_once('/').map_or(key, |(_, name)| name)
    }
}

impl ServiceOptions {
    /// How many networks a Service may name for the address that it is masqueraded with.
    pub const MOST_NETWORKS: usize = 16;

    /// The value of an option as its annotation has it; `None` where it is not asked for.
    #[must_use]
    pub fn value(&self, option: ServiceOption) -> Option<String> {
        match option {
            ServiceOption::UpperThreshold => self.upper_threshold.map(|upper| upper.to_string()),
            ServiceOption::LowerThreshold => self.lower_threshold.map(|lower| lower.to_string()),
            ServiceOption::Drain => self.drain.map(|limit| limit.to_string()),
            ServiceOption::DrainUdp => self.drain_udp.then(|| true.to_string()),
            ServiceOption::Forwarding => self.forwarding.map(|forwarding| forwarding.to_string()),
            ServiceOption::Ports => {
                (!self.ports.is_empty()).then(|| PortRange::display(&self.ports))
            }
            ServiceOption::Affinity => self.affinity.map(|scope| scope.to_string()),
            ServiceOption::Masquerade => self.masquerade.map(|asked| asked.to_string()),
            ServiceOption::MasqueradeAddress => {
                let networks = &self.masquerade_networks;
                (!networks.is_empty()).then(|| display_networks(networks))
            }
            ServiceOption::Scheduler => self.scheduler.map(|scheduler| scheduler.to_string()),
            ServiceOption::SchedulerFlags => {
                let (scheduler, flags) = (self.scheduler?, self.scheduler_flags?);
                let names = SchedulerFlags { scheduler, flags }.to_string();
                Some(if names.is_empty() {
                    "none".to_owned()
                } else {
                    names
                })
            }
        }
    }

    /// The thresholds of its destinations, upper and lower; 0 where there is none.
    pub(crate) fn thresholds(&self) -> (u32, u32) {
        let number = |threshold: Option<NonZeroU32>| threshold.map_or(0, NonZeroU32::get);
        match number(self.upper_threshold) {
            0 => (0, 0),
            upper => (upper, number(self.lower_threshold)),
        }
    }

    /// How packets from outside are forwarded, where that is not by masquerading.
    pub(crate) fn direct_return(&self) -> Option<Forwarding> {
        self.forwarding
            .filter(|asked| *asked != Forwarding::Masquerade)
    }

    /// The options that are asked for, with their values.
    pub fn iter(&self) -> impl Iterator<Item = (ServiceOption, String)> {
        let all = ServiceOption::ALL.into_iter();
        all.filter_map(|option| Some((option, self.value(option)?)))
    }
}

/// As the annotation has them: a network of one address is that address.
fn display_networks(networks: &[IpNetwork]) -> String {
    let one = |network: &IpNetwork| match network.ip() {
        address if network.prefix() == Family::of(address).host_prefix() => address.to_string(),
        _ => network.to_string(),
    };
    let all: Vec<_> = networks.iter().map(one).collect();
    all.join(", ")
}
