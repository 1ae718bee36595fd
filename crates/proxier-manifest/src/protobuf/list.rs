//! A list, read while it arrives.

use prost::Message;
use prost::bytes::{Buf, Bytes, BytesMut};

use super::envelope::MAGIC;
use super::event::Status;
use super::messages::{ListMeta, TypeMeta};
use super::object::EncodedObject;
use super::wire::{self, Key, Length};
use crate::list::{List, ListError, ListKind};

/// How many bytes the type, the list's metadata or a Status may have.
const HEAD: usize = 64 << 10;

/// Reads a list piece by piece: [`push`](Self::push) what arrived, take items with [`next`](Self::next) until there is none,
/// and [`finish`](Self::finish) at the end.
///
/// It holds no more than what was pushed and not taken: one item, if what arrives is pushed in small pieces.
#[derive(Debug)]
pub struct ListReader {
    asked: ListKind,
    max_item: usize,
    buffer: BytesMut,
    /// The item that was taken last.
    item: Bytes,
    place: Place,
    /// How many bytes to pass over.
    skip: u64,
    found: TypeMeta,
    metadata: ListMeta,
    has_list: bool,
}

/// Where in the list the buffer begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// At the first bytes.
    Start,
    /// In the envelope.
    Envelope,
    /// In the list itself, which has so many bytes more.
    List(u64),
}

impl ListReader {
    /// A reader of a list of that kind, of whose items none has more than `max_item` bytes.
    #[must_use]
    pub fn new(asked: ListKind, max_item: usize) -> Self {
        Self {
            asked,
            max_item,
            buffer: BytesMut::new(),
            item: Bytes::new(),
            place: Place::Start,
            skip: 0,
            found: TypeMeta::default(),
            metadata: ListMeta::default(),
            has_list: false,
        }
    }

    /// Adds bytes that arrived.
    pub fn push(&mut self, mut bytes: &[u8]) {
        // What is passed over need not be kept.
        if self.buffer.is_empty() && self.skip > 0 {
            let skipped = usize::try_from(self.skip)
                .unwrap_or(usize::MAX)
                .min(bytes.len());
            bytes = bytes.get(skipped..).unwrap_or_default();
            self.skip -= skipped as u64;
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// The next item; `None`: more bytes are needed, or this is the end.
    ///
    /// # Errors
    /// [`ListError`] where it is not the list that was asked for. What is wrong with an item is found when that is read.
    #[allow(clippy::should_implement_trait, reason = "None is not the end")]
    pub fn next(&mut self) -> Result<Option<EncodedObject<'_>>, ListError> {
        if !self.take_item()? {
            return Ok(None);
        }
        Ok(Some(EncodedObject::item(self.asked, &self.item)))
    }

    /// Takes the next item; whether there is one.
    fn take_item(&mut self) -> Result<bool, ListError> {
        loop {
            if !self.skipped() {
                return Ok(false);
            }
            match self.place {
                Place::Start => {
                    let Some(start) = self.buffer.get(..MAGIC.len()) else {
                        return Ok(false);
                    };
                    if start != MAGIC {
                        return Err(malformed("it does not begin with the bytes k8s\\0"));
                    }
                    self.buffer.advance(MAGIC.len());
                    self.place = Place::Envelope;
                }
                Place::Envelope => {
                    if !self.read_envelope()? {
                        return Ok(false);
                    }
                }
                Place::List(0) => self.place = Place::Envelope,
                Place::List(left) => {
                    let Some((key, value)) = self.field(Some(left), self.max_item)? else {
                        return Ok(false);
                    };
                    match (key.field, value) {
                        (1, Some(value)) => self.metadata = decode(value)?,
                        (2, Some(value)) => {
                            self.item = value;
                            return Ok(true);
                        }
                        _ => {}
                    }
                }
            }
        }
    }

    /// Checks that this is the end, and that the list is the one asked for. Its items were taken before.
    ///
    /// # Errors
    /// [`ListError`] with what is missing or different.
    pub fn finish(mut self) -> Result<List<()>, ListError> {
        let open = self.take_item()? || self.skip > 0 || !self.buffer.is_empty();
        if open || self.place != Place::Envelope {
            return Err(malformed("it breaks off"));
        }
        if !self.has_list {
            self.check_type()?;
            return Err(ListError::NoItems);
        }
        let filled = |text: String| Some(text.into_boxed_str()).filter(|text| !text.is_empty());
        Ok(List {
            resource_version: filled(self.metadata.resource_version)
                .ok_or(ListError::NoResourceVersion)?,
            continue_token: filled(self.metadata.continue_token),
            items: Vec::new(),
        })
    }

    /// Passes over what is to be passed over; whether that is done.
    fn skipped(&mut self) -> bool {
        let skipped = usize::try_from(self.skip)
            .unwrap_or(usize::MAX)
            .min(self.buffer.len());
        self.buffer.advance(skipped);
        self.skip -= skipped as u64;
        self.skip == 0
    }

    /// A field of the envelope; whether it was there.
    fn read_envelope(&mut self) -> Result<bool, ListError> {
        let Some(key) = wire::key(&self.buffer).map_err(|_| malformed("it has no field here"))?
        else {
            return Ok(false);
        };
        if let (2, true, Length::Of(length)) = (key.field, key.is_delimited, key.length) {
            if self.found.kind == "Status" {
                let Some((_, Some(value))) = self.field(None, HEAD)? else {
                    return Ok(false);
                };
                return Err(status(&value));
            }
            self.check_type()?;
            self.buffer.advance(key.size);
            self.place = Place::List(length);
            self.has_list = true;
            return Ok(true);
        }
        let Some((key, value)) = self.field(None, HEAD)? else {
            return Ok(false);
        };
        match (key.field, value) {
            (1, Some(value)) => self.found = decode(value)?,
            (3, Some(encoding)) if !encoding.is_empty() => {
                return Err(malformed("its content is encoded"));
            }
            _ => {}
        }
        Ok(true)
    }

    fn check_type(&self) -> Result<(), ListError> {
        let TypeMeta { api_version, kind } = &self.found;
        let found = |text: &str| Some(text.into()).filter(|_| !text.is_empty());
        if kind != self.asked.kind() {
            return Err(ListError::Kind(found(kind)));
        }
        if api_version != self.asked.api_version() {
            return Err(ListError::ApiVersion(found(api_version)));
        }
        Ok(())
    }

    /// The field at the beginning, with its bytes where they are wanted; others are passed over. `None`: it is not whole.
    fn field(
        &mut self,
        left: Option<u64>,
        most: usize,
    ) -> Result<Option<(Key, Option<Bytes>)>, ListError> {
        let no_field = |_| malformed("it has no field here");
        let Some(key) = wire::key(&self.buffer).map_err(no_field)? else {
            return match left {
                // A key may not be longer than what it is in.
                Some(left) if self.buffer.len() as u64 >= left => Err(malformed("a field is cut")),
                _ => Ok(None),
            };
        };
        let behind = self.buffer.get(key.size..).unwrap_or_default();
        let length = match key.length {
            Length::Of(length) => length,
            Length::Varint => match wire::varint(behind).map_err(no_field)? {
                Some((_, size)) => size as u64,
                None => return Ok(None),
            },
        };
        let whole = length.saturating_add(key.size as u64);
        if let Some(left) = left {
            let rest = left.checked_sub(whole);
            let rest = rest.ok_or_else(|| malformed("a field is longer than the list"))?;
            if !(key.is_delimited && key.field <= 2) {
                self.place = Place::List(rest);
            }
        }
        if !key.is_delimited || key.field > 3 || (left.is_some() && key.field > 2) {
            self.buffer.advance(key.size);
            self.skip = length;
            return Ok(Some((key, None)));
        }
        let length = usize::try_from(length)
            .ok()
            .filter(|length| *length <= most);
        let length =
            length.ok_or_else(|| malformed(&format!("a field has more than {most} bytes")))?;
        if behind.len() < length {
            return Ok(None);
        }
        if let Some(left) = left {
            self.place = Place::List(left - whole);
        }
        self.buffer.advance(key.size);
        Ok(Some((key, Some(self.buffer.split_to(length).freeze()))))
    }
}

fn malformed(reason: &str) -> ListError {
    ListError::Malformed(reason.into())
}

fn decode<M: Message + Default>(bytes: Bytes) -> Result<M, ListError> {
    M::decode(bytes).map_err(|error| malformed(&error.to_string()))
}

fn status(bytes: &[u8]) -> ListError {
    match Status::bare(bytes) {
        Ok(status) => {
            let message = [status.message, status.reason];
            let message = message.into_iter().find(|text| !text.is_empty());
            ListError::Status {
                code: Some(status.code).filter(|code| *code != 0),
                message: message.unwrap_or_else(|| "it has no message".into()).into(),
            }
        }
        Err(error) => malformed(&error.to_string()),
    }
}
