//! The metadata of an object (`meta.v1.ObjectMeta`).

use super::envelope::Malformed;
use super::fields::{Field, fields};
use super::wire;
use crate::borrowed::{Chosen, Loose};
use crate::objects::{Metadata, Timestamp};

/// A key's entries in the labels, and in the annotations: each has the key in its field 1, and the value in its field 2.
const LABELS: u64 = 11;
const ANNOTATIONS: u64 = 12;

/// What is read of the metadata. Labels and annotations are searched when one is asked for.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct EncodedMetadata<'a> {
    pub(super) name: &'a str,
    pub(super) namespace: &'a str,
    pub(super) uid: &'a str,
    pub(super) resource_version: &'a str,
    created: Option<i64>,
    pub(super) is_being_deleted: bool,
    bytes: &'a [u8],
}

impl<'a> EncodedMetadata<'a> {
    pub(super) fn decode(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut metadata = Self {
            bytes,
            ..Self::default()
        };
        for field in fields(bytes) {
            let field = field?;
            match field.number {
                1 => metadata.name = field.text()?,
                3 => metadata.namespace = field.text()?,
                5 => metadata.uid = field.text()?,
                6 => metadata.resource_version = field.text()?,
                8 => metadata.created = seconds(field)?.or(metadata.created),
                9 => {
                    seconds(field)?;
                    metadata.is_being_deleted = true;
                }
                LABELS | ANNOTATIONS => drop(field.bytes()?),
                _ => {}
            }
        }
        Ok(metadata)
    }

    /// The annotation of that key.
    pub(super) fn annotation(&self, key: &str) -> Option<&'a [u8]> {
        let entries = self.entries(ANNOTATIONS);
        let found = entries.filter(|(found, _)| *found == key.as_bytes());
        found.last().map(|(_, value)| value)
    }

    /// Keys and values of a map.
    fn entries(&self, number: u64) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        let all = fields(self.bytes).filter_map(Result::ok);
        let all = all.filter(move |field| field.number == number);
        all.filter_map(|field| {
            let entry = field.bytes().ok()?;
            let part = |number| wire::first(entry, number).and_then(|range| entry.get(range));
            Some((part(1)?, part(2).unwrap_or_default()))
        })
    }

    fn chosen<T: Chosen<'a>>(&self, number: u64) -> T {
        let mut chosen = T::default();
        for (key, value) in self.entries(number) {
            if let Some(place) = chosen.place(key) {
                let text = match str::from_utf8(value) {
                    Ok(text) => text.into(),
                    Err(_) => String::from_utf8_lossy(value).into_owned().into(),
                };
                *place = Some(Loose::Text(text));
            }
        }
        chosen
    }
}

/// A `meta.v1.Time`. Without seconds it is the null time.
fn seconds(field: Field<'_>) -> Result<Option<i64>, Malformed> {
    let mut seconds = None;
    for part in fields(field.bytes()?) {
        let part = part?;
        if part.number == 1 {
            seconds = Some(part.int64()?);
        }
    }
    Ok(seconds)
}

impl<'a> From<EncodedMetadata<'a>> for Metadata<'a> {
    fn from(metadata: EncodedMetadata<'a>) -> Self {
        // Go writes a text that is not set as an empty one.
        let filled = |text: &'a str| Some(text).filter(|text| !text.is_empty()).map(Into::into);
        Self {
            name: filled(metadata.name),
            namespace: filled(metadata.namespace),
            creation_timestamp: metadata.created.map(Timestamp::Seconds),
            deletion_timestamp: None,
            resource_version: filled(metadata.resource_version),
            labels: metadata.chosen(LABELS),
            annotations: metadata.chosen(ANNOTATIONS),
        }
    }
}
