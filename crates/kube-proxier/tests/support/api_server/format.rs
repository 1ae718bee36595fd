//! In which format something is answered.

use proxier_manifest::protobuf::{MEDIA_TYPE, encode};
use serde_json::Value;

use super::{ApiServer, Asked, Shared};

/// The format of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Json,
    Protobuf,
}

impl Format {
    /// The first one that a request accepts of those that the server has.
    pub(super) fn of(shared: &Shared, asked: &Asked) -> Self {
        let first = asked.accept.split(',').next().unwrap_or_default();
        let has_protobuf = !shared.lock().faults.json_only;
        match has_protobuf && first.trim() == MEDIA_TYPE {
            true => Self::Protobuf,
            false => Self::Json,
        }
    }

    pub(super) const fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Protobuf => MEDIA_TYPE,
        }
    }

    /// A list, or a Status.
    pub(super) fn write(self, value: &Value) -> Vec<u8> {
        match self {
            Self::Json => value.to_string().into_bytes(),
            Self::Protobuf if value["kind"] == "Status" => encode::object(value),
            Self::Protobuf => encode::list(value),
        }
    }

    /// An event of a watch of that kind.
    pub(super) fn write_event(self, event: &Value, kind: &str, api_version: &str) -> Vec<u8> {
        if self == Self::Json {
            return format!("{event}\n").into_bytes();
        }
        let name = event["type"].as_str().unwrap_or_default();
        let mut object = event["object"].clone();
        if name == "BOOKMARK" {
            // Of the kind that is watched.
            (object["kind"], object["apiVersion"]) = (kind.into(), api_version.into());
        }
        let filler = object["filler"].as_str().map(ToOwned::to_owned);
        let object = match filler {
            // A field that no object has.
            Some(filler) => encode::envelope(
                "v1",
                kind,
                &[&[0xa2, 0x06], &*length(filler.len()), filler.as_bytes()].concat(),
            ),
            None => encode::object(&object),
        };
        encode::event(name, &object)
    }

    /// The beginning of an event that never comes whole.
    pub(super) const fn broken_event(self) -> &'static [u8] {
        match self {
            Self::Json => b"{\"type\":\"MODI",
            Self::Protobuf => b"\0\0\0\x40\x0a\x08MODI",
        }
    }
}

/// A length as protobuf has it.
fn length(mut length: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while length >= 0x80 {
        bytes.push(u8::try_from(length & 0x7f).unwrap() | 0x80);
        length >>= 7;
    }
    bytes.push(u8::try_from(length).unwrap());
    bytes
}

impl ApiServer {
    /// Knows no protobuf.
    pub(crate) fn speak_json(&self) {
        self.change(|state| state.faults.json_only = true);
    }

    /// Sends an event of a Service with these bytes in the place of it, on the watches of a path; see `send_line`.
    pub(crate) fn send_bytes(&self, path: &str, bytes: &[u8]) {
        let line = (path.to_owned(), bytes.to_vec());
        self.change(|state| state.odd_lines.push(line));
    }
}

#[test]
fn a_long_event_is_as_long_as_it_is_to_be() {
    let event = serde_json::json!({"type": "BOOKMARK", "object": {"filler": "x".repeat(1900)}});
    let written = Format::Protobuf.write_event(&event, "Service", "v1");
    assert!((1900..2000).contains(&written.len()), "{}", written.len());
}
