//! Addresses and networks as Kubernetes reads those that it has stored.
//!
//! Kubernetes refuses leading zeros in new objects, and reads them as decimal in old ones:
//! `netutils.ParseIPSloppy` and `ParseCIDRSloppy` in k8s.io/utils/net. Elsewhere such a zero can mean octal.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnetwork::IpNetwork;

/// Something that was parsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Parsed<T> {
    pub(crate) value: T,
    /// Whether it was written with leading zeros.
    pub(crate) zeros: bool,
}

/// Parses an address. An IPv4 address written as IPv6 is an IPv4 address, as it is to Kubernetes.
pub(crate) fn address(text: &str) -> Result<Parsed<IpAddr>, String> {
    let parsed = lenient(text).ok_or_else(|| format!("{text:?} is not an IP address"))?;
    Ok(Parsed {
        value: parsed.value.to_canonical(),
        ..parsed
    })
}

/// Parses a network. Bits beyond its prefix are kept.
pub(crate) fn network(text: &str) -> Result<Parsed<IpNetwork>, String> {
    let parse = || {
        let (ip, length) = text.split_once('/')?;
        let ip = lenient(ip)?;
        let (digits, zeros) = decimal(length)?;
        let network = IpNetwork::new(ip.value, digits.parse().ok()?).ok()?;
        Some(Parsed {
            value: network,
            zeros: ip.zeros || zeros,
        })
    };
    parse().ok_or_else(|| format!("{text:?} is not a network such as 10.0.0.0/8 or fd00::/8"))
}

fn lenient(text: &str) -> Option<Parsed<IpAddr>> {
    if let Some(Parsed { value, zeros }) = v4(text) {
        let value = value.into();
        return Some(Parsed { value, zeros });
    }
    if let Ok(value) = text.parse() {
        let zeros = false;
        return Some(Parsed { value, zeros });
    }
    let value = v6(text)?.into();
    Some(Parsed { value, zeros: true })
}

/// A number without its leading zeros, and whether it had any.
fn decimal(text: &str) -> Option<(&str, bool)> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let digits = without_zeros(text);
    is_number.then_some((digits, digits.len() < text.len()))
}

fn without_zeros(text: &str) -> &str {
    match text.trim_start_matches('0') {
        "" => text.get(text.len().saturating_sub(1)..).unwrap_or(text),
        digits => digits,
    }
}

/// An IPv4 address. Most of a cluster's are, so these are read in one pass.
fn v4(text: &str) -> Option<Parsed<Ipv4Addr>> {
    let (mut bits, mut zeros) = (0, false);
    let mut rest = text.as_bytes();
    for place in 0..4 {
        if place > 0 {
            rest = rest.strip_prefix(b".")?;
        }
        let from = rest;
        let mut octet = 0;
        while let [digit @ b'0'..=b'9', more @ ..] = rest {
            octet = octet * 10 + u32::from(digit - b'0');
            if octet > 255 {
                return None;
            }
            rest = more;
        }
        let digits = from.len() - rest.len();
        if digits == 0 {
            return None;
        }
        zeros |= digits > 1 && from.starts_with(b"0");
        bits = bits << 8 | octet;
    }
    let value = Ipv4Addr::from_bits(bits);
    rest.is_empty().then_some(Parsed { value, zeros })
}

fn v6(text: &str) -> Option<Ipv6Addr> {
    let part = |part: &str| {
        if part.contains('.') {
            v4(part).map(|ip| Cow::Owned(ip.value.to_string()))
        } else if part.len() > 4 {
            Some(Cow::Owned(without_zeros(part).to_owned()))
        } else {
            Some(Cow::Owned(part.to_owned()))
        }
    };
    let parts: Option<Vec<Cow<'_, str>>> = text.split(':').map(part).collect();
    parts?.join(":").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leading_zeros_are_decimal() {
        for (text, expected, zeros) in [
            ("10.0.0.1", "10.0.0.1", false),
            ("010.0.0.1", "10.0.0.1", true),
            ("010.000.002.001", "10.0.2.1", true),
            ("0000000010.0.0.09", "10.0.0.9", true),
            ("000.0.0.00", "0.0.0.0", true),
            ("::ffff:10.0.0.1", "10.0.0.1", false),
            ("::ffff:010.0.0.1", "10.0.0.1", true),
            ("fd00::00001", "fd00::1", true),
            ("fd00::0001", "fd00::1", false),
            ("0fd00::", "fd00::", true),
        ] {
            let parsed = address(text).unwrap();
            assert_eq!(
                (parsed.value.to_string().as_str(), parsed.zeros),
                (expected, zeros),
                "{text}"
            );
        }
        for text in [
            "",
            "1.2.3",
            "1.2.3.4.5",
            "1.2.3.4.",
            ".1.2.3.4",
            "1.2.3.256",
            "1.2.3.99999999999",
            "0256.0.0.1",
            "0x10.0.0.1",
            "1..2.3",
            "+1.2.3.4",
            " 1.2.3.4",
            "fe80::1%eth0",
            "fd00:::1",
            "12345::",
            "010.0.0.1/8",
        ] {
            let error = address(text).unwrap_err();
            assert!(error.contains("is not an IP address"), "{error}");
        }
    }

    #[test]
    fn networks_keep_their_bits_and_lose_their_zeros() {
        for (text, expected, zeros) in [
            ("10.0.0.0/8", "10.0.0.0/8", false),
            ("203.0.113.000/025", "203.0.113.0/25", true),
            ("10.0.0.1/024", "10.0.0.1/24", true),
            ("fd00::/064", "fd00::/64", true),
            ("0.0.0.0/0", "0.0.0.0/0", false),
        ] {
            let parsed = network(text).unwrap();
            assert_eq!(
                (parsed.value.to_string().as_str(), parsed.zeros),
                (expected, zeros),
                "{text}"
            );
        }
        for text in [
            "10.0.0.1",
            "10.0.0.0/",
            "10.0.0.0/33",
            "/8",
            "10.0.0.0/+8",
            "10.0.0.0/255.0.0.0",
        ] {
            assert!(network(text).is_err(), "{text}");
        }
    }
}
