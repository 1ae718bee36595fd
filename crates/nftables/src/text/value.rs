//! Values as text, by their types.

use std::net::{Ipv4Addr, Ipv6Addr};

use netlink_wire::Protocol;

use crate::{Data, DataType, Verdict, VerdictCode};

/// Bits and their words.
type Bits = &'static [(u32, &'static str)];

const CT_STATES: Bits = &[
    (1, "invalid"),
    (2, "established"),
    (4, "related"),
    (8, "new"),
    (64, "untracked"),
];
const CT_STATUS: Bits = &[
    (1, "expected"),
    (2, "seen-reply"),
    (4, "assured"),
    (8, "confirmed"),
    (16, "snat"),
    (32, "dnat"),
    (512, "dying"),
];
const TCP_FLAGS: Bits = &[
    (1, "fin"),
    (2, "syn"),
    (4, "rst"),
    (8, "psh"),
    (16, "ack"),
    (32, "urg"),
    (64, "ecn"),
    (128, "cwr"),
];
const ADDRESS_TYPES: &[&str] = &[
    "unspec",
    "unicast",
    "local",
    "broadcast",
    "anycast",
    "multicast",
    "blackhole",
    "unreachable",
    "prohibit",
    "throw",
    "nat",
];
const PACKET_TYPES: &[&str] = &["host", "broadcast", "multicast", "other"];
const ICMP_TYPES: &[(u8, &str)] = &[
    (0, "echo-reply"),
    (3, "destination-unreachable"),
    (4, "source-quench"),
    (5, "redirect"),
    (8, "echo-request"),
    (9, "router-advertisement"),
    (10, "router-solicitation"),
    (11, "time-exceeded"),
    (12, "parameter-problem"),
    (13, "timestamp-request"),
    (14, "timestamp-reply"),
];
const ICMPV6_TYPES: &[(u8, &str)] = &[
    (1, "destination-unreachable"),
    (2, "packet-too-big"),
    (3, "time-exceeded"),
    (4, "parameter-problem"),
    (128, "echo-request"),
    (129, "echo-reply"),
    (133, "nd-router-solicit"),
    (134, "nd-router-advert"),
    (135, "nd-neighbor-solicit"),
    (136, "nd-neighbor-advert"),
    (137, "nd-redirect"),
];

/// The words of bits for a type that is a set of bits.
pub(super) fn bits(kind: DataType) -> Option<Bits> {
    match kind {
        DataType::CT_STATE => Some(CT_STATES),
        DataType::CT_STATUS => Some(CT_STATUS),
        DataType::TCP_FLAG => Some(TCP_FLAGS),
        _ => None,
    }
}

/// The number that up to eight bytes hold, in the byte order of its type.
pub(super) fn number(kind: DataType, bytes: &[u8]) -> u64 {
    let fold = |all: u64, byte: &u8| all << 8 | u64::from(*byte);
    if kind.is_host_order() && cfg!(target_endian = "little") {
        bytes.iter().rev().fold(0, fold)
    } else {
        bytes.iter().fold(0, fold)
    }
}

/// A value of a type.
pub(super) fn value(kind: DataType, bytes: &[u8]) -> String {
    if let Some(words) = bits(kind) {
        return bit_words(words, number(kind, bytes));
    }
    let of = |table: &[(u8, &'static str)], byte: u8| {
        let known = table.iter().find(|(number, _)| *number == byte);
        known.map_or_else(|| byte.to_string(), |(_, word)| (*word).to_owned())
    };
    match (kind, bytes) {
        (DataType::IPV4_ADDR, &[a, b, c, d]) => Ipv4Addr::new(a, b, c, d).to_string(),
        (DataType::IPV6_ADDR, bytes) => match <[u8; 16]>::try_from(bytes) {
            Ok(octets) => Ipv6Addr::from(octets).to_string(),
            Err(_) => hex(bytes),
        },
        (DataType::IFNAME | DataType::STRING, bytes) => string(bytes),
        (DataType::ETHER_ADDR | DataType::LL_ADDR, bytes) => {
            let parts: Vec<_> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            parts.join(":")
        }
        (DataType::INET_PROTO, &[number]) => Protocol(number)
            .name()
            .map_or_else(|| number.to_string(), str::to_owned),
        (DataType::NF_PROTO, [2]) => "ipv4".to_owned(),
        (DataType::NF_PROTO, [10]) => "ipv6".to_owned(),
        (DataType::ETHER_TYPE, [8, 0]) => "ip".to_owned(),
        (DataType::ETHER_TYPE, [0x86, 0xdd]) => "ip6".to_owned(),
        (DataType::ETHER_TYPE, [8, 6]) => "arp".to_owned(),
        (DataType::ICMP_TYPE, &[byte]) => of(ICMP_TYPES, byte),
        (DataType::ICMPV6_TYPE, &[byte]) => of(ICMPV6_TYPES, byte),
        (DataType::CT_DIR, [0]) => "original".to_owned(),
        (DataType::CT_DIR, [1]) => "reply".to_owned(),
        (DataType::FIB_ADDRTYPE, bytes) => indexed(ADDRESS_TYPES, number(kind, bytes)),
        (DataType::PKT_TYPE, bytes) => indexed(PACKET_TYPES, number(kind, bytes)),
        (DataType::BOOLEAN, bytes) if number(kind, bytes) == 0 => "missing".to_owned(),
        (DataType::BOOLEAN, _) => "exists".to_owned(),
        (DataType::MARK, bytes) => format!("0x{:08x}", number(kind, bytes)),
        // The loopback link has this index in every namespace.
        (DataType::IFACE_INDEX, bytes) if number(kind, bytes) == 1 => "\"lo\"".to_owned(),
        (DataType::CLASSID, bytes) => {
            let number = number(kind, bytes);
            format!("{:x}:{:x}", number >> 16, number & 0xffff)
        }
        (_, bytes) if bytes.len() <= 8 => number(kind, bytes).to_string(),
        (_, bytes) => hex(bytes),
    }
}

fn indexed(words: &[&str], number: u64) -> String {
    let word = usize::try_from(number)
        .ok()
        .and_then(|index| words.get(index));
    word.map_or_else(|| number.to_string(), |word| (*word).to_owned())
}

/// The words of these bits, in order, with a number for those without.
pub(super) fn bit_words(words: Bits, number: u64) -> String {
    let set = words
        .iter()
        .filter(|(bit, _)| number & u64::from(*bit) != 0);
    let mut parts: Vec<String> = set.clone().map(|(_, word)| (*word).to_owned()).collect();
    let rest = set.fold(number, |rest, (bit, _)| rest & !u64::from(*bit));
    if rest != 0 || parts.is_empty() {
        parts.push(format!("0x{rest:x}"));
    }
    parts.join(",")
}

pub(super) fn hex(bytes: &[u8]) -> String {
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("0x{digits}")
}

/// Text in quotes, up to its NUL, with what would break them escaped.
pub(super) fn quoted(bytes: &[u8]) -> String {
    let text = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
    let mut quoted = String::from("\"");
    for char in String::from_utf8_lossy(text).chars() {
        match char {
            '"' => quoted.push_str("\\\""),
            char if char.is_control() => quoted.push_str(&format!("\\x{:02x}", u32::from(char))),
            char => quoted.push(char),
        }
    }
    quoted.push('"');
    quoted
}

fn string(bytes: &[u8]) -> String {
    quoted(bytes)
}

/// The parts of a concatenated key, without the padding.
pub(super) fn parts(types: &[DataType], bytes: &[u8]) -> Vec<(DataType, Vec<u8>)> {
    if let [kind] = types {
        return vec![(*kind, bytes.to_vec())];
    }
    let mut rest = bytes;
    let mut parts = Vec::new();
    for kind in types {
        let length = kind
            .byte_len()
            .map_or(4, |length| usize::try_from(length).unwrap_or(4));
        let part = rest.get(..length).unwrap_or(rest);
        parts.push((*kind, part.to_vec()));
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    parts
}

/// A value of these types, joined as `nft` does.
pub(super) fn concatenation(types: &[DataType], bytes: &[u8]) -> String {
    let parts: Vec<_> = parts(types, bytes)
        .iter()
        .map(|(kind, part)| value(*kind, part))
        .collect();
    parts.join(" . ")
}

/// From the first to the last: one value, a prefix, or a range.
pub(super) fn range(kind: DataType, first: &[u8], last: &[u8]) -> String {
    if first == last {
        return value(kind, first);
    }
    if let (Some(length), DataType::IPV4_ADDR | DataType::IPV6_ADDR) = (prefix(first, last), kind) {
        return format!("{}/{length}", value(kind, first));
    }
    format!("{}-{}", value(kind, first), value(kind, last))
}

/// The length of the prefix that covers these addresses and no others, if there is one.
fn prefix(first: &[u8], last: &[u8]) -> Option<u32> {
    let mut length = 0;
    let mut open = false;
    for (first, last) in first.iter().zip(last) {
        let differing = first ^ last;
        if open {
            (differing == 0xff && *first == 0).then_some(())?;
            continue;
        }
        length += differing.leading_zeros();
        if differing != 0 {
            open = true;
            // All bits behind the first that differs are 0 in the one, and 1 in the other.
            let behind = 0xff_u8.checked_shr(differing.leading_zeros()).unwrap_or(0);
            (first & behind == 0 && last & behind == behind).then_some(())?;
        }
    }
    Some(length)
}

/// How many bits a mask keeps, if they are the first ones.
pub(super) fn mask_length(mask: &[u8]) -> Option<u32> {
    let last: Vec<u8> = mask.iter().map(|byte| !byte).collect();
    prefix(&vec![0; mask.len()], &last)
}

/// A verdict, or a value of these types.
pub(super) fn data(types: &[DataType], data: &Data) -> String {
    match data {
        Data::Value(bytes) => concatenation(types, bytes),
        Data::Verdict(one) => verdict(one),
        Data::Other(_) => "?".to_owned(),
    }
}

pub(super) fn verdict(verdict: &Verdict) -> String {
    match (&verdict.chain, verdict.code) {
        (Some(chain), code) => format!("{code} {chain}"),
        (None, code) => match code {
            VerdictCode(other) if code.name().is_none() => format!("verdict {other}"),
            code => code.to_string(),
        },
    }
}

/// Milliseconds as `nft` has them: `1h5m`, `30s`, `500ms`.
pub(super) fn duration(milliseconds: u64) -> String {
    let mut text = String::new();
    let mut rest = milliseconds;
    for (unit, length) in [
        ("d", 86_400_000),
        ("h", 3_600_000),
        ("m", 60_000),
        ("s", 1000),
        ("ms", 1),
    ] {
        if rest >= length {
            text.push_str(&format!("{}{unit}", rest / length));
            rest %= length;
        }
    }
    if text.is_empty() {
        "0s".to_owned()
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_prefixes_where_they_can_be() {
        let range = |first: [u8; 4], last: [u8; 4]| range(DataType::IPV4_ADDR, &first, &last);
        assert_eq!(range([10, 0, 0, 0], [10, 255, 255, 255]), "10.0.0.0/8");
        assert_eq!(range([10, 0, 0, 0], [10, 127, 255, 255]), "10.0.0.0/9");
        assert_eq!(range([10, 0, 0, 1], [10, 0, 0, 1]), "10.0.0.1");
        assert_eq!(range([10, 0, 0, 1], [10, 0, 0, 2]), "10.0.0.1-10.0.0.2");
        assert_eq!(range([0; 4], [255; 4]), "0.0.0.0/0");
        assert_eq!(range([10, 0, 1, 0], [10, 1, 0, 255]), "10.0.1.0-10.1.0.255");
        assert_eq!(mask_length(&[255, 255, 128, 0]), Some(17));
        assert_eq!(mask_length(&[255, 0, 255, 0]), None);
    }

    #[test]
    fn times_are_those_of_nft() {
        for (milliseconds, text) in [(3_600_000, "1h"), (90_500, "1m30s500ms"), (0, "0s")] {
            assert_eq!(duration(milliseconds), text);
        }
    }

    #[test]
    fn quotes_and_control_characters_do_no_harm() {
        assert_eq!(quoted(b"a\"b\x1b[2J\n\0rest"), "\"a\\\"b\\x1b[2J\\x0a\"");
    }
}
