//! Nodes.

use super::Notes;
use super::fields::{Result, name};
use crate::borrowed::Loose;
use crate::objects::{NodeSpec, RawNode};
use proxier::cluster::Node;

pub(super) const ZONE: &str = "topology.kubernetes.io/zone";

pub(super) fn convert(raw: RawNode<'_>, notes: &mut Notes) -> Result<Node> {
    let name = name(&raw.metadata)?;
    let zone = match raw.metadata.labels.get(ZONE) {
        Some(Loose::Text(zone)) => Some(&**zone),
        _ => None,
    };
    let listed = raw.status.and_then(|status| status.addresses);
    let listed: Vec<_> = notes.entries("status.addresses", listed).collect();
    let mut addresses = Vec::new();
    for wanted in ["InternalIP", "ExternalIP"] {
        for (n, listed) in listed.iter().filter(|(_, a)| &*a.address_type == wanted) {
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
        let several: Vec<_> = notes.entries("spec.podCIDRs", several).collect();
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
