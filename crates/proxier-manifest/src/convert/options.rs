//! Options that annotations ask for. One that cannot be used is left out.

use std::num::{NonZeroU16, NonZeroU32};

use ipvs_netlink::{Scheduler, SchedulerFlags, ServiceFlags};

use super::{Notes, networks, ports};
use crate::borrowed::Loose;
use crate::objects::Annotations;
use proxier::cluster::{
    AffinityScope, DrainLimit, Forwarding, Masquerading, ServiceOptions, annotation,
};

/// Schedulers of Linux 6.12 and earlier.
const SCHEDULERS: [Scheduler; 14] = [
    Scheduler::RR,
    Scheduler::WRR,
    Scheduler::LC,
    Scheduler::WLC,
    Scheduler::LBLC,
    Scheduler::LBLCR,
    Scheduler::DH,
    Scheduler::SH,
    Scheduler::SED,
    Scheduler::NQ,
    Scheduler::FO,
    Scheduler::OVF,
    Scheduler::MH,
    Scheduler::TWOS,
];

/// What a Service asks for, if for anything.
pub(super) fn of_service(
    annotations: &Annotations<'_>,
    notes: &mut Notes,
) -> Option<Box<ServiceOptions>> {
    if annotations.is_empty() {
        return None;
    }
    let mut options = ServiceOptions::default();
    let keys = [annotation::SCHEDULER, annotation::KUBE_ROUTER_SCHEDULER];
    options.scheduler = first(annotations, &keys, notes, scheduler);
    let keys = [
        annotation::SCHEDULER_FLAGS,
        annotation::KUBE_ROUTER_SCHEDULER_FLAGS,
    ];
    let scheduler = options.scheduler;
    let flags = |text: &str| scheduler_flags(scheduler, text);
    options.scheduler_flags = first(annotations, &keys, notes, flags);
    options.upper_threshold = first(
        annotations,
        &[annotation::UPPER_THRESHOLD],
        notes,
        threshold,
    );
    let upper = options.upper_threshold;
    let lower = |text: &str| lower_threshold(upper, text);
    options.lower_threshold = first(annotations, &[annotation::LOWER_THRESHOLD], notes, lower);
    options.drain = first(annotations, &[annotation::DRAIN], notes, drain);
    let udp = first(annotations, &[annotation::DRAIN_UDP], notes, boolean);
    options.drain_udp = udp.unwrap_or_default();
    let keys = [annotation::FORWARDING, annotation::KUBE_ROUTER_DSR];
    options.forwarding = first(annotations, &keys, notes, forwarding);
    let ranges = first(annotations, &[annotation::PORTS], notes, ports::ranges);
    options.ports = ranges.unwrap_or_default();
    options.affinity = first(annotations, &[annotation::AFFINITY], notes, affinity);
    options.masquerade = first(annotations, &[annotation::MASQUERADE], notes, masquerade);
    let keys = [annotation::MASQUERADE_ADDRESS];
    let networks = first(annotations, &keys, notes, networks::of_node);
    options.masquerade_networks = networks.unwrap_or_default();
    (options != ServiceOptions::default()).then(|| Box::new(options))
}

/// The weight of an EndpointSlice's endpoints, if it says.
pub(super) fn weight(annotations: &Annotations<'_>, notes: &mut Notes) -> Option<u16> {
    first(annotations, &[annotation::WEIGHT], notes, |text| {
        let weight = text.parse();
        weight.map_err(|_| format!("{text:?} is not a weight from 0 to 65535"))
    })
}

/// The value of the first of these keys that is there and can be used.
fn first<T>(
    annotations: &Annotations<'_>,
    keys: &[&str],
    notes: &mut Notes,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Option<T> {
    keys.iter().find_map(|key| {
        let value = match annotations.get(key)? {
            Loose::Text(text) => parse(text.trim()),
            Loose::Other(other) => Err(format!("{other} is not text; quote it")),
        };
        notes.usable(|| format!("metadata.annotations.{key}"), value)
    })
}

fn scheduler(text: &str) -> Result<Scheduler, String> {
    let mut all = SCHEDULERS.into_iter();
    all.find(|known| known.as_str() == text).ok_or_else(|| {
        let known = SCHEDULERS.map(|known| known.to_string()).join(", ");
        format!("{text:?} is not a scheduler: those are {known}")
    })
}

/// `none`, or flags with commas between them.
fn scheduler_flags(scheduler: Option<Scheduler>, text: &str) -> Result<ServiceFlags, String> {
    let Some(scheduler) = scheduler else {
        let key = annotation::SCHEDULER;
        return Err(format!(
            "is for a scheduler that {key} names, and there is none"
        ));
    };
    if text == "none" {
        return Ok(ServiceFlags::empty());
    }
    let mut flags = ServiceFlags::empty();
    for name in text.split(',').map(str::trim) {
        // No scheduler has a third one; in layout nftables it says whose a virtual server is.
        let flag = SchedulerFlags::parse(scheduler, name).ok();
        let flag = flag.filter(|flag| *flag != ServiceFlags::SCHED_3);
        let refused = || format!("{name:?} is not a flag of the scheduler {scheduler}");
        flags |= flag.ok_or_else(refused)?;
    }
    Ok(flags)
}

fn threshold(text: &str) -> Result<NonZeroU32, String> {
    let number = text.parse();
    number.map_err(|_| format!("{text:?} is not a number of connections from 1 to 4294967295"))
}

/// The kernel takes none that is above the upper one.
fn lower_threshold(upper: Option<NonZeroU32>, text: &str) -> Result<NonZeroU32, String> {
    let (key, lower) = (annotation::UPPER_THRESHOLD, threshold(text)?);
    match upper {
        None => Err(format!("has no effect without {key}")),
        Some(upper) if lower > upper => Err(format!("{lower} is above {key}, which is {upper}")),
        Some(_) => Ok(lower),
    }
}

fn drain(text: &str) -> Result<DrainLimit, String> {
    match text {
        "until-idle" => Ok(DrainLimit::Idle),
        "grace-period" => Ok(DrainLimit::GracePeriod),
        _ => {
            let seconds = text
                .strip_suffix('s')
                .and_then(|seconds| seconds.parse().ok());
            let known = "until-idle, grace-period, or a number of seconds such as 30s";
            let seconds = seconds.ok_or_else(|| format!("{text:?} is not {known}"));
            seconds.map(DrainLimit::Seconds)
        }
    }
}

/// kube-router's `tunnel` is IP in IP.
fn forwarding(text: &str) -> Result<Forwarding, String> {
    match text {
        "masquerade" => Ok(Forwarding::Masquerade),
        "direct" => Ok(Forwarding::Direct),
        "ipip" | "tunnel" => Ok(Forwarding::Ipip),
        "gre" => Ok(Forwarding::Gre),
        _ => {
            let port = text.strip_prefix("gue:");
            let port = port.and_then(|port| port.parse::<NonZeroU16>().ok());
            let known = "masquerade, direct, ipip, gre, or gue with a UDP port such as gue:6080";
            let port = port.ok_or_else(|| format!("{text:?} is not {known}"));
            port.map(Forwarding::Gue)
        }
    }
}

fn affinity(text: &str) -> Result<AffinityScope, String> {
    let all = [AffinityScope::EachPort, AffinityScope::AllPorts];
    let mut all = all.into_iter();
    let known = all.find(|scope| scope.to_string() == text);
    known.ok_or_else(|| format!("{text:?} is not each-port or all-ports"))
}

fn masquerade(text: &str) -> Result<Masquerading, String> {
    match text {
        "default" => Ok(Masquerading::Default),
        "never" => Ok(Masquerading::Never),
        "always" => Ok(Masquerading::Always),
        _ => Err(format!("{text:?} is not default, never or always")),
    }
}

fn boolean(text: &str) -> Result<bool, String> {
    let value = text.parse();
    value.map_err(|_| format!("{text:?} is not true or false"))
}

#[cfg(test)]
mod tests;
