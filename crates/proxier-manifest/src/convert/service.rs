//! Services.

use std::net::IpAddr;

use ipnetwork::IpNetwork;

use super::fields::{Result, name, optional_port, port, protocol};
use super::{Notes, options};
use crate::borrowed::Text;
use crate::field_error::FieldError;
use crate::names::Names;
use crate::objects::{RawService, RawServicePort, ServiceSpec, ServiceStatus, Timestamp};
use crate::quantity;
use proxier::cluster::{Family, Service, ServicePort, ServiceType, TrafficPolicy};

/// Seconds a client stays with its endpoint where the Service does not say.
const DEFAULT_AFFINITY: i64 = 10_800;

/// A label that gives a Service to another proxy, whatever its value.
pub(super) const PROXY_NAME: &str = "service.kubernetes.io/service-proxy-name";

pub(super) fn convert(
    raw: RawService<'_>,
    names: &mut Names,
    notes: &mut Notes,
) -> Result<Service> {
    let RawService {
        metadata,
        mut spec,
        status,
        ..
    } = raw;
    let name = name(&metadata)?;
    let options = options::of_service(&metadata.annotations, notes);
    let created = metadata.creation_timestamp.as_ref().map(|time| match time {
        Timestamp::Text(text) => quantity::timestamp(text),
        #[cfg(feature = "protobuf")]
        Timestamp::Seconds(seconds) => Ok(*seconds),
    });
    let created = created.transpose();
    let created = notes.usable(|| "metadata.creationTimestamp".into(), created);
    let service_type = service_type(&spec)?;
    let affinity_seconds = affinity(&spec)?;
    let policy = |field, text: &Option<Text<'_>>| policy(field, text.as_deref());
    let internal_policy = policy("spec.internalTrafficPolicy", &spec.internal_traffic_policy)?;
    let external_policy = policy("spec.externalTrafficPolicy", &spec.external_traffic_policy)?;
    let (source_ranges, closed_families) =
        source_ranges(spec.load_balancer_source_ranges.take(), notes);
    let ports = ports(spec.ports.take(), names, notes)?;
    let health = optional_port(spec.health_check_node_port);
    let health = notes.usable(|| "spec.healthCheckNodePort".into(), health);
    let mut external_ips = Vec::new();
    for (n, text) in notes.entries("spec.externalIPs", spec.external_ips.take()) {
        external_ips.extend(notes.reachable(|| format!("spec.externalIPs[{n}]"), &text));
    }
    let mut service = Service::new(name, cluster_ips(spec, notes)?);
    service.created = created.flatten();
    service.service_type = service_type;
    service.external_ips = external_ips;
    service.load_balancer_ips = ingress(status, notes);
    service.source_ranges = source_ranges;
    service.closed_families = closed_families;
    service.ports = ports;
    service.affinity_seconds = affinity_seconds;
    service.internal_policy = internal_policy;
    service.external_policy = external_policy;
    service.health_check_node_port = health.flatten();
    service.other_proxy = metadata.labels.get(PROXY_NAME).is_some();
    service.options = options;
    Ok(service)
}

fn service_type(spec: &ServiceSpec<'_>) -> Result<ServiceType> {
    match spec.service_type.as_deref() {
        None | Some("ClusterIP") => Ok(ServiceType::ClusterIp),
        Some("NodePort") => Ok(ServiceType::NodePort),
        Some("LoadBalancer") => Ok(ServiceType::LoadBalancer),
        Some("ExternalName") => Ok(ServiceType::ExternalName),
        Some(other) => Err(FieldError::new(
            "spec.type",
            format!("{other:?} is not a type of Service"),
        )),
    }
}

/// `clusterIPs`, or `clusterIP` where only that is set; at most one of each family, and of the families
/// in `ipFamilies`.
///
/// Where none of them can be used the Service cannot be: without a cluster IP it would be a headless one.
fn cluster_ips(spec: ServiceSpec<'_>, notes: &mut Notes) -> Result<Vec<IpAddr>> {
    let plural = spec.cluster_ips.as_ref().is_some_and(|ips| !ips.is_empty());
    // One of each family.
    let listed = spec.cluster_ips.as_ref().map_or(1, Vec::len).clamp(1, 2);
    let several = notes.entries("spec.clusterIPs", spec.cluster_ips);
    let single = spec.cluster_ip.filter(|_| !plural);
    let texts = several.chain(single.map(|ip| (0, ip)));
    let families = notes.entries("spec.ipFamilies", spec.ip_families);
    let families: Vec<_> = families.map(|(_, family)| family).collect();
    let mut ips: Vec<IpAddr> = Vec::with_capacity(listed);
    for (n, text) in texts {
        if text.is_empty() || &*text == "None" {
            continue;
        }
        let field = || match plural {
            true => format!("spec.clusterIPs[{n}]"),
            false => "spec.clusterIP".into(),
        };
        let Some(ip) = notes.address(field, &text) else {
            continue;
        };
        let family = Family::of(ip);
        if ips.iter().any(|other| Family::of(*other) == family) {
            notes.leave_out(field(), format!("{ip} is a second {family} address"));
        } else if !families.is_empty() && families.iter().all(|f| **f != *family.to_string()) {
            let families: Vec<_> = families.iter().map(|family| &**family).collect();
            let families = families.join(", ");
            let reason = format!("{ip} is not of a family in spec.ipFamilies ({families})");
            notes.leave_out(field(), reason);
        } else {
            ips.push(ip);
        }
    }
    if ips.is_empty() {
        notes.reject_at("spec.clusterIP")?;
    }
    Ok(ips)
}

/// The ports. Where none of them can be used the Service cannot be: it would be one without ports.
fn ports(
    raw: Option<Vec<Option<RawServicePort<'_>>>>,
    names: &mut Names,
    notes: &mut Notes,
) -> Result<Vec<ServicePort>> {
    // Services are kept: no room to spare.
    let mut ports = Vec::with_capacity(raw.as_ref().map_or(0, Vec::len));
    for (n, raw) in notes.entries("spec.ports", raw) {
        ports.extend(service_port(n, &raw, names, notes));
    }
    if ports.is_empty() {
        notes.reject_at("spec.ports")?;
    }
    Ok(ports)
}

/// The ranges that can be used, and the families that have only ranges that cannot: those let nobody in.
fn source_ranges(
    texts: Option<Vec<Option<Text<'_>>>>,
    notes: &mut Notes,
) -> (Vec<IpNetwork>, Vec<Family>) {
    const FIELD: &str = "spec.loadBalancerSourceRanges";
    let mut closed = Vec::new();
    if texts.iter().flatten().any(Option::is_none) {
        // Whatever the entry should have been, it was a restriction.
        closed.extend(Family::ALL);
    }
    let mut ranges = Vec::new();
    for (n, text) in notes.entries(FIELD, texts) {
        let text = text.trim();
        match notes.network(|| format!("{FIELD}[{n}]"), text) {
            Some(range) => ranges.push(range),
            None if text.contains(':') => closed.push(Family::V6),
            None if text.contains('.') => closed.push(Family::V4),
            None => closed.extend(Family::ALL),
        }
    }
    closed.sort_unstable();
    closed.dedup();
    closed.retain(|family| ranges.iter().all(|range| Family::of(range.ip()) != *family));
    (ranges, closed)
}

fn ingress(status: Option<ServiceStatus<'_>>, notes: &mut Notes) -> Vec<IpAddr> {
    let ingress = status
        .and_then(|status| status.load_balancer)
        .and_then(|lb| lb.ingress);
    let mut ips = Vec::new();
    for (n, ingress) in notes.entries("status.loadBalancer.ingress", ingress) {
        let field = |name: &str| format!("status.loadBalancer.ingress[{n}].{name}");
        let proxied = match ingress.ip_mode.as_deref() {
            None | Some("VIP") => false,
            Some("Proxy") => true,
            Some(other) => {
                notes.leave_out(field("ipMode"), format!("{other:?} is not VIP or Proxy"));
                continue;
            }
        };
        // A load balancer that only has a host name has no address here.
        if let Some(ip) = ingress.ip.filter(|ip| !ip.is_empty()) {
            let ip = notes.reachable(|| field("ip"), &ip);
            ips.extend(ip.filter(|_| !proxied));
        }
    }
    ips
}

fn service_port(
    n: usize,
    raw: &RawServicePort<'_>,
    names: &mut Names,
    notes: &mut Notes,
) -> Option<ServicePort> {
    let field = |name: &str| format!("spec.ports[{n}].{name}");
    let port = notes.usable(|| field("port"), port(raw.port));
    let protocol = protocol(raw.protocol.as_deref());
    let protocol = notes.usable(|| field("protocol"), protocol);
    let node_port = notes.usable(|| field("nodePort"), optional_port(raw.node_port));
    let name = raw.name.as_deref().unwrap_or_default();
    let mut port = ServicePort::new(names.one(name), protocol?, port?);
    port.node_port = node_port.flatten();
    Some(port)
}

fn affinity(spec: &ServiceSpec<'_>) -> Result<Option<u32>> {
    match spec.session_affinity.as_deref() {
        None | Some("" | "None") => Ok(None),
        Some("ClientIP") => {
            let config = spec
                .session_affinity_config
                .as_ref()
                .and_then(|c| c.client_ip.as_ref());
            let seconds = config
                .and_then(|c| c.timeout_seconds)
                .unwrap_or(DEFAULT_AFFINITY);
            match u32::try_from(seconds) {
                // The limits are those of the API.
                Ok(seconds @ 1..=86_400) => Ok(Some(seconds)),
                _ => Err(FieldError::new(
                    "spec.sessionAffinityConfig.clientIP.timeoutSeconds",
                    format!("{seconds} is not from 1 to 86400"),
                )),
            }
        }
        Some(other) => {
            let reason = format!("{other:?} is not ClientIP or None");
            Err(FieldError::new("spec.sessionAffinity", reason))
        }
    }
}

fn policy(field: &str, text: Option<&str>) -> Result<TrafficPolicy> {
    match text {
        None | Some("" | "Cluster") => Ok(TrafficPolicy::Cluster),
        Some("Local") => Ok(TrafficPolicy::Local),
        Some(other) => Err(FieldError::new(
            field,
            format!("{other:?} is not Cluster or Local"),
        )),
    }
}
