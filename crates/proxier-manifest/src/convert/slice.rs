//! EndpointSlices.

use std::sync::Arc;

use serde_json::Value;

use super::fields::{FieldFault, Result, address, at, name, port, protocol};
use crate::objects::{Hint, RawEndpoint, RawEndpointPort, RawSlice};
use proxier::cluster::{Endpoint, EndpointPort, EndpointSlice, Family, Hints};

const SERVICE_NAME: &str = "kubernetes.io/service-name";

/// `Ok(None)`: it belongs to no Service, or its addresses are names.
pub(super) fn convert(raw: RawSlice) -> Result<Option<EndpointSlice>> {
    let family = match raw.address_type.as_deref() {
        Some("IPv4") => Family::V4,
        Some("IPv6") => Family::V6,
        Some("FQDN") => return Ok(None),
        Some(other) => {
            let reason = format!("{other:?} is none of IPv4, IPv6 and FQDN");
            return Err(FieldFault::new("addressType", reason));
        }
        None => return Err(FieldFault::new("addressType", "is missing")),
    };
    let label = raw
        .metadata
        .labels
        .as_ref()
        .and_then(|labels| labels.get(SERVICE_NAME));
    let service = match label {
        Some(Value::String(service)) if !service.is_empty() => service.as_str(),
        Some(other) => {
            let reason = format!("{other} is no name of a Service");
            return Err(FieldFault::new(
                format!("metadata.labels.{SERVICE_NAME}"),
                reason,
            ));
        }
        None => return Ok(None),
    };
    let endpoints = raw.endpoints.unwrap_or_default();
    let endpoints = endpoints.into_iter().enumerate();
    let ports = raw.ports.iter().flatten().enumerate();
    Ok(Some(EndpointSlice {
        name: name(&raw.metadata)?,
        service: service.into(),
        family,
        ports: ports
            .filter_map(|(n, raw)| endpoint_port(n, raw).transpose())
            .collect::<Result<_>>()?,
        endpoints: endpoints
            .map(|(n, raw)| endpoint(n, raw, family))
            .collect::<Result<_>>()?,
    }))
}

/// A port without a number stands for all ports, which a virtual server cannot.
fn endpoint_port(n: usize, raw: &RawEndpointPort) -> Result<Option<EndpointPort>> {
    let Some(number) = raw.port else {
        return Ok(None);
    };
    Ok(Some(EndpointPort {
        name: raw.name.clone().unwrap_or_default().into(),
        protocol: at(
            || format!("ports[{n}].protocol"),
            protocol(raw.protocol.as_deref()),
        )?,
        port: at(|| format!("ports[{n}].port"), port(number))?,
    }))
}

fn endpoint(n: usize, raw: RawEndpoint, family: Family) -> Result<Endpoint> {
    let field = || format!("endpoints[{n}].addresses[0]");
    let addresses = raw.addresses.unwrap_or_default();
    let Some(text) = addresses.first() else {
        return Err(FieldFault::new(
            format!("endpoints[{n}].addresses"),
            "is empty",
        ));
    };
    let address = at(field, address(text))?;
    if Family::of(address) != family {
        let reason = format!("{address} is no {family} address, as addressType says");
        return Err(FieldFault::new(field(), reason));
    }
    let conditions = raw.conditions.unwrap_or_default();
    let hints = raw.hints.map(|raw| Hints {
        nodes: names(raw.for_nodes),
        zones: names(raw.for_zones),
    });
    Ok(Endpoint {
        address,
        ready: conditions.ready.unwrap_or(true),
        serving: conditions.serving.unwrap_or(true),
        terminating: conditions.terminating.unwrap_or(false),
        node: raw.node_name.map(Into::into),
        hints: hints
            .filter(|hints| *hints != Hints::default())
            .map(Arc::new),
    })
}

fn names(hints: Option<Vec<Hint>>) -> Vec<Box<str>> {
    hints
        .into_iter()
        .flatten()
        .map(|hint| hint.name.into())
        .collect()
}
