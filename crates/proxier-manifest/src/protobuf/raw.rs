//! From messages to the values that objects in JSON are read to as well, and that are converted in one place.
//!
//! Numbers and types of the fields are those of `generated.proto` in github.com/kubernetes/api at 10b39a39 (v0.37.0-beta.0).
//! Entries of lists are decoded one by one, so that a malformed one costs that entry. A message that comes twice is one, as
//! everywhere in protobuf.
//!
//! Go always writes a field that is not a pointer, so an empty text or a 0 means that the field is not set.

use super::envelope::Malformed;
use super::fields::{Field, fields};
use crate::borrowed::Text;
use crate::convert::{Convert, Notes, Object, convert_slice};
use crate::field_error::FieldError;
use crate::list::ListKind;
use crate::names::Names;
use crate::objects::{
    AffinityConfig, Conditions, Hint, Ingress, LoadBalancer, Metadata, Named, NodeAddress,
    NodeSpec, NodeStatus, RawEndpoint, RawEndpointPort, RawHints, RawNode, RawService,
    RawServicePort, RawSlice, ServiceSpec, ServiceStatus,
};

type Decoded<T = ()> = Result<T, Malformed>;
/// A list of which malformed entries are missing.
type List<T> = Option<Vec<Option<T>>>;

/// Decodes an object whose metadata are decoded, and converts it.
pub(super) fn convert(
    kind: ListKind,
    metadata: Metadata<'_>,
    bytes: &[u8],
    names: &mut Names,
    notes: &mut Notes,
) -> Result<Option<Object>, FieldError> {
    match kind {
        ListKind::Services => {
            let raw = service(metadata, bytes, notes).map_err(|error| malformed(&error))?;
            raw.convert(names, notes)
        }
        ListKind::EndpointSlices => slice(metadata, bytes, names, notes),
        ListKind::Nodes => {
            let raw = node(metadata, bytes, notes).map_err(|error| malformed(&error))?;
            raw.convert(names, notes)
        }
    }
}

fn malformed(error: &Malformed) -> FieldError {
    FieldError::new("", error.to_string())
}

/// Whether it is a Node with a taint of that key.
pub(super) fn has_taint(bytes: &[u8], key: &str) -> bool {
    let of = |message, number| {
        let all = fields(message).filter_map(Result::ok);
        let all = all.filter(move |field| field.number == number);
        all.filter_map(|field| field.bytes().ok())
    };
    let taints = of(bytes, 2).flat_map(|spec| of(spec, 5));
    let mut keys = taints.filter_map(|taint| of(taint, 1).last());
    keys.any(|found| found == key.as_bytes())
}

/// Hands over the fields of a message.
fn each<'a>(message: &'a [u8], mut take: impl FnMut(Field<'a>) -> Decoded) -> Decoded {
    fields(message).try_for_each(|field| take(field?))
}

fn filled<'a>(field: Field<'a>) -> Decoded<Option<Text<'a>>> {
    let text = field.text()?;
    Ok(Some(text).filter(|text| !text.is_empty()).map(Into::into))
}

/// Adds an entry to a list of texts.
fn add_text<'a>(list: &mut List<Text<'a>>, field: Field<'a>) -> Decoded {
    let text = field.text()?.into();
    list.get_or_insert_default().push(Some(text));
    Ok(())
}

/// Adds an entry to a list. A malformed one is noted and left out.
fn add<'a, T>(
    list: &mut List<T>,
    name: &str,
    field: Field<'a>,
    notes: &mut Notes,
    decode: impl FnOnce(&'a [u8]) -> Decoded<T>,
) -> Decoded {
    let list = list.get_or_insert_default();
    let entry = match decode(field.bytes()?) {
        Ok(entry) => Some(entry),
        Err(error) => {
            notes.leave_out(format!("{name}[{}]", list.len()), error.to_string());
            None
        }
    };
    list.push(entry);
    Ok(())
}

fn service<'a>(
    metadata: Metadata<'a>,
    bytes: &'a [u8],
    notes: &mut Notes,
) -> Decoded<RawService<'a>> {
    let mut spec = ServiceSpec::default();
    let mut ingress = None;
    each(bytes, |field| match field.number {
        2 => add_to_spec(&mut spec, field.bytes()?, notes),
        // `status`, and in that `loadBalancer`.
        3 => each(field.bytes()?, |field| match field.number {
            1 => each(field.bytes()?, |field| match field.number {
                1 => add(
                    &mut ingress,
                    "status.loadBalancer.ingress",
                    field,
                    notes,
                    ingress_of,
                ),
                _ => Ok(()),
            }),
            _ => Ok(()),
        }),
        _ => Ok(()),
    })?;
    Ok(RawService {
        kind: Named::Missing,
        api_version: Named::Missing,
        metadata,
        spec,
        status: Some(ServiceStatus {
            load_balancer: Some(LoadBalancer { ingress }),
        }),
    })
}

fn add_to_spec<'a>(spec: &mut ServiceSpec<'a>, bytes: &'a [u8], notes: &mut Notes) -> Decoded {
    each(bytes, |field| {
        match field.number {
            1 => add(&mut spec.ports, "spec.ports", field, notes, service_port)?,
            3 => spec.cluster_ip = filled(field)?,
            4 => spec.service_type = filled(field)?,
            5 => add_text(&mut spec.external_ips, field)?,
            7 => spec.session_affinity = filled(field)?,
            9 => add_text(&mut spec.load_balancer_source_ranges, field)?,
            11 => spec.external_traffic_policy = filled(field)?,
            12 => spec.health_check_node_port = Some(field.int32()?),
            14 => {
                let config = spec.session_affinity_config.get_or_insert_default();
                add_to_affinity(config, field.bytes()?)?;
            }
            18 => add_text(&mut spec.cluster_ips, field)?,
            19 => add_text(&mut spec.ip_families, field)?,
            22 => spec.internal_traffic_policy = Some(field.text()?.into()),
            _ => {}
        }
        Ok(())
    })
}

fn add_to_affinity(config: &mut AffinityConfig, bytes: &[u8]) -> Decoded {
    each(bytes, |field| match field.number {
        1 => {
            let client_ip = config.client_ip.get_or_insert_default();
            each(field.bytes()?, |field| {
                if field.number == 1 {
                    client_ip.timeout_seconds = Some(field.int32()?);
                }
                Ok(())
            })
        }
        _ => Ok(()),
    })
}

fn service_port(bytes: &[u8]) -> Decoded<RawServicePort<'_>> {
    let mut port = RawServicePort::default();
    each(bytes, |field| {
        match field.number {
            1 => port.name = Some(field.text()?.into()),
            2 => port.protocol = filled(field)?,
            3 => port.port = field.int32()?,
            5 => port.node_port = Some(field.int32()?),
            _ => {}
        }
        Ok(())
    })?;
    Ok(port)
}

fn ingress_of(bytes: &[u8]) -> Decoded<Ingress<'_>> {
    let mut ingress = Ingress::default();
    each(bytes, |field| {
        match field.number {
            1 => ingress.ip = filled(field)?,
            3 => ingress.ip_mode = Some(field.text()?.into()),
            _ => {}
        }
        Ok(())
    })?;
    Ok(ingress)
}

/// Its endpoints, of which there may be a thousand, are decoded while they are converted.
fn slice(
    metadata: Metadata<'_>,
    bytes: &[u8],
    names: &mut Names,
    notes: &mut Notes,
) -> Result<Option<Object>, FieldError> {
    let mut listed = 0;
    let mut ports = None;
    let mut address_type = None;
    let decoded = each(bytes, |field| {
        match field.number {
            2 => {
                field.bytes()?;
                listed += 1;
            }
            3 => add(&mut ports, "ports", field, notes, endpoint_port)?,
            4 => address_type = Some(field.text()?.into()),
            _ => {}
        }
        Ok(())
    });
    decoded.map_err(|error| malformed(&error))?;
    let raw = RawSlice {
        kind: Named::Missing,
        api_version: Named::Missing,
        metadata,
        address_type,
        endpoints: None,
        ports,
    };
    let endpoints = || {
        let all = fields(bytes).map_while(Result::ok);
        let all = all.filter(|field| field.number == 2).enumerate();
        all.map(|(n, field)| (n, field.bytes().and_then(endpoint)))
    };
    let converted = convert_slice(raw, listed, |_| endpoints(), names, notes)?;
    if converted.is_none() {
        // It belongs to no Service, and none was decoded. What is malformed is told all the same, as of such a slice in JSON.
        for (n, entry) in endpoints() {
            if let Err(error) = entry {
                notes.leave_out(format!("endpoints[{n}]"), error.to_string());
            }
        }
    }
    Ok(converted)
}

fn endpoint(bytes: &[u8]) -> Decoded<RawEndpoint<'_>> {
    let mut endpoint = RawEndpoint::default();
    each(bytes, |field| {
        match field.number {
            1 => {
                let text = field.text()?;
                let addresses = endpoint.addresses.get_or_insert_default();
                addresses.0.get_or_insert_with(|| text.into());
            }
            2 => add_to_conditions(endpoint.conditions.get_or_insert_default(), field.bytes()?)?,
            6 => endpoint.node_name = Some(field.text()?.into()),
            8 => add_to_hints(endpoint.hints.get_or_insert_default(), field.bytes()?)?,
            _ => {}
        }
        Ok(())
    })?;
    Ok(endpoint)
}

fn add_to_conditions(conditions: &mut Conditions, bytes: &[u8]) -> Decoded {
    each(bytes, |field| {
        match field.number {
            1 => conditions.ready = Some(field.boolean()?),
            2 => conditions.serving = Some(field.boolean()?),
            3 => conditions.terminating = Some(field.boolean()?),
            _ => {}
        }
        Ok(())
    })
}

fn add_to_hints<'a>(hints: &mut RawHints<'a>, bytes: &'a [u8]) -> Decoded {
    each(bytes, |field| {
        let hints = match field.number {
            1 => &mut hints.for_zones,
            2 => &mut hints.for_nodes,
            _ => return Ok(()),
        };
        let mut name = Text::default();
        each(field.bytes()?, |field| {
            if field.number == 1 {
                name = field.text()?.into();
            }
            Ok(())
        })?;
        hints.get_or_insert_default().push(Hint { name });
        Ok(())
    })
}

fn endpoint_port(bytes: &[u8]) -> Decoded<RawEndpointPort<'_>> {
    let mut port = RawEndpointPort::default();
    each(bytes, |field| {
        match field.number {
            1 => port.name = Some(field.text()?.into()),
            2 => port.protocol = Some(field.text()?.into()),
            3 => port.port = Some(field.int32()?),
            _ => {}
        }
        Ok(())
    })?;
    Ok(port)
}

fn node<'a>(metadata: Metadata<'a>, bytes: &'a [u8], notes: &mut Notes) -> Decoded<RawNode<'a>> {
    let mut spec = NodeSpec::default();
    let mut addresses = None;
    each(bytes, |field| match field.number {
        2 => each(field.bytes()?, |field| match field.number {
            1 => {
                spec.pod_cidr = filled(field)?;
                Ok(())
            }
            7 => add_text(&mut spec.pod_cidrs, field),
            _ => Ok(()),
        }),
        3 => each(field.bytes()?, |field| match field.number {
            5 => add(
                &mut addresses,
                "status.addresses",
                field,
                notes,
                node_address,
            ),
            _ => Ok(()),
        }),
        _ => Ok(()),
    })?;
    Ok(RawNode {
        metadata,
        spec: Some(spec),
        status: Some(NodeStatus { addresses }),
    })
}

fn node_address(bytes: &[u8]) -> Decoded<NodeAddress<'_>> {
    let mut address = NodeAddress::default();
    each(bytes, |field| {
        match field.number {
            1 => address.address_type = field.text()?.into(),
            2 => address.address = field.text()?.into(),
            _ => {}
        }
        Ok(())
    })?;
    Ok(address)
}
