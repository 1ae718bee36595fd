//! EndpointSlices.

use std::sync::Arc;

use serde_json::Value;

use super::fields::{Result, name, port, protocol};
use super::{Notes, options};
use crate::field_error::FieldError;
use crate::objects::{Hint, RawEndpoint, RawEndpointPort, RawSlice};
use proxier::cluster::{Endpoint, EndpointPort, EndpointSlice, Family, Hints};

pub(super) const SERVICE_NAME: &str = "kubernetes.io/service-name";

/// `Ok(None)`: it belongs to no Service, or its addresses are names.
pub(super) fn convert(raw: RawSlice, notes: &mut Notes) -> Result<Option<EndpointSlice>> {
    let family = match raw.address_type.as_deref() {
        Some("IPv4") => Family::V4,
        Some("IPv6") => Family::V6,
        Some("FQDN") => return Ok(None),
        Some(other) => {
            let reason = format!("{other:?} is not IPv4, IPv6 or FQDN");
            return Err(FieldError::new("addressType", reason));
        }
        None => return Err(FieldError::new("addressType", "is missing")),
    };
    let label = raw
        .metadata
        .labels
        .as_ref()
        .and_then(|labels| labels.get(SERVICE_NAME));
    let service = match label {
        Some(Value::String(service)) if !service.is_empty() => service.as_str(),
        Some(other) => {
            let reason = format!("{other} is not the name of a Service");
            return Err(FieldError::new(
                format!("metadata.labels.{SERVICE_NAME}"),
                reason,
            ));
        }
        None => return Ok(None),
    };
    let name = name(&raw.metadata)?;
    // Slices are most of what is kept of a cluster: no room to spare.
    let raw_ports = notes.entries("ports", raw.ports);
    let mut ports = Vec::with_capacity(raw_ports.len());
    for (n, raw) in raw_ports {
        ports.extend(endpoint_port(n, raw, notes));
    }
    let raw_endpoints = notes.entries("endpoints", raw.endpoints);
    let mut endpoints = Vec::with_capacity(raw_endpoints.len());
    for (n, raw) in raw_endpoints {
        endpoints.extend(endpoint(n, raw, family, notes));
    }
    let mut slice = EndpointSlice::new(name, service, family)
        .with_ports(ports)
        .with_endpoints(endpoints);
    slice.weight = options::weight(&raw.metadata.annotations, notes);
    Ok(Some(slice))
}

/// A port without a number stands for all ports, which a virtual server cannot.
fn endpoint_port(n: usize, raw: RawEndpointPort, notes: &mut Notes) -> Option<EndpointPort> {
    let number = raw.port?;
    let protocol = protocol(raw.protocol.as_deref());
    let port = notes.usable(|| format!("ports[{n}].port"), port(number));
    let protocol = notes.usable(|| format!("ports[{n}].protocol"), protocol);
    let name = raw.name.unwrap_or_default();
    Some(EndpointPort::new(name, protocol?, port?))
}

fn endpoint(n: usize, raw: RawEndpoint, family: Family, notes: &mut Notes) -> Option<Endpoint> {
    let addresses = raw.addresses.unwrap_or_default();
    let Some(text) = addresses.first() else {
        notes.leave_out(format!("endpoints[{n}].addresses"), "is empty");
        return None;
    };
    let field = || format!("endpoints[{n}].addresses[0]");
    let address = notes.reachable(field, text)?;
    if Family::of(address) != family {
        let reason = format!("{address} is not an {family} address, as addressType requires");
        notes.leave_out(field(), reason);
        return None;
    }
    let conditions = raw.conditions.unwrap_or_default();
    let hints = raw
        .hints
        .map(|raw| Hints::new(names(raw.for_nodes), names(raw.for_zones)));
    let mut endpoint = Endpoint::ready(address);
    endpoint.ready = conditions.ready.unwrap_or(true);
    endpoint.serving = conditions.serving.unwrap_or(true);
    endpoint.terminating = conditions.terminating.unwrap_or(false);
    endpoint.node = raw.node_name.map(Into::into);
    endpoint.hints = hints
        .filter(|hints| *hints != Hints::default())
        .map(Arc::new);
    Some(endpoint)
}

fn names(hints: Option<Vec<Hint>>) -> impl Iterator<Item = String> {
    hints.into_iter().flatten().map(|hint| hint.name)
}
