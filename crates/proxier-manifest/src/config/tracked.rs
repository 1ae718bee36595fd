//! A value that remembers which of its keys were there twice.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// How many keys that were there twice are named.
const MAX_NAMED: usize = 100;

/// A value, and the paths of the fields that were there more than once. The last one counts.
pub(super) struct Tracked {
    pub(super) value: Value,
    pub(super) duplicates: Vec<String>,
}

impl Tracked {
    fn scalar(value: impl Into<Value>) -> Self {
        Self {
            value: value.into(),
            duplicates: Vec::new(),
        }
    }
}

impl<'de> Deserialize<'de> for Tracked {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TrackedVisitor)
    }
}

struct TrackedVisitor;

impl<'de> Visitor<'de> for TrackedVisitor {
    type Value = Tracked;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_unit<E>(self) -> Result<Tracked, E> {
        Ok(Tracked::scalar(Value::Null))
    }

    fn visit_none<E>(self) -> Result<Tracked, E> {
        Ok(Tracked::scalar(Value::Null))
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Tracked, D::Error> {
        Tracked::deserialize(deserializer)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Tracked, E> {
        Ok(Tracked::scalar(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Tracked, E> {
        Ok(Tracked::scalar(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Tracked, E> {
        Ok(Tracked::scalar(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Tracked, E> {
        Ok(Tracked::scalar(
            Number::from_f64(value).map_or(Value::Null, Value::Number),
        ))
    }

    fn visit_str<E>(self, value: &str) -> Result<Tracked, E> {
        Ok(Tracked::scalar(value))
    }

    fn visit_string<E>(self, value: String) -> Result<Tracked, E> {
        Ok(Tracked::scalar(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Tracked, A::Error> {
        let mut items = Vec::new();
        let mut duplicates = Vec::new();
        while let Some(item) = access.next_element::<Tracked>()? {
            extend(
                &mut duplicates,
                &format!("[{}]", items.len()),
                item.duplicates,
            );
            items.push(item.value);
        }
        Ok(Tracked {
            value: Value::Array(items),
            duplicates,
        })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Tracked, A::Error> {
        let mut fields = Map::new();
        let mut duplicates = Vec::new();
        while let Some(key) = access.next_key::<String>()? {
            let field = access.next_value::<Tracked>()?;
            extend(&mut duplicates, &key, field.duplicates);
            if fields.insert(key.clone(), field.value).is_some() {
                extend(&mut duplicates, &key, vec![String::new()]);
            }
        }
        Ok(Tracked {
            value: Value::Object(fields),
            duplicates,
        })
    }
}

fn extend(duplicates: &mut Vec<String>, key: &str, below: Vec<String>) {
    let room = MAX_NAMED.saturating_sub(duplicates.len());
    duplicates.extend(below.into_iter().take(room).map(|path| {
        if path.is_empty() || path.starts_with('[') {
            format!("{key}{path}")
        } else {
            format!("{key}.{path}")
        }
    }));
}
