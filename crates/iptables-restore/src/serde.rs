//! The model as text and lists, for JSON and YAML.
//!
//! Names, addresses and protocols are strings as the tools print them. A rule is its specification,
//! `"-s 10.0.0.0/8 -j ACCEPT"`, after its counters in brackets where it has any; one that was found and not understood is
//! `{"verbatim": "…"}`.

use std::fmt::Display;
use std::str::FromStr;

use serde::de::{Deserialize, Deserializer, Error};
use serde::ser::{Serialize, Serializer};

use crate::parse::counters;
use crate::{Address, ChainName, Counters, Policy, Protocol, Rule, TableName};

/// Types that display as text and parse from it.
macro_rules! as_text {
    ($($type:ty: $parse:expr),* $(,)?) => {$(
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                parsed(&text, $parse)
            }
        }
    )*};
}

fn parsed<T, R: Display, E: Error>(
    text: &str,
    parse: impl FnOnce(&str) -> Result<T, R>,
) -> Result<T, E> {
    parse(text).map_err(E::custom)
}

/// What cannot fail.
fn any<T: for<'a> From<&'a str>>(text: &str) -> Result<T, std::convert::Infallible> {
    Ok(T::from(text))
}

as_text!(
    Address: Address::from_str,
    ChainName: ChainName::found,
    Counters: counters,
    Policy: any,
    Protocol: any,
    TableName: any,
);

#[derive(serde::Serialize, serde::Deserialize)]
#[serde(untagged)]
enum RuleText {
    Specification(String),
    Verbatim { verbatim: String },
}

impl Serialize for Rule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = match (self.verbatim(), self.counters) {
            (Some(text), _) => RuleText::Verbatim {
                verbatim: text.to_owned(),
            },
            (None, None) => RuleText::Specification(self.to_string()),
            (None, Some(counters)) => RuleText::Specification(format!("{counters} {self}")),
        };
        text.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Rule {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = match RuleText::deserialize(deserializer)? {
            RuleText::Verbatim { verbatim } => return Ok(Self::from_verbatim(verbatim)),
            RuleText::Specification(text) => text,
        };
        let (counted, text) = match text.split_once(']') {
            Some((start, rest)) if start.starts_with('[') => (
                Some(counters(&format!("{start}]")).map_err(Error::custom)?),
                rest,
            ),
            _ => (None, text.as_str()),
        };
        let mut rule: Self = text.parse().map_err(Error::custom)?;
        rule.counters = counted.or(rule.counters);
        Ok(rule)
    }
}
