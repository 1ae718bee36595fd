//! What conversions of all kinds have in common.

use std::fmt::Display;
use std::net::IpAddr;
use std::num::NonZeroU16;

use ipnetwork::IpNetwork;
use ipvs_netlink::Protocol;

use crate::objects::Metadata;
use proxier::cluster::ObjectName;

/// A field and what is wrong with it.
pub(crate) struct FieldFault {
    pub(crate) field: Box<str>,
    pub(crate) reason: Box<str>,
}

pub(super) type Result<T> = std::result::Result<T, FieldFault>;

impl FieldFault {
    pub(crate) fn new(field: impl Into<Box<str>>, reason: impl Into<Box<str>>) -> Self {
        Self {
            field: field.into(),
            reason: reason.into(),
        }
    }
}

/// A fault of `field` if there is one in `result`.
pub(super) fn at<T, E: Display>(
    field: impl FnOnce() -> String,
    result: std::result::Result<T, E>,
) -> Result<T> {
    result.map_err(|error| FieldFault::new(field(), error.to_string()))
}

pub(super) fn name(metadata: &Metadata) -> Result<ObjectName> {
    let namespace = metadata.namespace.as_deref().unwrap_or("default");
    match metadata.name.as_deref() {
        Some(name) if !name.is_empty() => Ok(ObjectName::new(namespace, name)),
        _ => Err(FieldFault::new("metadata.name", "is missing")),
    }
}

/// An IPv4 address written as IPv6 is an IPv4 address, as it is to Kubernetes.
pub(super) fn address(text: &str) -> std::result::Result<IpAddr, String> {
    match text.parse::<IpAddr>() {
        Ok(address) => Ok(address.to_canonical()),
        Err(_) => Err(format!("{text:?} is no IP address")),
    }
}

/// A network; bits beyond its prefix are cleared.
pub(super) fn network(text: &str) -> std::result::Result<IpNetwork, String> {
    let wrong = || format!("{text:?} is no network such as 10.0.0.0/8 or fd00::/8");
    if !text.contains('/') {
        return Err(wrong());
    }
    let network: IpNetwork = text.parse().map_err(|_| wrong())?;
    IpNetwork::new(network.network(), network.prefix()).map_err(|_| wrong())
}

pub(super) fn port(number: i64) -> std::result::Result<NonZeroU16, String> {
    u16::try_from(number)
        .ok()
        .and_then(NonZeroU16::new)
        .ok_or_else(|| format!("{number} is no port: those are from 1 to 65535"))
}

/// A port that may be left out; 0 leaves it out too.
pub(super) fn optional_port(
    number: Option<i64>,
) -> std::result::Result<Option<NonZeroU16>, String> {
    number.filter(|number| *number != 0).map(port).transpose()
}

pub(super) fn protocol(text: Option<&str>) -> std::result::Result<Protocol, String> {
    match text {
        None | Some("TCP") => Ok(Protocol::TCP),
        Some("UDP") => Ok(Protocol::UDP),
        Some("SCTP") => Ok(Protocol::SCTP),
        Some(other) => Err(format!("{other:?} is none of TCP, UDP and SCTP")),
    }
}
