//! What this crate does not know, kept as it is.

use netlink_wire::{Attribute, NLA_F_NESTED, NLA_F_NET_BYTEORDER, Writer};

/// An attribute that this crate does not know.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct RawAttribute {
    /// Its type, with the flags `NLA_F_NESTED` and `NLA_F_NET_BYTEORDER`.
    pub kind: u16,
    /// Its value, without padding.
    pub value: Vec<u8>,
}

/// The attributes of a structure that this crate does not know: of newer kernels, mostly. They are
/// written again as they were, behind those that are known.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(transparent))]
pub struct Others(pub Vec<RawAttribute>);

impl Others {
    /// Whether all attributes are known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn keep(&mut self, attribute: &Attribute<'_>) {
        let mut kind = attribute.kind();
        if attribute.is_nested() {
            kind |= NLA_F_NESTED;
        }
        if attribute.is_network_order() {
            kind |= NLA_F_NET_BYTEORDER;
        }
        self.0.push(RawAttribute {
            kind,
            value: attribute.value().to_vec(),
        });
    }

    pub(crate) fn encode(&self, writer: &mut Writer<'_>) {
        for attribute in &self.0 {
            writer.bytes(attribute.kind, &attribute.value);
        }
    }
}
