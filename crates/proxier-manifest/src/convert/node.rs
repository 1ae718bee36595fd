//! Nodes.

use super::fields::{Result, address, at, name, network};
use crate::objects::{NodeSpec, RawNode};
use proxier::cluster::Node;

const ZONE: &str = "topology.kubernetes.io/zone";

pub(super) fn convert(raw: RawNode) -> Result<Node> {
    let zone = raw
        .metadata
        .labels
        .as_ref()
        .and_then(|labels| labels.get(ZONE)?.as_str());
    let listed = raw
        .status
        .and_then(|status| status.addresses)
        .unwrap_or_default();
    let mut addresses = Vec::new();
    for wanted in ["InternalIP", "ExternalIP"] {
        for (n, listed) in listed
            .iter()
            .enumerate()
            .filter(|(_, a)| a.address_type == wanted)
        {
            addresses.push(at(
                || format!("status.addresses[{n}].address"),
                address(&listed.address),
            )?);
        }
    }
    let cidrs = raw.spec.map(pod_cidrs).unwrap_or_default();
    let cidrs = cidrs.iter().enumerate();
    Ok(Node {
        name: name(&raw.metadata)?.name().into(),
        zone: zone.map(Into::into),
        pod_cidrs: cidrs
            .map(|(n, cidr)| at(|| format!("spec.podCIDRs[{n}]"), network(cidr)))
            .collect::<Result<_>>()?,
        addresses,
    })
}

fn pod_cidrs(spec: NodeSpec) -> Vec<String> {
    match (spec.pod_cidrs, spec.pod_cidr) {
        (Some(cidrs), _) if !cidrs.is_empty() => cidrs,
        (_, Some(cidr)) if !cidr.is_empty() => vec![cidr],
        _ => Vec::new(),
    }
}
