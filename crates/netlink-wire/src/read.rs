//! Reading attributes from bytes that nobody has checked.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::error::{DecodeError, Fault, Problem};
use crate::uapi::{NLA_ALIGNTO, NLA_F_NESTED, NLA_F_NET_BYTEORDER, NLA_HDRLEN, NLA_TYPE_MASK};

/// The kernel's names of the attributes of one nest, by their type.
pub type Names = [(u16, &'static str)];

/// Gives each attribute in `bytes` to `take`, in order, until one fails.
///
/// `names` has the names of these attributes, `nest` the name of what they are in. Unknown attributes
/// should be passed over: newer kernels send more.
///
/// # Errors
/// The first error of `take`, or that of an attribute that is not whole. It names the attribute by
/// `names`, or by `nest` if its type is not there.
#[inline]
pub fn walk<'a>(
    bytes: &'a [u8],
    nest: &'static str,
    names: &Names,
    mut take: impl FnMut(Attribute<'a>) -> Result<(), Fault>,
) -> Result<(), DecodeError> {
    let mut rest = bytes;
    while !rest.is_empty() {
        let Some((attribute, after)) = Attribute::split(rest) else {
            let (kind, problem) = truncated(rest);
            return Err(named(problem.into(), kind, nest, names));
        };
        take(attribute).map_err(|fault| named(fault, attribute.kind(), nest, names))?;
        rest = after;
    }
    Ok(())
}

#[cold]
fn named(fault: Fault, kind: u16, nest: &'static str, names: &Names) -> DecodeError {
    match fault {
        Fault::Here(problem) => {
            let known = names.iter().find(|(number, _)| *number == kind);
            problem.of(known.map_or(nest, |(_, name)| *name))
        }
        Fault::Within(error) => error,
    }
}

/// Iterates over the attributes in `bytes`, in order.
#[inline]
#[must_use]
pub const fn attributes(bytes: &[u8]) -> Attributes<'_> {
    Attributes { rest: bytes }
}

/// An iterator over attributes, made by [`attributes`] and [`Attribute::nested`].
///
/// An attribute that is not whole is an error, after which the iterator ends. The padding of the last
/// attribute may be absent.
#[derive(Debug, Clone)]
pub struct Attributes<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Attributes<'a> {
    type Item = Result<Attribute<'a>, Problem>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let bytes = std::mem::take(&mut self.rest);
        Some(match Attribute::split(bytes) {
            Some((attribute, rest)) => {
                self.rest = rest;
                Ok(attribute)
            }
            None => Err(truncated(bytes).1),
        })
    }
}

impl std::iter::FusedIterator for Attributes<'_> {}

/// Why the attribute at the start of `bytes` is not whole, and its type, 0 if that is cut off too.
#[cold]
fn truncated(bytes: &[u8]) -> (u16, Problem) {
    let (stated, kind) = match bytes.first_chunk() {
        Some(&[a, b, c, d]) => (
            u16::from_ne_bytes([a, b]).into(),
            u16::from_ne_bytes([c, d]) & NLA_TYPE_MASK,
        ),
        None => (NLA_HDRLEN, 0),
    };
    let available = bytes.len();
    (kind, Problem::Truncated { stated, available })
}

/// One attribute: its type, the flags of its type, and its value without padding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attribute<'a> {
    /// With flags.
    kind: u16,
    value: &'a [u8],
}

impl<'a> Attribute<'a> {
    /// An attribute of type `kind`, with or without flags.
    #[must_use]
    pub const fn new(kind: u16, value: &'a [u8]) -> Self {
        Self { kind, value }
    }

    /// The attribute at the start of `bytes`, and what follows it; `None` if it is not whole.
    #[inline]
    fn split(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let &[a, b, c, d] = bytes.first_chunk()?;
        let stated = usize::from(u16::from_ne_bytes([a, b]));
        let kind = u16::from_ne_bytes([c, d]);
        let value = bytes.get(NLA_HDRLEN..stated)?;
        let rest = bytes
            .get(stated.next_multiple_of(NLA_ALIGNTO)..)
            .unwrap_or_default();
        Some((Self { kind, value }, rest))
    }

    /// Its type without flags. What the type means depends on where the attribute is.
    #[inline]
    #[must_use]
    pub const fn kind(&self) -> u16 {
        self.kind & NLA_TYPE_MASK
    }

    /// Whether the flag `NLA_F_NESTED` is set. A nest may lack it.
    #[inline]
    #[must_use]
    pub const fn is_nested(&self) -> bool {
        self.kind & NLA_F_NESTED != 0
    }

    /// Whether the flag `NLA_F_NET_BYTEORDER` is set. A number in network byte order may lack it.
    #[inline]
    #[must_use]
    pub const fn is_network_order(&self) -> bool {
        self.kind & NLA_F_NET_BYTEORDER != 0
    }

    /// Its value, without padding.
    #[inline]
    #[must_use]
    pub const fn value(&self) -> &'a [u8] {
        self.value
    }

    /// The attributes that its value consists of.
    #[inline]
    #[must_use]
    pub const fn nested(&self) -> Attributes<'a> {
        attributes(self.value)
    }

    /// The value as `N` bytes.
    ///
    /// # Errors
    /// [`Problem::Length`], as from all numbers and addresses.
    #[inline]
    pub fn array<const N: usize>(&self) -> Result<[u8; N], Problem> {
        self.value.try_into().map_err(|_| Problem::Length {
            expected: N,
            found: self.value.len(),
        })
    }

    /// A number of one byte.
    ///
    /// # Errors
    /// [`Problem::Length`]
    #[inline]
    pub fn u8(&self) -> Result<u8, Problem> {
        self.array().map(u8::from_ne_bytes)
    }

    /// An IPv4 address of 4 bytes or an IPv6 address of 16.
    ///
    /// # Errors
    /// [`Problem::Length`]
    pub fn ip(&self) -> Result<IpAddr, Problem> {
        match self.value.len() {
            4 => self.ipv4().map(IpAddr::V4),
            _ => self.ipv6().map(IpAddr::V6),
        }
    }

    /// An address of 4 bytes.
    ///
    /// # Errors
    /// [`Problem::Length`]
    pub fn ipv4(&self) -> Result<Ipv4Addr, Problem> {
        self.array::<4>().map(Ipv4Addr::from)
    }

    /// An address of 16 bytes.
    ///
    /// # Errors
    /// [`Problem::Length`]
    pub fn ipv6(&self) -> Result<Ipv6Addr, Problem> {
        self.array::<16>().map(Ipv6Addr::from)
    }

    /// The bytes up to the first NUL, or all of them.
    #[must_use]
    pub fn until_nul(&self) -> &'a [u8] {
        self.value
            .split(|byte| *byte == 0)
            .next()
            .unwrap_or_default()
    }

    /// Text up to its NUL.
    ///
    /// # Errors
    /// [`Problem::NotUtf8`]; [`until_nul`](Self::until_nul) has the bytes.
    pub fn text(&self) -> Result<&'a str, Problem> {
        std::str::from_utf8(self.until_nul()).map_err(|_| Problem::NotUtf8)
    }
}

/// The three ways to read a number of more than one byte.
macro_rules! numbers {
    ($($type:ident, $be:ident, $by_flag:ident;)*) => {
        impl Attribute<'_> {
            $(
                /// A number in host byte order.
                ///
                /// # Errors
                /// [`Problem::Length`]
                #[inline]
                pub fn $type(&self) -> Result<$type, Problem> {
                    self.array().map($type::from_ne_bytes)
                }

                /// A number in network byte order.
                ///
                /// # Errors
                /// [`Problem::Length`]
                #[inline]
                pub fn $be(&self) -> Result<$type, Problem> {
                    self.array().map($type::from_be_bytes)
                }

                /// A number in network byte order if `NLA_F_NET_BYTEORDER` is set, else in host byte
                /// order.
                ///
                /// # Errors
                /// [`Problem::Length`]
                #[inline]
                pub fn $by_flag(&self) -> Result<$type, Problem> {
                    if self.is_network_order() { self.$be() } else { self.$type() }
                }
            )*
        }
    };
}

numbers! {
    u16, u16_be, u16_by_flag;
    u32, u32_be, u32_by_flag;
    u64, u64_be, u64_by_flag;
    i32, i32_be, i32_by_flag;
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn raw(length: u16, kind: u16, value: &[u8]) -> Vec<u8> {
        [&length.to_ne_bytes(), &kind.to_ne_bytes(), value].concat()
    }

    #[test]
    fn flags_are_masked_and_readable_and_padding_is_left_out() {
        let mut bytes = raw(5, 0x8001, &[9, 0, 0, 0]);
        bytes.extend(raw(4, 77, &[]));
        bytes.extend(raw(6, 0x4002, &[1, 2]));
        let seen: Vec<_> = attributes(&bytes)
            .map(|item| item.unwrap())
            .map(|a| (a.kind(), a.is_nested(), a.is_network_order(), a.value()))
            .collect();
        let expected: [(u16, bool, bool, &[u8]); 3] = [
            (1, true, false, &[9]),
            (77, false, false, &[]),
            (2, false, true, &[1, 2]),
        ];
        assert_eq!(seen, expected);
    }

    const NAMES: &Names = &[(1, "A"), (3, "C")];

    #[test]
    fn wrong_lengths_end_the_iteration_and_are_named() {
        for (bytes, stated, name) in [
            (raw(9, 3, &[0; 4]), 9, "C"),
            (raw(3, 0x8003, &[]), 3, "C"),
            (raw(0, 1, &[]), 0, "A"),
            (raw(5, 2, &[]), 5, "NEST"),
            (vec![1, 2, 3], 4, "NEST"),
        ] {
            let available = bytes.len();
            let problem = Problem::Truncated { stated, available };
            let seen: Vec<_> = attributes(&bytes).collect();
            assert_eq!(seen, [Err(problem)]);
            let walked = walk(&bytes, "NEST", NAMES, |_| Ok(()));
            assert_eq!(walked, Err(problem.of(name)));
        }
    }

    #[test]
    fn faults_get_the_name_of_their_attribute_and_keep_one_they_have() {
        let bytes = [raw(8, 9, &[0; 4]), raw(6, 3, &[0, 0])].concat();
        let walked = walk(&bytes, "NEST", NAMES, |attribute| {
            attribute.u32()?;
            Ok(())
        });
        let length = Problem::Length {
            expected: 4,
            found: 2,
        };
        assert_eq!(walked, Err(length.of("C")));
        let inner = Problem::Missing.of("INNER");
        let walked = walk(&bytes, "NEST", NAMES, |_| Err(inner.into()));
        assert_eq!(walked, Err(inner));
        let walked = walk(&bytes, "NEST", NAMES, |_| Err(Problem::NotUtf8.into()));
        assert_eq!(walked, Err(Problem::NotUtf8.of("NEST")));
    }

    #[test]
    fn numbers_come_in_the_byte_order_asked_for() {
        let bytes = [1, 2, 3, 4, 5, 6, 7, 8];
        let of = |length: usize, flag| Attribute::new(flag, bytes.get(..length).unwrap());
        assert_eq!(of(1, 0).u8(), Ok(1));
        assert_eq!(of(2, 0).u16(), Ok(u16::from_ne_bytes([1, 2])));
        assert_eq!(of(2, 0).u16_be(), Ok(0x0102));
        assert_eq!(of(4, 0).u32(), Ok(u32::from_ne_bytes([1, 2, 3, 4])));
        assert_eq!(of(4, 0).u32_be(), Ok(0x0102_0304));
        assert_eq!(of(8, 0).u64(), Ok(u64::from_ne_bytes(bytes)));
        assert_eq!(of(8, 0).u64_be(), Ok(0x0102_0304_0506_0708));
        assert_eq!(Attribute::new(0, &[0xff; 4]).i32_be(), Ok(-1));
        for (flag, expected) in [(0, u16::from_ne_bytes([1, 2])), (0x4000, 0x0102)] {
            assert_eq!(of(2, flag).u16_by_flag(), Ok(expected));
        }
        let (expected, found) = (2, 4);
        assert_eq!(of(4, 0).u16(), Err(Problem::Length { expected, found }));
    }

    #[test]
    fn addresses_are_told_apart_by_length() {
        let v6: Ipv6Addr = "2001:db8::1".parse().unwrap();
        assert_eq!(
            Attribute::new(0, &[10, 0, 0, 1]).ip(),
            Ok([10, 0, 0, 1].into())
        );
        assert_eq!(Attribute::new(0, &v6.octets()).ip(), Ok(v6.into()));
        let (expected, found) = (16, 5);
        assert_eq!(
            Attribute::new(0, &[0; 5]).ip(),
            Err(Problem::Length { expected, found })
        );
    }

    #[test]
    fn text_ends_at_its_nul_or_at_the_end() {
        for (bytes, text) in [
            (&b"rr\0junk"[..], "rr"),
            (b"rr", "rr"),
            (b"\0", ""),
            (b"", ""),
        ] {
            assert_eq!(Attribute::new(0, bytes).text(), Ok(text));
        }
        let latin1 = Attribute::new(0, b"\xe4\0");
        assert_eq!(latin1.text(), Err(Problem::NotUtf8));
        assert_eq!(latin1.until_nul(), b"\xe4");
    }

    proptest! {
        #[test]
        fn any_bytes_end(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(attributes(&bytes).count() <= bytes.len() / 4 + 1);
            let mut seen = 0;
            let walked = walk(&bytes, "NEST", &[], |_| { seen += 1; Ok(()) });
            let whole = attributes(&bytes).take_while(Result::is_ok).count();
            prop_assert_eq!(seen, whole);
            prop_assert_eq!(walked.is_ok(), attributes(&bytes).all(|item| item.is_ok()));
        }
    }
}
