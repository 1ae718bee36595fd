//! Names, types and values as text; sets and entries in the words of `ipset save`.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use serde::de::{Deserialize, Deserializer, Error as _, SeqAccess, Unexpected, Visitor};
use serde::ser::{Error as _, Serialize, Serializer};

use crate::{
    Addresses, Comment, Entry, InterfaceName, MacAddr, PortRange, Ports, Set, SetName, SetSpec,
    SetType,
};

/// Types that are written and read as the text they display as.
macro_rules! as_text {
    ($($type:ty, $expected:literal;)*) => {$(
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_str(Text {
                    expected: $expected,
                    value: PhantomData,
                })
            }
        }
    )*};
}

as_text! {
    Addresses, "an address, a network, or an IPv4 range";
    InterfaceName, "the name of an interface";
    MacAddr, "a MAC address";
    PortRange, "a port, or two with `-`";
    Ports, "a protocol and its ports, as in `tcp:80`";
    SetName, "the name of a set";
    SetSpec, "a `create` line of ipset";
    SetType, "a set type, as in `hash:ip,port`";
}

/// Reads text.
struct Text<T> {
    expected: &'static str,
    value: PhantomData<T>,
}

impl<T: FromStr<Err = crate::Error>> Visitor<'_> for Text<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expected)
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<T, E> {
        text.parse()
            .map_err(|error| E::custom(format_args!("{error}: expected {}", self.expected)))
    }
}

/// As text, or as bytes if it is not UTF-8.
impl Serialize for Comment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Words(Cow::Borrowed(self.as_bytes())).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Comment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Words::deserialize(deserializer).map(|Words(bytes)| Self::from(&*bytes))
    }
}

/// Bytes that usually are text. Formats for people get text where it is UTF-8, else bytes.
struct Words<'a>(Cow<'a, [u8]>);

impl Serialize for Words<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match std::str::from_utf8(&self.0) {
            Ok(text) if serializer.is_human_readable() => serializer.serialize_str(text),
            _ => serializer.serialize_bytes(&self.0),
        }
    }
}

impl<'de> Deserialize<'de> for Words<'static> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextOrBytes;
        impl<'de> Visitor<'de> for TextOrBytes {
            type Value = Words<'static>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("text, or bytes that need not be UTF-8")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Self::Value, E> {
                self.visit_bytes(text.as_bytes())
            }

            fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<Self::Value, E> {
                Ok(Words(bytes.to_vec().into()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut bytes: A) -> Result<Self::Value, A::Error> {
                let mut words = Vec::new();
                while let Some(byte) = bytes.next_element()? {
                    words.push(byte);
                }
                Ok(Words(words.into()))
            }
        }
        if deserializer.is_human_readable() {
            deserializer.deserialize_any(TextOrBytes)
        } else {
            deserializer.deserialize_bytes(TextOrBytes)
        }
    }
}

/// The words of an entry. A comment that they cannot carry is an error.
fn words(entry: &Entry) -> Result<Words<'_>, &'static str> {
    let comment = entry.options().comment.as_ref();
    if comment.is_some_and(|comment| !comment.is_valid()) {
        return Err("the comment of an entry has a control character or a `\"`, or a wrong length");
    }
    Ok(Words(entry.to_bytes().into()))
}

/// An entry alone: its words, and the parts that its element consists of, as in the name of a set type
/// (`ip,port`), without which the words cannot be read.
#[derive(serde::Serialize, serde::Deserialize)]
#[serde(rename = "Entry")]
struct EntryForm {
    parts: String,
    words: Words<'static>,
}

impl Serialize for Entry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let dimensions = self.element().dimensions();
        let set_type = SetType::ALL
            .into_iter()
            .find(|set_type| set_type.dimensions() == dimensions)
            .ok_or_else(|| S::Error::custom("the entry is of no set type"))?;
        let Words(bytes) = words(self).map_err(S::Error::custom)?;
        EntryForm {
            parts: parts(&set_type).to_owned(),
            words: Words(bytes.into_owned().into()),
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let form = EntryForm::deserialize(deserializer)?;
        let set_type = SetType::ALL
            .into_iter()
            .find(|set_type| parts(set_type) == form.parts)
            .ok_or_else(|| {
                let expected = "the parts of a set type, as in `ip,port`";
                D::Error::invalid_value(Unexpected::Str(&form.parts), &expected)
            })?;
        SetSpec::new(placeholder::<D::Error>()?, set_type, None)
            .parse_entry(&form.words.0)
            .map_err(D::Error::custom)
    }
}

/// What stands behind the colon in the name of a type.
fn parts(set_type: &SetType) -> &str {
    set_type
        .as_str()
        .split_once(':')
        .map_or("", |(_, parts)| parts)
}

fn placeholder<E: serde::de::Error>() -> Result<SetName, E> {
    SetName::new("entry").map_err(E::custom)
}

/// A set: the line that creates it, and the words of each entry.
#[derive(serde::Serialize)]
#[serde(rename = "Set")]
struct SetForm<'a> {
    spec: &'a SetSpec,
    entries: Vec<Words<'a>>,
}

impl Serialize for Set {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let entries = self.entries.iter().map(words).collect::<Result<_, _>>();
        SetForm {
            spec: &self.spec,
            entries: entries.map_err(S::Error::custom)?,
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Set {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(serde::Deserialize)]
        #[serde(rename = "Set")]
        struct Form {
            spec: SetSpec,
            entries: Vec<Words<'static>>,
        }
        let Form { spec, entries } = Form::deserialize(deserializer)?;
        let entries = entries.iter().map(|Words(words)| {
            let entry = spec.parse_entry(words)?;
            spec.check(&entry).map(|()| entry)
        });
        let entries = entries
            .collect::<Result<_, _>>()
            .map_err(D::Error::custom)?;
        Ok(Self { spec, entries })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_are_in_the_words_of_ipset_save() {
        let text = "create web hash:ip,port family inet hashsize 1024 maxelem 65536 comment\n\
                    add web 10.0.0.1,tcp:80 comment \"x\"\n";
        let set = crate::parse_save(text).unwrap().remove(0);
        let json = serde_json::to_string(&set).unwrap();
        assert_eq!(
            json,
            r#"{"spec":"create web hash:ip,port family inet hashsize 1024 maxelem 65536 comment","entries":["10.0.0.1,tcp:80 comment \"x\""]}"#
        );
        assert_eq!(serde_json::from_str::<Set>(&json).unwrap(), set);
        let entry = serde_json::to_string(&set.entries[0]).unwrap();
        assert_eq!(
            entry,
            r#"{"parts":"ip,port","words":"10.0.0.1,tcp:80 comment \"x\""}"#
        );
    }

    #[test]
    fn what_is_wrong_is_named() {
        let error = serde_json::from_str::<SetName>(r#""a b""#).unwrap_err();
        assert!(error.to_string().contains("whitespace"), "{error}");
        let error = serde_json::from_str::<SetSpec>(r#""create a hash:ip size 5""#).unwrap_err();
        assert!(error.to_string().contains("list:set"), "{error}");
        let set = r#"{"spec":"create a hash:ip","entries":["10.0.0.1","0.0.0.0"]}"#;
        let error = serde_json::from_str::<Set>(set).unwrap_err();
        assert!(error.to_string().contains("null address"), "{error}");
        let error =
            serde_json::from_str::<Entry>(r#"{"parts":"ip,vlan","words":"1"}"#).unwrap_err();
        assert!(error.to_string().contains("ip,port"), "{error}");
        let entry = Entry::port(80).with_comment("a\"b");
        assert!(serde_json::to_string(&entry).is_err());
    }

    proptest::proptest! {
        #[test]
        fn sets_and_entries_read_back((spec, entries) in crate::arbitrary::set()) {
            for entry in &entries {
                let json = serde_json::to_string(entry).unwrap();
                proptest::prop_assert_eq!(&serde_json::from_str::<Entry>(&json).unwrap(), entry);
            }
            let set = Set { spec, entries };
            let json = serde_json::to_string(&set).unwrap();
            proptest::prop_assert_eq!(serde_json::from_str::<Set>(&json).unwrap(), set);
        }
    }
}
