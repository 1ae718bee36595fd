//! Families, protocols and names as text.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, Unexpected, Visitor};
use serde::ser::{Serialize, Serializer};

use crate::{Family, InlineName, Protocol};

impl Serialize for Family {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Family {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Family;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`IPv4` or `IPv6`")
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Family, E> {
                text.parse()
                    .map_err(|_| E::invalid_value(Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

/// By name where the protocol has one, else its number as text; in binary formats its number.
impl Serialize for Protocol {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            serializer.serialize_u8(self.0)
        }
    }
}

/// From a name, or from a number with or without quotes.
impl<'de> Deserialize<'de> for Protocol {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextOrNumber;
        impl Visitor<'_> for TextOrNumber {
            type Value = Protocol;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of an IP protocol or its number, 0 to 255")
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Protocol, E> {
                text.parse()
                    .map_err(|_| E::invalid_value(Unexpected::Str(text), &self))
            }
            fn visit_u64<E: Error>(self, number: u64) -> Result<Protocol, E> {
                u8::try_from(number)
                    .map(Protocol)
                    .map_err(|_| E::invalid_value(Unexpected::Unsigned(number), &self))
            }
            fn visit_i64<E: Error>(self, number: i64) -> Result<Protocol, E> {
                u8::try_from(number)
                    .map(Protocol)
                    .map_err(|_| E::invalid_value(Unexpected::Signed(number), &self))
            }
        }
        if deserializer.is_human_readable() {
            deserializer.deserialize_any(TextOrNumber)
        } else {
            deserializer.deserialize_u8(TextOrNumber)
        }
    }
}

impl<const N: usize> Serialize for InlineName<N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de, const N: usize> Deserialize<'de> for InlineName<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text<const N: usize>;
        impl<const N: usize> Visitor<'_> for Text<N> {
            type Value = InlineName<N>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a name of 1 to {N} bytes")
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<InlineName<N>, E> {
                InlineName::new(text).ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_str(Text::<N>)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_text_and_numbers_are_taken_for_protocols() {
        let name = InlineName::<15>::new("rr").unwrap();
        let value = (Family::V6, Protocol::TCP, Protocol(253), name);
        let json = serde_json::to_string(&value).unwrap();
        assert_eq!(json, r#"["IPv6","tcp","253","rr"]"#);
        let read: (Family, Protocol, Protocol, InlineName<15>) =
            serde_json::from_str(&json).unwrap();
        assert_eq!(read, value);
        let read: [Protocol; 2] = serde_json::from_str(r#"[17, "ICMPv6"]"#).unwrap();
        assert_eq!(read, [Protocol::UDP, Protocol::ICMPV6]);
    }

    #[test]
    fn wrong_values_are_reported_with_what_is_expected() {
        let error = serde_json::from_str::<Family>(r#""inet""#).unwrap_err();
        assert!(error.to_string().contains("`IPv4` or `IPv6`"), "{error}");
        for text in ["256", "-1", r#""tcpx""#] {
            let error = serde_json::from_str::<Protocol>(text).unwrap_err();
            assert!(error.to_string().contains("0 to 255"), "{error}");
        }
        let error = serde_json::from_str::<InlineName<2>>(r#""abc""#).unwrap_err();
        assert!(error.to_string().contains("1 to 2 bytes"), "{error}");
    }
}
