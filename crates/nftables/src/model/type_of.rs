//! What the keys of a set are taken from, and the data of a map: for parts whose type has no name.
//!
//! `nft` writes this as `typeof meta l4proto . numgen random mod 61`, and keeps it in the userdata of the set, as expressions
//! that are nested lists of one byte of type, one byte of length, and the value. The kernel does not read it.
//!
//! Sources: `set_make_key` in nft's `src/netlink.c`, and the `build_udata` functions of its expressions.

use std::fmt;

use crate::expression::NumgenKind;
use crate::model::{DataType, userdata};

/// What one part of a key or of data is taken from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TypeOf {
    /// `meta l4proto`: the protocol of the transport layer.
    L4Proto,
    /// `ip daddr`: an IPv4 address.
    IpDaddr,
    /// `th dport`: a port.
    ThDport,
    /// `numgen random mod N` or `numgen inc mod N`: a number below N, in host byte order.
    Numgen(NumgenKind, u32),
}

// Of an expression: its kind, and what belongs to it.
const EXPRESSION: u8 = 0;
const DATA: u8 = 1;

// `enum expr_types` in nft's `include/expression.h`.
const PAYLOAD: u32 = 7;
const META: u32 = 9;
const CONCAT: u32 = 13;
const NUMGEN: u32 = 23;

// `enum proto_desc_id` and the fields of these headers in nft's `include/proto.h`.
const HEADER_TRANSPORT: u32 = 11;
const TRANSPORT_DPORT: u32 = 2;
const HEADER_IP: u32 = 12;
const IP_DADDR: u32 = 12;

/// `NFT_META_L4PROTO`.
const META_L4PROTO: u32 = 16;

impl TypeOf {
    /// Its type.
    #[must_use]
    pub const fn data_type(self) -> DataType {
        match self {
            Self::L4Proto => DataType::INET_PROTO,
            Self::IpDaddr => DataType::IPV4_ADDR,
            Self::ThDport => DataType::INET_SERVICE,
            Self::Numgen(..) => DataType::INTEGER,
        }
    }

    /// How many bytes it has.
    #[must_use]
    pub const fn byte_len(self) -> u32 {
        match self {
            Self::L4Proto => 1,
            Self::ThDport => 2,
            Self::IpDaddr | Self::Numgen(..) => 4,
        }
    }

    /// The kind of its expression, and the numbers that belong to it.
    fn expression(self) -> (u32, Vec<u32>) {
        match self {
            Self::L4Proto => (META, vec![META_L4PROTO]),
            Self::IpDaddr => (PAYLOAD, vec![HEADER_IP, IP_DADDR]),
            Self::ThDport => (PAYLOAD, vec![HEADER_TRANSPORT, TRANSPORT_DPORT]),
            Self::Numgen(kind, modulus) => (NUMGEN, vec![kind.0, modulus, 0]),
        }
    }

    fn write(self) -> Vec<u8> {
        let (kind, numbers) = self.expression();
        let mut data = Vec::new();
        for (index, number) in (0..).zip(numbers) {
            userdata::push(&mut data, index, &number.to_ne_bytes());
        }
        expression(kind, &data)
    }

    fn read(written: &[u8]) -> Option<Self> {
        let (kind, data) = read_expression(written)?;
        let numbers: Option<Vec<_>> = userdata::items(data)
            .map(|(_, value)| number(value))
            .collect();
        Some(match (kind, &numbers?[..]) {
            (META, [META_L4PROTO]) => Self::L4Proto,
            (PAYLOAD, [HEADER_IP, IP_DADDR]) => Self::IpDaddr,
            (PAYLOAD, [HEADER_TRANSPORT, TRANSPORT_DPORT]) => Self::ThDport,
            (NUMGEN, [kind, modulus, 0]) => Self::Numgen(NumgenKind(*kind), *modulus),
            _ => return None,
        })
    }
}

/// As `nft` writes it.
impl fmt::Display for TypeOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::L4Proto => f.write_str("meta l4proto"),
            Self::IpDaddr => f.write_str("ip daddr"),
            Self::ThDport => f.write_str("th dport"),
            Self::Numgen(kind, modulus) => write!(f, "numgen {kind} mod {modulus}"),
        }
    }
}

/// Parts as they are kept in userdata.
pub(super) fn write(parts: &[TypeOf]) -> Vec<u8> {
    if let [part] = parts {
        return part.write();
    }
    let mut data = Vec::new();
    for (index, part) in (0..).zip(parts) {
        userdata::push(&mut data, index, &part.write());
    }
    expression(CONCAT, &data)
}

/// Parts from userdata; `None` where any is of a kind that is not known here. Of sets whose types have names `nft` writes none.
pub(crate) fn read(written: &[u8]) -> Option<Vec<TypeOf>> {
    let (kind, data) = read_expression(written)?;
    if kind != CONCAT {
        return TypeOf::read(written).map(|part| vec![part]);
    }
    let parts = userdata::items(data).map(|(_, part)| TypeOf::read(part));
    let parts: Option<Vec<_>> = parts.collect();
    parts.filter(|parts| !parts.is_empty())
}

fn expression(kind: u32, data: &[u8]) -> Vec<u8> {
    let mut written = Vec::new();
    userdata::push(&mut written, EXPRESSION, &kind.to_ne_bytes());
    userdata::push(&mut written, DATA, data);
    written
}

fn read_expression(written: &[u8]) -> Option<(u32, &[u8])> {
    let mut items = userdata::items(written);
    let (EXPRESSION, kind) = items.next()? else {
        return None;
    };
    let (DATA, data) = items.next()? else {
        return None;
    };
    Some((number(kind)?, data))
}

fn number(value: &[u8]) -> Option<u32> {
    value.try_into().ok().map(u32::from_ne_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Element, FilledSet, Name, Ruleset, Set, Table, TableFamily};

    /// The map `typeof meta l4proto . th dport . numgen random mod 61 : ip daddr . th dport`.
    fn slots() -> Set {
        let name = |text| Name::new(text).unwrap();
        let numgen = TypeOf::Numgen(NumgenKind::RANDOM, 61);
        Set::of_typeof(
            TableFamily::IPV4,
            name("t"),
            name("a"),
            &[TypeOf::L4Proto, TypeOf::ThDport, numgen],
        )
        .map_to_typeof(&[TypeOf::IpDaddr, TypeOf::ThDport])
    }

    /// What nft 1.0.6 sent for it (`strace -f -e trace=sendmsg -e write=all -s 65536 nft -f -`, Linux 6.18).
    #[cfg(target_endian = "little")]
    const CAPTURED: &[u8] = b"\x00\x04\x00\x00\x00\x00\x01\x04\x00\x00\x00\x00\
        \x03\x4a\x00\x04\x0d\x00\x00\x00\x01\x42\
        \x00\x0e\x00\x04\x09\x00\x00\x00\x01\x06\x00\x04\x10\x00\x00\x00\
        \x01\x14\x00\x04\x07\x00\x00\x00\x01\x0c\x00\x04\x0b\x00\x00\x00\x01\x04\x02\x00\x00\x00\
        \x02\x1a\x00\x04\x17\x00\x00\x00\x01\x12\x00\x04\x01\x00\x00\x00\x01\x04\x3d\x00\x00\x00\x02\x04\x00\x00\x00\x00\
        \x04\x34\x00\x04\x0d\x00\x00\x00\x01\x2c\
        \x00\x14\x00\x04\x07\x00\x00\x00\x01\x0c\x00\x04\x0c\x00\x00\x00\x01\x04\x0c\x00\x00\x00\
        \x01\x14\x00\x04\x07\x00\x00\x00\x01\x0c\x00\x04\x0b\x00\x00\x00\x01\x04\x02\x00\x00\x00\
        \x06\x04\x00\x00\x00\x00";

    #[test]
    #[cfg(target_endian = "little")]
    fn a_map_is_that_of_nft() {
        let set = slots();
        assert_eq!(set.userdata, CAPTURED);
        assert_eq!((set.key_type, set.key_length), (DataType(0xc344), 12));
        assert_eq!(
            (set.data_type, set.data_length),
            (Some(DataType(0x1cd)), Some(8))
        );
    }

    /// As nft 1.0.6 lists it.
    #[test]
    fn it_prints_as_nft_lists_it() {
        let element = |slot: u32, last: u8| {
            let address = [10, 0, 0, last];
            Element::new(&[&[6], &30_080_u16.to_be_bytes(), &slot.to_ne_bytes()])
                .to_value(&crate::concat(&[&address, &80_u16.to_be_bytes()]))
        };
        let set = slots();
        let ruleset = Ruleset {
            tables: vec![Table::new(TableFamily::IPV4, set.table.clone())],
            sets: vec![FilledSet {
                set,
                elements: vec![element(10, 2), element(0, 1)],
            }],
            ..Ruleset::default()
        };
        let expected = "table ip t {\n\tmap a {\n\
            \t\ttypeof meta l4proto . th dport . numgen random mod 61 : ip daddr . th dport\n\
            \t\telements = { tcp . 30080 . 0 : 10.0.0.1 . 80,\n\
            \t\t\t     tcp . 30080 . 10 : 10.0.0.2 . 80 }\n\t}\n}\n";
        assert_eq!(ruleset.to_string(), expected);
    }

    #[test]
    fn parts_are_read_back_and_others_are_unknown() {
        for parts in [
            &[TypeOf::IpDaddr][..],
            &[TypeOf::Numgen(NumgenKind::INCREMENTAL, 7), TypeOf::L4Proto],
        ] {
            assert_eq!(read(&write(parts)).as_deref(), Some(parts));
        }
        let whole = write(&[TypeOf::ThDport]);
        for cut in 0..whole.len() {
            assert_eq!(read(&whole[..cut]), None, "{cut}");
        }
        let other = expression(PAYLOAD, b"\x00\x04\x01\x00\x00\x00");
        assert_eq!(read(&other), None);
    }
}
