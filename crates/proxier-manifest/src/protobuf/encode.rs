//! Objects and lists from JSON to protobuf, byte for byte as an API server writes them: for servers that stand in for one
//! in tests, and for measurements.
//!
//! Nothing here is shared with the decoder, so that a wrong number in one of the two is found by the other. What a table
//! lacks is left out.

use serde_json::Value;

use self::Shape::{Flag, FlagSet, Map, Number, NumberSet, Port, Raw, Text, TextSet, Time};

/// The tables of the messages.
mod tables;

/// How a field is written. Go writes fields that are no pointers always, and the others (`...Set`) where they are set.
#[derive(Clone, Copy)]
enum Shape {
    Text,
    TextSet,
    Number,
    NumberSet,
    Flag,
    FlagSet,
    Time,
    TimeSet,
    Map,
    /// `IntOrString`.
    Port,
    /// JSON, in a message with one field.
    Raw,
    Message(&'static [Field]),
    MessageSet(&'static [Field]),
}

/// A field by its name in JSON, with its number.
type Field = (&'static str, u32, Shape);

/// An object of a list, without an envelope. Of a kind that is not known it is empty.
#[must_use]
pub fn item(object: &Value, kind: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    fields(&mut bytes, object, tables::of(kind));
    bytes
}

/// An object of its kind, in its envelope.
#[must_use]
pub fn object(object: &Value) -> Vec<u8> {
    let kind = object["kind"].as_str().unwrap_or_default();
    let version = object["apiVersion"].as_str().unwrap_or_default();
    envelope(version, kind, &item(object, kind))
}

/// A list, in its envelope. Its items lack their kind, as those of a server do.
#[must_use]
pub fn list(list: &Value) -> Vec<u8> {
    let kind = list["kind"].as_str().unwrap_or_default();
    let item_kind = kind.strip_suffix("List").unwrap_or_default();
    let mut bytes = Vec::new();
    let mut metadata = Vec::new();
    fields(&mut metadata, &list["metadata"], tables::LIST_META);
    delimited(&mut bytes, 1, &metadata);
    for object in list["items"].as_array().into_iter().flatten() {
        delimited(&mut bytes, 2, &item(object, item_kind));
    }
    envelope(
        list["apiVersion"].as_str().unwrap_or_default(),
        kind,
        &bytes,
    )
}

/// An event of a watch behind its length, its object in an envelope.
#[must_use]
pub fn event(event_type: &str, object: &[u8]) -> Vec<u8> {
    let mut raw = Vec::new();
    delimited(&mut raw, 1, object);
    let mut event = Vec::new();
    delimited(&mut event, 1, event_type.as_bytes());
    delimited(&mut event, 2, &raw);
    let mut bytes = u32::try_from(event.len())
        .unwrap_or(u32::MAX)
        .to_be_bytes()
        .to_vec();
    bytes.extend(event);
    bytes
}

/// Bytes in an envelope.
#[must_use]
pub fn envelope(api_version: &str, kind: &str, raw: &[u8]) -> Vec<u8> {
    let mut named = Vec::new();
    delimited(&mut named, 1, api_version.as_bytes());
    delimited(&mut named, 2, kind.as_bytes());
    let mut bytes = b"k8s\0".to_vec();
    delimited(&mut bytes, 1, &named);
    delimited(&mut bytes, 2, raw);
    // How the content is encoded, and its type.
    delimited(&mut bytes, 3, b"");
    delimited(&mut bytes, 4, b"");
    bytes
}

fn fields(bytes: &mut Vec<u8>, value: &Value, table: &[Field]) {
    for (name, number, shape) in table {
        let value = value.get(name).filter(|value| !value.is_null());
        match value {
            Some(Value::Array(entries)) => {
                for entry in entries {
                    field(bytes, *number, *shape, Some(entry));
                }
            }
            value => field(bytes, *number, *shape, value),
        }
    }
}

fn field(bytes: &mut Vec<u8>, number: u32, shape: Shape, value: Option<&Value>) {
    match (shape, value) {
        (Text, value) => {
            let text = value.and_then(Value::as_str).unwrap_or_default();
            delimited(bytes, number, text.as_bytes());
        }
        (TextSet, Some(Value::String(text))) => delimited(bytes, number, text.as_bytes()),
        (Number, value) => {
            let value = value.and_then(Value::as_i64).unwrap_or_default();
            integer(bytes, number, value);
        }
        (NumberSet, Some(value)) => integer(bytes, number, value.as_i64().unwrap_or_default()),
        (Flag, value) => {
            let value = value.and_then(Value::as_bool).unwrap_or_default();
            integer(bytes, number, value.into());
        }
        (FlagSet, Some(value)) => {
            integer(bytes, number, value.as_bool().unwrap_or_default().into());
        }
        (Time, value) => delimited(bytes, number, &time(value)),
        (Shape::TimeSet, Some(value)) => delimited(bytes, number, &time(Some(value))),
        (Map, Some(Value::Object(map))) => {
            for (key, value) in map {
                let mut entry = Vec::new();
                delimited(&mut entry, 1, key.as_bytes());
                delimited(&mut entry, 2, value.as_str().unwrap_or_default().as_bytes());
                delimited(bytes, number, &entry);
            }
        }
        (Port, value) => {
            let text = value.and_then(Value::as_str);
            let mut port = Vec::new();
            integer(&mut port, 1, text.is_some().into());
            integer(
                &mut port,
                2,
                value.and_then(Value::as_i64).unwrap_or_default(),
            );
            delimited(&mut port, 3, text.unwrap_or_default().as_bytes());
            delimited(bytes, number, &port);
        }
        (Raw, Some(value)) => {
            let mut raw = Vec::new();
            delimited(&mut raw, 1, value.to_string().as_bytes());
            delimited(bytes, number, &raw);
        }
        (Shape::Message(table), value) => {
            let mut message = Vec::new();
            fields(&mut message, value.unwrap_or(&Value::Null), table);
            delimited(bytes, number, &message);
        }
        (Shape::MessageSet(table), Some(value)) => {
            let mut message = Vec::new();
            fields(&mut message, value, table);
            delimited(bytes, number, &message);
        }
        _ => {}
    }
}

/// `meta.v1.Time`: nothing where there is none.
fn time(value: Option<&Value>) -> Vec<u8> {
    let text = value.and_then(Value::as_str);
    let seconds = text.and_then(|text| crate::quantity::timestamp(text).ok());
    let mut time = Vec::new();
    if let Some(seconds) = seconds {
        integer(&mut time, 1, seconds);
        integer(&mut time, 2, 0);
    }
    time
}

/// A number as int32 and int64 are written: negative ones with all bits.
fn integer(bytes: &mut Vec<u8>, number: u32, value: i64) {
    varint(bytes, u64::from(number) << 3);
    varint(bytes, u64::from_ne_bytes(value.to_ne_bytes()));
}

fn delimited(bytes: &mut Vec<u8>, number: u32, value: &[u8]) {
    varint(bytes, (u64::from(number) << 3) | 2);
    varint(bytes, value.len() as u64);
    bytes.extend_from_slice(value);
}

fn varint(bytes: &mut Vec<u8>, mut value: u64) {
    loop {
        let low = (value & 0x7f).to_le_bytes()[0];
        value >>= 7;
        if value == 0 {
            return bytes.push(low);
        }
        bytes.push(low | 0x80);
    }
}
