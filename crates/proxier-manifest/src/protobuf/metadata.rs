//! The metadata of an object (`meta.v1.ObjectMeta`).

use super::envelope::Malformed;
use super::fields::{Field, fields};
use crate::borrowed::{Chosen, Loose};
use crate::objects::{Annotations, FOR_WATCHES, Labels, Metadata, Timestamp};

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
    /// From the first label or annotation on.
    entries: &'a [u8],
}

impl<'a> EncodedMetadata<'a> {
    pub(super) fn decode(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut metadata = Self::default();
        let mut fields = fields(bytes);
        let mut rest = fields.rest();
        while let Some(field) = fields.next() {
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
                LABELS | ANNOTATIONS => {
                    field.bytes()?;
                    if metadata.entries.is_empty() {
                        metadata.entries = rest;
                    }
                }
                _ => {}
            }
            rest = fields.rest();
        }
        Ok(metadata)
    }

    /// The annotation of that key.
    pub(super) fn annotation(&self, key: &str) -> Option<&'a [u8]> {
        let found = self
            .entries()
            .filter(|entry| entry.of == ANNOTATIONS && entry.key == key.as_bytes());
        found.last().map(|entry| entry.value)
    }

    /// Labels and annotations.
    fn entries(&self) -> impl Iterator<Item = Entry<'a>> {
        let all = fields(self.entries).filter_map(Result::ok);
        all.filter_map(|field| match field.number {
            LABELS | ANNOTATIONS => Entry::decode(field.number, field.bytes().ok()?),
            _ => None,
        })
    }
}

/// A label or an annotation.
struct Entry<'a> {
    /// The number of the field.
    of: u64,
    key: &'a [u8],
    value: &'a [u8],
}

impl<'a> Entry<'a> {
    /// `None`: it has no key.
    fn decode(of: u64, bytes: &'a [u8]) -> Option<Self> {
        let (mut key, mut value) = (None, None);
        for field in fields(bytes).map_while(Result::ok) {
            let part = match field.number {
                1 => &mut key,
                2 => &mut value,
                _ => continue,
            };
            if let (None, Ok(bytes)) = (&part, field.bytes()) {
                *part = Some(bytes);
            }
        }
        Some(Self {
            of,
            key: key?,
            value: value.unwrap_or_default(),
        })
    }

    fn text(&self) -> Loose<'a> {
        Loose::Text(match str::from_utf8(self.value) {
            Ok(text) => text.into(),
            Err(_) => String::from_utf8_lossy(self.value).into_owned().into(),
        })
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
        let (mut labels, mut annotations) = (Labels::default(), Annotations::default());
        for entry in metadata.entries() {
            let place = match entry.of {
                LABELS => labels.place(entry.key),
                // Whoever watches asks for these by their keys.
                _ if FOR_WATCHES.iter().any(|key| key.as_bytes() == entry.key) => None,
                _ => annotations.place(entry.key),
            };
            if let Some(place) = place {
                *place = Some(entry.text());
            }
        }
        Self {
            name: filled(metadata.name),
            namespace: filled(metadata.namespace),
            creation_timestamp: metadata.created.map(Timestamp::Seconds),
            deletion_timestamp: None,
            resource_version: filled(metadata.resource_version),
            labels,
            annotations,
        }
    }
}
