//! EndpointSlices.

use std::fmt::Display;
use std::sync::Arc;

use super::fields::{Result, name, port, protocol};
use super::{Notes, Object, options};
use crate::borrowed::Loose;
use crate::field_error::FieldError;
use crate::names::Names;
use crate::objects::{Hint, RawEndpoint, RawEndpointPort, RawSlice};
use proxier::cluster::{Endpoint, EndpointPort, EndpointSlice, Family, Hints};

pub(super) const SERVICE_NAME: &str = "kubernetes.io/service-name";

/// Converts a slice whose endpoints are decoded one by one, at the most `listed`: an iterator of each with its index, or why it is
/// none. `Ok(None)`: it belongs to no Service, or its addresses are names.
pub(crate) fn convert<'a, I, E>(
    raw: RawSlice<'a>,
    listed: usize,
    endpoints: impl FnOnce(&mut Notes) -> I,
    names: &mut Names,
    notes: &mut Notes,
) -> Result<Option<Object>>
where
    I: Iterator<Item = (usize, std::result::Result<RawEndpoint<'a>, E>)>,
    E: Display,
{
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
    let service = match raw.metadata.labels.get(SERVICE_NAME) {
        Some(Loose::Text(service)) if !service.is_empty() => &**service,
        Some(other) => {
            let shown = match other {
                Loose::Text(_) => "\"\"".into(),
                Loose::Other(value) => value.to_string(),
            };
            let reason = format!("{shown} is not the name of a Service");
            return Err(FieldError::new(
                format!("metadata.labels.{SERVICE_NAME}"),
                reason,
            ));
        }
        None => return Ok(None),
    };
    let name = name(&raw.metadata)?;
    // Slices are most of what is kept of a cluster: no room to spare.
    let mut ports = Vec::with_capacity(raw.ports.as_ref().map_or(0, Vec::len));
    for (n, raw) in notes.entries("ports", raw.ports) {
        ports.extend(endpoint_port(n, &raw, names, notes));
    }
    let mut usable = Vec::with_capacity(listed);
    for (n, raw) in endpoints(notes) {
        match raw {
            Ok(raw) => usable.extend(endpoint(n, raw, family, names, notes)),
            Err(error) => notes.leave_out(format!("endpoints[{n}]"), error.to_string()),
        }
    }
    let mut slice = EndpointSlice::new(name, service, family)
        .with_ports(ports)
        .with_endpoints(usable);
    slice.weight = options::weight(&raw.metadata.annotations, notes);
    Ok(Some(Object::Slice(Box::new(slice))))
}

/// A port without a number stands for all ports, which a virtual server cannot.
fn endpoint_port(
    n: usize,
    raw: &RawEndpointPort<'_>,
    names: &mut Names,
    notes: &mut Notes,
) -> Option<EndpointPort> {
    let number = raw.port?;
    let protocol = protocol(raw.protocol.as_deref());
    let port = notes.usable(|| format!("ports[{n}].port"), port(number));
    let protocol = notes.usable(|| format!("ports[{n}].protocol"), protocol);
    let name = raw.name.as_deref().unwrap_or_default();
    Some(EndpointPort::new(names.one(name), protocol?, port?))
}

fn endpoint(
    n: usize,
    raw: RawEndpoint<'_>,
    family: Family,
    names: &mut Names,
    notes: &mut Notes,
) -> Option<Endpoint> {
    let Some(text) = raw.addresses.and_then(|addresses| addresses.0) else {
        notes.leave_out(format!("endpoints[{n}].addresses"), "is empty");
        return None;
    };
    let field = || format!("endpoints[{n}].addresses[0]");
    let address = notes.reachable(field, &text)?;
    if Family::of(address) != family {
        let reason = format!("{address} is not an {family} address, as addressType requires");
        notes.leave_out(field(), reason);
        return None;
    }
    let conditions = raw.conditions.unwrap_or_default();
    let hints = raw
        .hints
        .map(|raw| Hints::new(hinted(raw.for_nodes), hinted(raw.for_zones)));
    let mut endpoint = Endpoint::ready(address);
    endpoint.ready = conditions.ready.unwrap_or(true);
    endpoint.serving = conditions.serving.unwrap_or(true);
    endpoint.terminating = conditions.terminating.unwrap_or(false);
    endpoint.node = raw.node_name.map(|node| names.one(&node));
    endpoint.hints = hints
        .filter(|hints| *hints != Hints::default())
        .map(Arc::new);
    Some(endpoint)
}

fn hinted(hints: Option<Vec<Hint<'_>>>) -> impl Iterator<Item = Box<str>> {
    hints.into_iter().flatten().map(|hint| (&*hint.name).into())
}
