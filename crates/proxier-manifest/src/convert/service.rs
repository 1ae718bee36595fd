//! Services.

use std::net::IpAddr;

use super::fields::{
    FieldFault, Result, address, at, name, network, optional_port, port, protocol,
};
use crate::objects::{RawService, RawServicePort, ServiceSpec, ServiceStatus};
use crate::quantity;
use proxier::cluster::{Family, Service, ServicePort, ServiceType, TrafficPolicy};

/// Seconds a client stays with its endpoint where the Service does not say.
const DEFAULT_AFFINITY: i64 = 10_800;

/// A label that gives a Service to another proxy, whatever its value.
const PROXY_NAME: &str = "service.kubernetes.io/service-proxy-name";

pub(super) fn convert(raw: RawService) -> Result<Service> {
    let RawService {
        metadata,
        spec,
        status,
    } = raw;
    let created = metadata
        .creation_timestamp
        .as_deref()
        .map(quantity::timestamp)
        .transpose();
    let ports = spec.ports.as_deref().unwrap_or_default();
    let health = optional_port(spec.health_check_node_port);
    Ok(Service {
        name: name(&metadata)?,
        created: at(|| "metadata.creationTimestamp".into(), created)?,
        service_type: service_type(&spec)?,
        cluster_ips: cluster_ips(&spec)?,
        external_ips: addresses("spec.externalIPs", spec.external_ips.as_deref())?,
        load_balancer_ips: ingress(status)?,
        source_ranges: spec
            .load_balancer_source_ranges
            .iter()
            .flatten()
            .enumerate()
            .map(|(n, range)| {
                at(
                    || format!("spec.loadBalancerSourceRanges[{n}]"),
                    network(range.trim()),
                )
            })
            .collect::<Result<_>>()?,
        ports: ports
            .iter()
            .enumerate()
            .map(|(n, p)| service_port(n, p))
            .collect::<Result<_>>()?,
        affinity_seconds: affinity(&spec)?,
        internal_policy: policy(
            "spec.internalTrafficPolicy",
            spec.internal_traffic_policy.as_deref(),
        )?,
        external_policy: policy(
            "spec.externalTrafficPolicy",
            spec.external_traffic_policy.as_deref(),
        )?,
        health_check_node_port: at(|| "spec.healthCheckNodePort".into(), health)?,
        other_proxy: metadata
            .labels
            .is_some_and(|labels| labels.contains_key(PROXY_NAME)),
    })
}

fn service_type(spec: &ServiceSpec) -> Result<ServiceType> {
    match spec.service_type.as_deref() {
        None | Some("ClusterIP") => Ok(ServiceType::ClusterIp),
        Some("NodePort") => Ok(ServiceType::NodePort),
        Some("LoadBalancer") => Ok(ServiceType::LoadBalancer),
        Some("ExternalName") => Ok(ServiceType::ExternalName),
        Some(other) => Err(FieldFault::new(
            "spec.type",
            format!("{other:?} is no type of Service"),
        )),
    }
}

/// `clusterIPs`, or `clusterIP` where only that is there; at most one of each family, and of the families
/// that the Service says it has.
fn cluster_ips(spec: &ServiceSpec) -> Result<Vec<IpAddr>> {
    let listed = spec.cluster_ips.as_deref().filter(|ips| !ips.is_empty());
    let single = spec.cluster_ip.as_ref().map(std::slice::from_ref);
    let (texts, plural) = match listed {
        Some(listed) => (listed, true),
        None => (single.unwrap_or_default(), false),
    };
    let mut ips: Vec<IpAddr> = Vec::new();
    for (n, text) in texts
        .iter()
        .enumerate()
        .filter(|(_, ip)| !ip.is_empty() && *ip != "None")
    {
        let field = || {
            if plural {
                format!("spec.clusterIPs[{n}]")
            } else {
                "spec.clusterIP".into()
            }
        };
        let ip = at(field, address(text))?;
        let family = Family::of(ip);
        if ips.iter().any(|other| Family::of(*other) == family) {
            let reason = format!("{ip} is a second {family} address");
            return Err(FieldFault::new(field(), reason));
        }
        let families = spec.ip_families.as_deref().unwrap_or_default();
        if !families.is_empty() && !families.contains(&family.to_string()) {
            let reason = format!(
                "{ip} is of none of spec.ipFamilies ({})",
                families.join(", ")
            );
            return Err(FieldFault::new(field(), reason));
        }
        ips.push(ip);
    }
    Ok(ips)
}

fn addresses(field: &str, texts: Option<&[String]>) -> Result<Vec<IpAddr>> {
    let texts = texts.unwrap_or_default().iter().enumerate();
    texts
        .map(|(n, text)| at(|| format!("{field}[{n}]"), address(text)))
        .collect()
}

fn ingress(status: Option<ServiceStatus>) -> Result<Vec<IpAddr>> {
    let ingress = status
        .and_then(|status| status.load_balancer)
        .and_then(|lb| lb.ingress);
    let mut ips = Vec::new();
    for (n, ingress) in ingress.into_iter().flatten().enumerate() {
        let field = |name: &str| format!("status.loadBalancer.ingress[{n}].{name}");
        let proxied = match ingress.ip_mode.as_deref() {
            None | Some("VIP") => false,
            Some("Proxy") => true,
            Some(other) => {
                let reason = format!("{other:?} is neither VIP nor Proxy");
                return Err(FieldFault::new(field("ipMode"), reason));
            }
        };
        // A load balancer known by its host name alone has no address here.
        if let Some(ip) = ingress.ip.filter(|ip| !ip.is_empty()) {
            let ip = at(|| field("ip"), address(&ip))?;
            if !proxied {
                ips.push(ip);
            }
        }
    }
    Ok(ips)
}

fn service_port(n: usize, raw: &RawServicePort) -> Result<ServicePort> {
    let field = |name: &str| format!("spec.ports[{n}].{name}");
    Ok(ServicePort {
        name: raw.name.clone().unwrap_or_default().into(),
        protocol: at(|| field("protocol"), protocol(raw.protocol.as_deref()))?,
        port: at(|| field("port"), port(raw.port))?,
        node_port: at(|| field("nodePort"), optional_port(raw.node_port))?,
    })
}

fn affinity(spec: &ServiceSpec) -> Result<Option<u32>> {
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
                _ => Err(FieldFault::new(
                    "spec.sessionAffinityConfig.clientIP.timeoutSeconds",
                    format!("{seconds} is not from 1 to 86400"),
                )),
            }
        }
        Some(other) => {
            let reason = format!("{other:?} is neither ClientIP nor None");
            Err(FieldFault::new("spec.sessionAffinity", reason))
        }
    }
}

fn policy(field: &str, text: Option<&str>) -> Result<TrafficPolicy> {
    match text {
        None | Some("" | "Cluster") => Ok(TrafficPolicy::Cluster),
        Some("Local") => Ok(TrafficPolicy::Local),
        Some(other) => Err(FieldFault::new(
            field,
            format!("{other:?} is neither Cluster nor Local"),
        )),
    }
}
