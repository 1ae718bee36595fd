//! The list of known expressions.

use netlink_wire::{Attribute, DecodeError, Fault, Names, Writer, require, walk};

#[allow(clippy::wildcard_imports, reason = "one of each expression")]
use super::*;
use crate::model::Name;
use crate::uapi::{NFTA_EXPR_DATA, NFTA_EXPR_NAME, NFTA_LIST_ELEM};
use crate::wire::{Attributes, Value, read_list, write_list};

const NAMES: &Names = &[
    (NFTA_EXPR_NAME, "NFTA_EXPR_NAME"),
    (NFTA_EXPR_DATA, "NFTA_EXPR_DATA"),
];

/// An expression that this crate does not know, as it is on the wire.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct RawExpression {
    /// The kernel's name of it.
    pub name: Name,
    /// Its attributes, undecoded.
    pub data: Option<Vec<u8>>,
}

macro_rules! expressions {
    ($($variant:ident $name:literal,)*) => {
        /// An instruction of a rule.
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        #[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
        #[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
        #[non_exhaustive]
        pub enum Expression {
            $(#[doc = concat!("`", $name, "`: see [`struct@", stringify!($variant), "`].")] $variant($variant),)*
            /// One that this crate does not know.
            Other(RawExpression),
        }

        $(impl From<$variant> for Expression {
            fn from(expression: $variant) -> Self {
                Self::$variant(expression)
            }
        })*

        impl Expression {
            /// The kernel's name of it.
            #[must_use]
            pub fn name(&self) -> &[u8] {
                match self {
                    $(Self::$variant(_) => $name.as_bytes(),)*
                    Self::Other(raw) => raw.name.as_bytes(),
                }
            }

            fn decode_data(name: Name, data: Option<&[u8]>) -> Result<Self, DecodeError> {
                $(if name.as_bytes() == $name.as_bytes() {
                    return $variant::decode(data.unwrap_or_default()).map(Self::$variant);
                })*
                Ok(Self::Other(RawExpression { name, data: data.map(<[u8]>::to_vec) }))
            }

            fn encode_data(&self, writer: &mut Writer<'_>) {
                match self {
                    // As the kernel and nft have it: without data.
                    Self::Notrack(notrack) if notrack.others.is_empty() => {}
                    $(Self::$variant(expression) => expression.write(writer, NFTA_EXPR_DATA),)*
                    Self::Other(raw) => {
                        if let Some(data) = &raw.data {
                            writer.bytes(NFTA_EXPR_DATA | netlink_wire::NLA_F_NESTED, data);
                        }
                    }
                }
            }
        }
    };
}

expressions! {
    Payload "payload",
    Meta "meta",
    Ct "ct",
    Fib "fib",
    Rt "rt",
    Socket "socket",
    Exthdr "exthdr",
    Numgen "numgen",
    Hash "hash",
    Cmp "cmp",
    Range "range",
    Bitwise "bitwise",
    Byteorder "byteorder",
    Lookup "lookup",
    Immediate "immediate",
    Counter "counter",
    Limit "limit",
    Quota "quota",
    Connlimit "connlimit",
    Last "last",
    Dynset "dynset",
    Objref "objref",
    Log "log",
    Reject "reject",
    Nat "nat",
    Masq "masq",
    Redir "redir",
    Tproxy "tproxy",
    Queue "queue",
    Dup "dup",
    Fwd "fwd",
    Notrack "notrack",
}

impl Expression {
    /// The name and the data of an expression.
    fn split<'a>(attribute: &Attribute<'a>) -> Result<(Name, Option<&'a [u8]>), DecodeError> {
        let (mut name, mut data) = (None, None);
        walk(attribute.value(), "NFTA_LIST_ELEM", NAMES, |attribute| {
            match attribute.kind() {
                NFTA_EXPR_NAME => name = Some(Name::read(&attribute)?),
                NFTA_EXPR_DATA => data = Some(attribute.value()),
                _ => {}
            }
            Ok(())
        })?;
        Ok((require(name, "NFTA_EXPR_NAME")?, data))
    }
}

impl Value for Expression {
    fn read(attribute: &Attribute<'_>) -> Result<Self, Fault> {
        let (name, data) = Self::split(attribute)?;
        Ok(Self::decode_data(name, data)?)
    }

    fn write(&self, writer: &mut Writer<'_>, kind: u16) {
        writer.nest(kind, |writer| {
            writer.c_string(NFTA_EXPR_NAME, self.name());
            self.encode_data(writer);
        });
    }
}

/// The expressions of a rule, in order.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(transparent))]
pub struct Expressions(pub Vec<Expression>);

impl From<Vec<Expression>> for Expressions {
    fn from(expressions: Vec<Expression>) -> Self {
        Self(expressions)
    }
}

impl Value for Expressions {
    fn read(attribute: &Attribute<'_>) -> Result<Self, Fault> {
        read_list(attribute).map(Self)
    }

    fn write(&self, writer: &mut Writer<'_>, kind: u16) {
        write_list(&self.0, writer, kind, NFTA_LIST_ELEM);
    }
}

/// An expression that an element of a set keeps: a counter, a limit, a quota.
///
/// Expressions that have others within them are not among these; such a one is kept undecoded.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(transparent))]
pub struct Stateful(pub Box<Expression>);

impl From<Expression> for Stateful {
    fn from(expression: Expression) -> Self {
        Self(Box::new(expression))
    }
}

impl Value for Stateful {
    fn read(attribute: &Attribute<'_>) -> Result<Self, Fault> {
        let (name, data) = Expression::split(attribute)?;
        // Bounds the depth of what bytes from outside can nest.
        if name == "dynset" {
            let data = data.map(<[u8]>::to_vec);
            return Ok(Expression::Other(RawExpression { name, data }).into());
        }
        Ok(Expression::decode_data(name, data)?.into())
    }

    fn write(&self, writer: &mut Writer<'_>, kind: u16) {
        self.0.write(writer, kind);
    }
}

/// A list of them.
impl Value for Vec<Stateful> {
    fn read(attribute: &Attribute<'_>) -> Result<Self, Fault> {
        read_list(attribute)
    }

    fn write(&self, writer: &mut Writer<'_>, kind: u16) {
        write_list(self, writer, kind, NFTA_LIST_ELEM);
    }
}
