//! Nodes.

use super::Notes;
use super::fields::{Result, name};
use crate::objects::{NodeSpec, RawNode};
use proxier::cluster::Node;

pub(super) const ZONE: &str = "topology.kubernetes.io/zone";

pub(super) fn convert(raw: RawNode, notes: &mut Notes) -> Result<Node> {
    let name = name(&raw.metadata)?;
    let zone = raw
        .metadata
        .labels
        .as_ref()
        .and_then(|labels| labels.get(ZONE)?.as_str());
    let listed = notes.entries(
        "status.addresses",
        raw.status.and_then(|status| status.addresses),
    );
    let mut addresses = Vec::new();
    for wanted in ["InternalIP", "ExternalIP"] {
        for (n, listed) in listed.iter().filter(|(_, a)| a.address_type == wanted) {
            let field = || format!("status.addresses[{n}].address");
            addresses.extend(notes.address(field, &listed.address));
        }
    }
    let mut pod_cidrs = Vec::new();
    if let Some(NodeSpec {
        pod_cidr,
        pod_cidrs: several,
    }) = raw.spec
    {
        let several = notes.entries("spec.podCIDRs", several);
        for (n, text) in &several {
            pod_cidrs.extend(notes.network(|| format!("spec.podCIDRs[{n}]"), text));
        }
        let single = pod_cidr.filter(|text| several.is_empty() && !text.is_empty());
        if let Some(text) = single {
            pod_cidrs.extend(notes.network(|| "spec.podCIDR".into(), &text));
        }
    }
    let mut node = Node::new(name.name()).with_addresses(addresses);
    node.zone = zone.map(Into::into);
    node.pod_cidrs = pod_cidrs;
    Ok(node)
}
