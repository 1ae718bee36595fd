//! Reading attributes from bytes that nobody has checked.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::Family;
use crate::uapi::{AF_INET, AF_INET6};

/// `NLA_TYPE_MASK` of `linux/netlink.h`: the type without `NLA_F_NESTED` and `NLA_F_NET_BYTEORDER`.
/// <https://github.com/torvalds/linux/blob/v6.12/include/uapi/linux/netlink.h>
const TYPE_MASK: u16 = 0x3fff;

/// Bytes that are not the message they were taken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{attribute}: {problem}")]
pub struct DecodeError {
    /// The kernel's name of the attribute at fault; of the nest, where the attribute has none.
    pub attribute: &'static str,
    /// What is wrong with it.
    pub problem: Problem,
}

/// What is wrong with an attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// It is not there, and has to be.
    #[error("is missing")]
    Missing,
    /// Its value has another length than its type.
    #[error("has a value of {found} bytes in place of {expected}")]
    Length {
        /// Bytes its type has.
        expected: usize,
        /// Bytes there are.
        found: usize,
    },
    /// Its length reaches beyond what was received, or is shorter than its header.
    #[error("says it is {stated} bytes long where {available} are left")]
    Truncated {
        /// The length it states.
        stated: usize,
        /// Bytes from its start to the end.
        available: usize,
    },
    /// Its value means nothing to this crate.
    #[error("has the value {0}, which is not known")]
    Unknown(u32),
    /// Its text is not a name: empty, too long, with blanks or not UTF-8.
    #[error("is not a name of 1 to 15 bytes")]
    Name,
}

impl Problem {
    pub(crate) const fn of(self, attribute: &'static str) -> DecodeError {
        DecodeError {
            attribute,
            problem: self,
        }
    }
}

/// An attribute: its type without flag bits, and its value without padding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attribute<'a> {
    /// Its type; what it means depends on where it stands.
    pub kind: u16,
    /// Its value; for a nest, attributes again.
    pub value: &'a [u8],
}

/// The attributes of a message or nest, in order; after an error nothing more.
pub const fn attributes(bytes: &[u8]) -> Attributes<'_> {
    Attributes { rest: bytes }
}

/// Iterator over attributes, made by [`attributes`].
#[derive(Debug, Clone)]
pub struct Attributes<'a> {
    rest: &'a [u8],
}

impl<'a> Attributes<'a> {
    /// What is wrong with the attribute at the start of `bytes`, and its type, 0 where that is cut
    /// off too.
    #[cold]
    fn cut(bytes: &[u8]) -> (u16, Problem) {
        let available = bytes.len();
        match bytes.first_chunk() {
            Some(&[a, b, c, d]) => {
                let stated = u16::from_ne_bytes([a, b]).into();
                let kind = u16::from_ne_bytes([c, d]) & TYPE_MASK;
                (kind, Problem::Truncated { stated, available })
            }
            None => (
                0,
                Problem::Truncated {
                    stated: 4,
                    available,
                },
            ),
        }
    }

    /// The next attribute, and what follows it; `None` if it is not whole.
    #[inline]
    fn split(bytes: &'a [u8]) -> Option<(Attribute<'a>, &'a [u8])> {
        let &[a, b, c, d] = bytes.first_chunk()?;
        let stated = usize::from(u16::from_ne_bytes([a, b]));
        let kind = u16::from_ne_bytes([c, d]) & TYPE_MASK;
        let value = bytes.get(4..stated)?;
        // The last attribute may lack its padding.
        let rest = bytes.get((stated + 3) & !3..).unwrap_or_default();
        Some((Attribute { kind, value }, rest))
    }
}

impl<'a> Iterator for Attributes<'a> {
    /// The error comes with the type of the attribute, 0 where that is cut off too.
    type Item = Result<Attribute<'a>, (u16, Problem)>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let bytes = std::mem::take(&mut self.rest);
        Some(match Self::split(bytes) {
            Some((attribute, rest)) => {
                self.rest = rest;
                Ok(attribute)
            }
            None => Err(Self::cut(bytes)),
        })
    }
}

/// What is wrong, here or within a nest that has named it already.
pub(crate) enum Fault {
    Here(Problem),
    Within(DecodeError),
}

impl Fault {
    #[cold]
    fn named(self, kind: u16, nest: &'static str, names: &[(u16, &'static str)]) -> DecodeError {
        match self {
            Self::Here(problem) => {
                let known = names.iter().find(|(number, _)| *number == kind);
                problem.of(known.map_or(nest, |(_, name)| *name))
            }
            Self::Within(error) => error,
        }
    }
}

impl From<Problem> for Fault {
    fn from(problem: Problem) -> Self {
        Self::Here(problem)
    }
}

impl From<DecodeError> for Fault {
    fn from(error: DecodeError) -> Self {
        Self::Within(error)
    }
}

/// Gives each attribute to `take`; what that complains about gets its name from `names`, or from
/// `nest`, the name of what all of it is.
#[inline]
pub(crate) fn walk<'a>(
    bytes: &'a [u8],
    nest: &'static str,
    names: &[(u16, &'static str)],
    mut take: impl FnMut(Attribute<'a>) -> Result<(), Fault>,
) -> Result<(), DecodeError> {
    let mut rest = bytes;
    while !rest.is_empty() {
        let Some((attribute, after)) = Attributes::split(rest) else {
            let (kind, problem) = Attributes::cut(rest);
            return Err(Fault::from(problem).named(kind, nest, names));
        };
        take(attribute).map_err(|fault| fault.named(attribute.kind, nest, names))?;
        rest = after;
    }
    Ok(())
}

/// The value, or an error that names the attribute that should have brought it.
pub(crate) fn require<T>(value: Option<T>, attribute: &'static str) -> Result<T, DecodeError> {
    value.ok_or(Problem::Missing.of(attribute))
}

impl<'a> Attribute<'a> {
    pub(crate) fn array<const N: usize>(&self) -> Result<[u8; N], Problem> {
        let problem = Problem::Length {
            expected: N,
            found: self.value.len(),
        };
        self.value.try_into().map_err(|_| problem)
    }

    pub(crate) fn u8(&self) -> Result<u8, Problem> {
        self.array().map(u8::from_ne_bytes)
    }

    pub(crate) fn u16(&self) -> Result<u16, Problem> {
        self.array().map(u16::from_ne_bytes)
    }

    pub(crate) fn u16_be(&self) -> Result<u16, Problem> {
        self.array().map(u16::from_be_bytes)
    }

    pub(crate) fn u32(&self) -> Result<u32, Problem> {
        self.array().map(u32::from_ne_bytes)
    }

    /// A counter of 32 or 64 bits.
    #[inline]
    pub(crate) fn counter(&self) -> Result<u64, Problem> {
        match self.value.len() {
            4 => self.u32().map(u64::from),
            _ => self.array().map(u64::from_ne_bytes),
        }
    }

    pub(crate) fn family(&self) -> Result<Family, Problem> {
        match self.u16()? {
            AF_INET => Ok(Family::Inet),
            AF_INET6 => Ok(Family::Inet6),
            other => Err(Problem::Unknown(other.into())),
        }
    }

    /// An address of 16 bytes, or of 4, which only requests may have.
    pub(crate) fn address(&self) -> Result<RawAddress, Problem> {
        match *self.value {
            [a, b, c, d] => Ok(RawAddress([a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])),
            _ => self.array().map(RawAddress),
        }
    }

    /// Text up to its NUL.
    pub(crate) fn text(&self) -> Result<&'a str, Problem> {
        let bytes = self
            .value
            .split(|byte| *byte == 0)
            .next()
            .unwrap_or_default();
        std::str::from_utf8(bytes).map_err(|_| Problem::Name)
    }
}

/// `union nf_inet_addr`: an address whose family stands elsewhere.
#[derive(Clone, Copy)]
pub(crate) struct RawAddress([u8; 16]);

impl RawAddress {
    pub(crate) fn of(self, family: Family) -> IpAddr {
        let [a, b, c, d, ..] = self.0;
        match family {
            Family::Inet => Ipv4Addr::new(a, b, c, d).into(),
            Family::Inet6 => Ipv6Addr::from(self.0).into(),
        }
    }

    /// For kernels before 3.18, which do not tell the family of a destination: an address that
    /// ends in 12 zeros is IPv4, as no host has such an IPv6 address.
    pub(crate) fn guess(self) -> Family {
        let [_, _, _, _, rest @ ..] = self.0;
        if rest == [0; 12] {
            Family::Inet
        } else {
            Family::Inet6
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(length: u16, kind: u16, value: &[u8]) -> Vec<u8> {
        [&length.to_ne_bytes(), &kind.to_ne_bytes(), value].concat()
    }

    #[test]
    fn attributes_come_without_flags_and_padding() {
        let mut bytes = raw(5, 0x8001, &[9, 0, 0, 0]);
        bytes.extend(raw(4, 77, &[]));
        bytes.extend(raw(6, 2, &[1, 2]));
        let seen: Vec<_> = attributes(&bytes).map(|item| item.unwrap()).collect();
        let expected: [(u16, &[u8]); 3] = [(1, &[9]), (77, &[]), (2, &[1, 2])];
        assert_eq!(
            seen,
            expected.map(|(kind, value)| Attribute { kind, value })
        );
    }

    #[test]
    fn lengths_that_lie_end_the_walk() {
        for (bytes, kind, stated) in [
            (raw(9, 3, &[0; 4]), 3, 9),
            (raw(3, 3, &[]), 3, 3),
            (vec![1, 2, 3], 0, 4),
        ] {
            let seen: Vec<_> = attributes(&bytes).collect();
            assert_eq!(
                seen,
                [Err((
                    kind,
                    Problem::Truncated {
                        stated,
                        available: bytes.len()
                    }
                ))]
            );
        }
    }

    #[test]
    fn values_of_the_wrong_length_are_told() {
        let attribute = Attribute {
            kind: 1,
            value: &[1, 2, 3],
        };
        assert_eq!(
            attribute.u16(),
            Err(Problem::Length {
                expected: 2,
                found: 3
            })
        );
        assert_eq!(
            attribute.counter(),
            Err(Problem::Length {
                expected: 8,
                found: 3
            })
        );
        assert!(attribute.address().is_err());
    }
}
