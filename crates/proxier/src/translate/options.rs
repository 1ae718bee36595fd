//! What a Service's annotations ask for, as far as the node can do it.

use std::fmt;
use std::sync::Arc;

use ipvs_netlink::{Protocol, Scheduler, ServiceFlags, VirtualServerConfig};

use super::affinity;
use super::claims::Context;
use super::endpoints::Endpoints;
use super::forwarding;
use crate::cluster::{
    AffinityScope, DrainLimit, Family, Host, Service, ServiceOption, ServiceOptions, annotation,
};
use crate::config::Config;
use crate::conflict::{NotForwarded, NotShared};
use crate::desired::Drain;
use crate::layout::{EndpointRules, Layout};

/// An option of a Service that has no effect on a node.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct UnusedOption {
    /// Which.
    pub option: ServiceOption,
    /// What it asks for.
    pub value: String,
    /// Why it has no effect.
    pub reason: NoEffect,
}

/// Why an option of a Service has no effect on a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum NoEffect {
    /// The layout cannot do it.
    Layout(Layout),
    /// The layout serves single ports and no ranges.
    NoRanges(Layout),
    /// The kernel has no such scheduler, and the configured one is used.
    NoScheduler(Scheduler),
    /// This layout binds the Service's addresses to the node.
    BoundAddresses(Layout),
    /// The Service has no external IP and no load balancer address.
    NoOutsideAddress,
    /// A port is masqueraded all the same.
    NotForwarded(NotForwarded),
    /// The Service has no session affinity.
    NoSessionAffinity,
    /// Each port is forwarded by a virtual server of its own, since the Service asks for direct return.
    DirectReturn,
    /// A port chooses endpoints by itself all the same.
    NotShared(NotShared),
    /// This layout masquerades with the address that the kernel chooses.
    KernelsAddress(Layout),
    /// The node has no address of the family in the networks, and the kernel chooses.
    NoNodeAddress(Family),
    /// The Service has no address of the networks' family.
    OtherFamily,
}

/// The whole sentence: `kube-proxier/scheduler: sh has no effect: …`.
impl fmt::Display for UnusedOption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (key, value) = (self.option.annotation(), &self.value);
        write!(f, "{key}: {value} has no effect: {}", self.reason)
    }
}

impl fmt::Display for NoEffect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Layout(Layout::Iptables) => {
                f.write_str("iptables mode chooses endpoints by chance, without IPVS")
            }
            Self::Layout(layout) => write!(
                f,
                "layout {} knows ready endpoints alone, not those that terminate",
                layout.as_str()
            ),
            Self::NoRanges(layout) => write!(
                f,
                "{} mode serves the ports in spec.ports alone; ranges take ipvs mode",
                layout.proxy_mode()
            ),
            Self::NoScheduler(scheduler) => write!(
                f,
                "this kernel has no scheduler {scheduler} (module ip_vs_{scheduler})"
            ),
            Self::BoundAddresses(layout) => write!(
                f,
                "layout {} binds the addresses of Services to this node, which then drops answers that come from them; \
                 layout nftables can",
                layout.as_str()
            ),
            Self::NoOutsideAddress => {
                f.write_str("the Service has no external IP and no load balancer address")
            }
            Self::NotForwarded(why) => why.fmt(f),
            Self::NoSessionAffinity => {
                f.write_str("the Service has no session affinity (sessionAffinity: ClientIP)")
            }
            Self::DirectReturn => write!(
                f,
                "with {} each port has a virtual server of its own",
                annotation::FORWARDING
            ),
            Self::NotShared(why) => why.fmt(f),
            Self::KernelsAddress(layout) => write!(
                f,
                "{} masquerades with the address that the kernel chooses; layout nftables can choose another",
                match layout {
                    Layout::Iptables => "iptables mode".to_owned(),
                    layout => format!("layout {}", layout.as_str()),
                }
            ),
            Self::NoNodeAddress(family) => write!(
                f,
                "this node has no {family} address there, and its kernel chooses one"
            ),
            Self::OtherFamily => f.write_str("the Service has no address of that family"),
        }
    }
}

/// The options of a Service that have no effect on a node with this configuration.
#[must_use]
pub fn unused_options(service: &Service, host: &Host, config: &Config) -> Vec<UnusedOption> {
    let Some(options) = service.options.as_deref() else {
        return Vec::new();
    };
    let reason = |option| why_unused(option, (service, options), host, config);
    let unused = options.iter().filter_map(|(option, value)| {
        let reason = reason(option)?;
        Some(UnusedOption {
            option,
            value,
            reason,
        })
    });
    unused.collect()
}

fn why_unused(
    option: ServiceOption,
    (service, options): (&Service, &ServiceOptions),
    host: &Host,
    config: &Config,
) -> Option<NoEffect> {
    match option {
        ServiceOption::Forwarding if options.direct_return().is_none() => None,
        ServiceOption::Affinity if options.affinity == Some(AffinityScope::EachPort) => None,
        ServiceOption::Ports => {
            let can = config.layout.uses_ipvs();
            (!can).then_some(NoEffect::NoRanges(config.layout))
        }
        ServiceOption::Masquerade => None,
        ServiceOption::MasqueradeAddress => match config.layout {
            Layout::Nftables => no_address(service, host),
            layout => Some(NoEffect::KernelsAddress(layout)),
        },
        _ if !config.layout.uses_ipvs() => Some(NoEffect::Layout(config.layout)),
        ServiceOption::Scheduler | ServiceOption::SchedulerFlags => {
            let missing = |scheduler: &Scheduler| !host.has_scheduler(*scheduler);
            options.scheduler.filter(missing).map(NoEffect::NoScheduler)
        }
        ServiceOption::UpperThreshold | ServiceOption::LowerThreshold => None,
        ServiceOption::Affinity if service.affinity_seconds.is_none() => {
            Some(NoEffect::NoSessionAffinity)
        }
        ServiceOption::Affinity => {
            let direct = affinity::is_direct(config.layout, service);
            direct.then_some(NoEffect::DirectReturn)
        }
        ServiceOption::Forwarding => match config.layout {
            Layout::Nftables => {
                let has_address = |family: &Family| forwarding::has_address(service, *family);
                let none = !Family::ALL.iter().any(has_address);
                none.then_some(NoEffect::NoOutsideAddress)
            }
            layout => Some(NoEffect::BoundAddresses(layout)),
        },
        ServiceOption::Drain if options.drain != Some(DrainLimit::GracePeriod) => None,
        ServiceOption::Drain | ServiceOption::DrainUdp => {
            let knows = knows_conditions(config);
            (!knows).then_some(NoEffect::Layout(config.layout))
        }
    }
}

/// Why packets to a Service are masqueraded with the kernel's choice of an address, where it asks for another.
fn no_address(service: &Service, host: &Host) -> Option<NoEffect> {
    let networks = service.masquerade_networks();
    let of_family = |family: &Family| {
        let mut networks = networks.iter().map(|network| Family::of(network.ip()));
        networks.any(|of| of == *family)
    };
    let families = Family::ALL.into_iter();
    let mut asked = families.filter(|family| service.counts(*family) && of_family(family));
    let is_without = |family: &Family| host.address_in(networks, *family).is_none();
    match asked.clone().next() {
        Some(_) => asked.find(is_without).map(NoEffect::NoNodeAddress),
        None => Some(NoEffect::OtherFamily),
    }
}

/// The settings of a Service's virtual servers: those that its annotations ask for, else the configured ones.
pub(super) fn server_config(
    service: &Service,
    host: &Host,
    config: &Config,
) -> VirtualServerConfig {
    let options = service.options.as_deref();
    let asked = options.and_then(|options| Some((options.scheduler?, options.scheduler_flags)));
    let possible = asked.filter(|(scheduler, _)| host.has_scheduler(*scheduler));
    let (scheduler, flags) = possible.unwrap_or((config.scheduler, None));
    let flags = flags.unwrap_or_else(|| default_flags(scheduler));
    let mut server = VirtualServerConfig::new(scheduler).with_flags(flags);
    if let Some(seconds) = service.affinity_seconds {
        server.flags |= ServiceFlags::PERSISTENT;
        server.timeout = seconds;
    }
    server
}

/// Whether endpoints that are not ready are known at all.
fn knows_conditions(config: &Config) -> bool {
    config.layout.endpoint_rules() != EndpointRules::ReadyOnly
}

impl Context<'_> {
    /// How long removed destinations keep their connections.
    pub(super) fn drain(
        &self,
        service: &Service,
        protocol: Protocol,
        endpoints: &Endpoints,
    ) -> Drain {
        let by_default = Drain::by_default(protocol);
        let Some(options) = service.options.as_deref() else {
            return by_default;
        };
        let knows = knows_conditions(self.config);
        match (protocol, options.drain) {
            (Protocol::TCP, Some(DrainLimit::Seconds(0))) => Drain::Never,
            (Protocol::TCP, Some(DrainLimit::Seconds(seconds))) => Drain::Seconds(seconds),
            (Protocol::TCP, Some(DrainLimit::GracePeriod)) if knows => {
                Drain::Of(Arc::new(endpoints.all().collect()))
            }
            (Protocol::UDP, _) if options.drain_udp && knows => {
                Drain::Of(Arc::new(endpoints.draining().collect()))
            }
            _ => by_default,
        }
    }
}

/// The flags that kube-proxy sets for a scheduler.
fn default_flags(scheduler: Scheduler) -> ServiceFlags {
    if scheduler == Scheduler::MH {
        ServiceFlags::MH_PORT
    } else {
        ServiceFlags::empty()
    }
}
