//! Objects that rules share: counters, quotas, limits.

use netlink_wire::{Attribute, Fault, Writer};

use crate::model::expression::{Connlimit, Counter, Limit, Quota};
use crate::model::{Name, TableFamily};
use crate::wire::{Attributes, Value, attributes, number, to_bytes};

number! {
    /// The type of an object.
    ObjectKind(u32) {
        /// Counts packets and bytes.
        COUNTER = 1 "counter",
        /// Lets so many bytes pass.
        QUOTA = 2 "quota",
        /// A helper of connection tracking.
        CT_HELPER = 3 "ct helper",
        /// Lets packets pass no faster than this.
        LIMIT = 4 "limit",
        /// Counts connections.
        CONNLIMIT = 5 "ct count",
        /// A tunnel.
        TUNNEL = 6 "tunnel",
        /// Timeouts of connection tracking.
        CT_TIMEOUT = 7 "ct timeout",
        /// A security mark.
        SECMARK = 8 "secmark",
        /// An expected connection.
        CT_EXPECT = 9 "ct expectation",
        /// A proxy of TCP's beginning.
        SYNPROXY = 10 "synproxy",
    }
}

/// The attributes of an object, undecoded: what they are depends on its type.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(transparent))]
pub struct ObjectBytes(pub Vec<u8>);

impl Value for ObjectBytes {
    fn read(attribute: &Attribute<'_>) -> Result<Self, Fault> {
        Ok(Self(attribute.value().to_vec()))
    }

    fn write(&self, writer: &mut Writer<'_>, kind: u16) {
        writer.bytes(kind | netlink_wire::NLA_F_NESTED, &self.0);
    }
}

attributes! {
    /// An object of a table that rules share.
    Object: "the object", #[doc = "The family of its table."] family: TableFamily {
        /// The name of its table.
        required table: Name = NFTA_OBJ_TABLE,
        /// Its name.
        required name: Name = NFTA_OBJ_NAME,
        /// Its type.
        required kind: ObjectKind = NFTA_OBJ_TYPE,
        /// Its attributes: see [`Object::state`].
        optional data: ObjectBytes = NFTA_OBJ_DATA,
        /// How many rules and elements use it.
        optional uses: u32 = NFTA_OBJ_USE,
        /// The number that the kernel gave it.
        optional handle: u64 = NFTA_OBJ_HANDLE,
        /// What programs keep with it, a comment: see [`userdata`](crate::userdata).
        default userdata: Vec<u8> = NFTA_OBJ_USERDATA,
    }
}

/// What an object keeps.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ObjectState {
    /// A counter's packets and bytes.
    Counter(Counter),
    /// A quota's bytes.
    Quota(Quota),
    /// A limit's rate.
    Limit(Limit),
    /// A number of connections.
    Connlimit(Connlimit),
}

impl Object {
    /// An object with this state.
    #[must_use]
    pub fn new(
        family: impl Into<TableFamily>,
        table: Name,
        name: Name,
        state: &ObjectState,
    ) -> Self {
        let (kind, data) = match state {
            ObjectState::Counter(state) => (ObjectKind::COUNTER, to_bytes(|w| state.encode(w))),
            ObjectState::Quota(state) => (ObjectKind::QUOTA, to_bytes(|w| state.encode(w))),
            ObjectState::Limit(state) => (ObjectKind::LIMIT, to_bytes(|w| state.encode(w))),
            ObjectState::Connlimit(state) => (ObjectKind::CONNLIMIT, to_bytes(|w| state.encode(w))),
        };
        Self {
            family: family.into(),
            table,
            name,
            kind,
            data: Some(ObjectBytes(data)),
            ..Self::default()
        }
    }

    /// What it keeps; `None` for types that are not known here.
    ///
    /// # Errors
    /// [`DecodeError`](crate::DecodeError): its attributes are malformed.
    pub fn state(&self) -> Result<Option<ObjectState>, crate::DecodeError> {
        let bytes = self.data.as_ref().map_or(&[][..], |data| &data.0);
        Ok(Some(match self.kind {
            ObjectKind::COUNTER => ObjectState::Counter(Counter::decode(bytes)?),
            ObjectKind::QUOTA => ObjectState::Quota(Quota::decode(bytes)?),
            ObjectKind::LIMIT => ObjectState::Limit(Limit::decode(bytes)?),
            ObjectKind::CONNLIMIT => ObjectState::Connlimit(Connlimit::decode(bytes)?),
            _ => return Ok(None),
        }))
    }
}
