//! What conversions of all kinds have in common.

use std::num::NonZeroU16;

use ipvs_netlink::Protocol;

use crate::field_error::FieldError;
use crate::objects::Metadata;
use proxier::cluster::ObjectName;

pub(super) type Result<T> = std::result::Result<T, FieldError>;

pub(super) fn name(metadata: &Metadata<'_>) -> Result<ObjectName> {
    let namespace = metadata.namespace.as_deref().unwrap_or("default");
    match metadata.name.as_deref() {
        Some(name) if !name.is_empty() => Ok(ObjectName::new(namespace, name)),
        _ => Err(FieldError::new("metadata.name", "is missing")),
    }
}

pub(super) fn port(number: i64) -> std::result::Result<NonZeroU16, String> {
    u16::try_from(number)
        .ok()
        .and_then(NonZeroU16::new)
        .ok_or_else(|| format!("{number} is not a port: those are from 1 to 65535"))
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
        Some(other) => Err(format!("{other:?} is not TCP, UDP or SCTP")),
    }
}
