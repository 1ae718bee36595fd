//! Values that several attributes of IPVS have in common.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use netlink_wire::{Attribute, Problem, Writer};

use crate::Family;

/// A counter of 32 or 64 bits.
#[inline]
pub(crate) fn counter(attribute: Attribute<'_>) -> Result<u64, Problem> {
    match attribute.value().len() {
        4 => attribute.u32().map(u64::from),
        _ => attribute.u64(),
    }
}

/// A family by its number.
#[inline]
pub(crate) fn family(attribute: Attribute<'_>) -> Result<Family, Problem> {
    let number = attribute.u16()?;
    Family::from_number(number).ok_or(Problem::Unknown(number.into()))
}

pub(crate) fn put_family(writer: &mut Writer<'_>, kind: u16, family: Family) {
    writer.u16(kind, family.number().into());
}

/// A name of at most 15 bytes, NUL-terminated.
pub(crate) fn name<N: FromStr>(attribute: Attribute<'_>) -> Result<N, Problem> {
    attribute.text()?.parse().map_err(|_| Problem::Invalid {
        expected: "a name of 1 to 15 bytes without blanks",
    })
}

/// A name, or none for empty text.
pub(crate) fn optional_name<N: FromStr>(attribute: Attribute<'_>) -> Result<Option<N>, Problem> {
    match attribute.until_nul() {
        [] => Ok(None),
        _ => name(attribute).map(Some),
    }
}

/// An address of 16 bytes, or of 4, which the kernel takes in requests.
#[inline]
pub(crate) fn address(attribute: Attribute<'_>) -> Result<UnionAddress, Problem> {
    match *attribute.value() {
        [a, b, c, d] => Ok(UnionAddress(in_16_bytes([a, b, c, d]))),
        _ => attribute.array().map(UnionAddress),
    }
}

/// An address in 16 bytes, IPv4 in the first 4.
pub(crate) fn put_address(writer: &mut Writer<'_>, kind: u16, address: IpAddr) {
    writer.array(
        kind,
        match address {
            IpAddr::V4(address) => in_16_bytes(address.octets()),
            IpAddr::V6(address) => address.octets(),
        },
    );
}

const fn in_16_bytes([a, b, c, d]: [u8; 4]) -> [u8; 16] {
    [a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
}

/// `union nf_inet_addr`: an address whose family is in another attribute.
/// <https://github.com/torvalds/linux/blob/v6.12/include/uapi/linux/netfilter.h>
#[derive(Clone, Copy)]
pub(crate) struct UnionAddress([u8; 16]);

impl UnionAddress {
    pub(crate) fn of(self, family: Family) -> IpAddr {
        let [a, b, c, d, ..] = self.0;
        match family {
            Family::V4 => Ipv4Addr::new(a, b, c, d).into(),
            Family::V6 => Ipv6Addr::from(self.0).into(),
        }
    }

    /// The family of a destination as kernels before 3.18 report it, without its attribute: an address
    /// that ends in 12 zeros is IPv4, since no host has such an IPv6 address.
    pub(crate) fn guess(self) -> Family {
        let [_, _, _, _, rest @ ..] = self.0;
        if rest == [0; 12] {
            Family::V4
        } else {
            Family::V6
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_have_four_or_eight_bytes() {
        let read = |value: &[u8]| counter(Attribute::new(1, value));
        assert_eq!(read(&7_u32.to_ne_bytes()), Ok(7));
        assert_eq!(read(&7_u64.to_ne_bytes()), Ok(7));
        let (expected, found) = (8, 3);
        assert_eq!(read(&[1, 2, 3]), Err(Problem::Length { expected, found }));
    }

    #[test]
    fn addresses_have_sixteen_bytes_or_four() {
        let read = |value: &[u8]| address(Attribute::new(1, value));
        let short = read(&[10, 0, 0, 1]).unwrap();
        assert_eq!(short.of(Family::V4), IpAddr::from([10, 0, 0, 1]));
        assert_eq!(short.guess(), Family::V4);
        let long = read(&[1; 16]).unwrap();
        assert_eq!(
            (long.of(Family::V6), long.guess()),
            ([1; 16].into(), Family::V6)
        );
        assert!(read(&[0; 5]).is_err());
    }
}
