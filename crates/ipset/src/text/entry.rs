//! Entries from text.

use crate::model::parse_number;
use crate::text::Words;
use crate::text::words::{once, option_name};
use crate::{
    Comment, Counters, Element, Entry, EntryOptions, Error, Position, SetName, SetType, SkbInfo,
};

/// Parses what [`Entry`] prints, of a set of `set_type`.
pub(crate) fn parse(set_type: &SetType, words: &mut Words<'_>) -> Result<Entry, Error> {
    let element = words.text("an element")?;
    let mut given = Given::default();
    let mut element = match (*set_type == SetType::LIST_SET, old_position(&element)) {
        (true, Some((member, position))) => {
            given.position = Some(position?);
            Element::Set(SetName::new(member)?)
        }
        _ => Element::parse(set_type, &element)?,
    };
    while let Some(word) = words.next()? {
        match (option_name(&word), &mut element) {
            (b"wildcard", Element::NetIface(_, interface)) => interface.wildcard = true,
            (b"wildcard", _) => {
                return Err(Error::token(
                    "an option of this type",
                    "wildcard",
                    "only `hash:net,iface` has it",
                ));
            }
            _ => given.option(&word, words)?,
        }
    }
    Ok(Entry::new(element).with_options(given.options()))
}

/// A member and its place as ipset before version 6 had them: `MEMBER,before,OTHER`.
fn old_position(text: &str) -> Option<(&str, Result<Position, Error>)> {
    if let Some((member, other)) = text.split_once(",before,") {
        return Some((member, SetName::new(other).map(Position::Before)));
    }
    let (member, other) = text.split_once(",after,")?;
    Some((member, SetName::new(other).map(Position::After)))
}

/// The options of an entry as far as they have been read.
#[derive(Default)]
struct Given {
    timeout: Option<u32>,
    nomatch: bool,
    packets: Option<u64>,
    bytes: Option<u64>,
    comment: Option<Comment>,
    mark: Option<(u32, u32)>,
    priority: Option<u32>,
    queue: Option<u16>,
    position: Option<Position>,
}

impl Given {
    fn option(&mut self, word: &[u8], words: &mut Words<'_>) -> Result<(), Error> {
        match option_name(word) {
            b"timeout" => once(
                &mut self.timeout,
                word,
                words.number("a timeout in seconds")?,
            ),
            b"nomatch" => {
                self.nomatch = true;
                Ok(())
            }
            b"packets" => once(
                &mut self.packets,
                word,
                words.number("a number of packets")?,
            ),
            b"bytes" => once(&mut self.bytes, word, words.number("a number of bytes")?),
            b"comment" => {
                let comment = words.require("a comment")?;
                once(&mut self.comment, word, Comment::from(&*comment))
            }
            b"skbmark" => once(&mut self.mark, word, skbmark(&words.text("a mark")?)?),
            b"skbprio" => once(
                &mut self.priority,
                word,
                skbprio(&words.text("a traffic class")?)?,
            ),
            b"skbqueue" => once(&mut self.queue, word, words.number("a queue")?),
            b"before" => {
                let other = SetName::new(&words.text("the name of a set")?)?;
                once(&mut self.position, word, Position::Before(other))
            }
            b"after" => {
                let other = SetName::new(&words.text("the name of a set")?)?;
                once(&mut self.position, word, Position::After(other))
            }
            _ => Err(Error::token(
                "an option of an entry",
                String::from_utf8_lossy(word),
                "see ipset(8) for the options of each type",
            )),
        }
    }

    fn options(self) -> EntryOptions {
        let counted = self.packets.is_some() || self.bytes.is_some();
        let (mark, mark_mask) = self.mark.unwrap_or_default();
        EntryOptions {
            timeout: self.timeout,
            nomatch: self.nomatch,
            counters: counted.then(|| Counters {
                packets: self.packets.unwrap_or_default(),
                bytes: self.bytes.unwrap_or_default(),
            }),
            comment: self.comment,
            skbinfo: SkbInfo {
                mark,
                mark_mask,
                priority: self.priority.unwrap_or_default(),
                queue: self.queue.unwrap_or_default(),
            },
            position: self.position,
        }
    }
}

/// `MARK` or `MARK/MASK`, both hexadecimal. `ipset` refuses a mark without `0x`, and ignores a mask
/// without it, so both are refused here.
fn skbmark(text: &str) -> Result<(u32, u32), Error> {
    let number = |part: &str| -> Option<u32> {
        let number = parse_number(part).filter(|_| part.starts_with("0x"))?;
        u32::try_from(number).ok()
    };
    let pair = match text.split_once('/') {
        Some((mark, mask)) => number(mark).zip(number(mask)),
        None => number(text).zip(Some(u32::MAX)),
    };
    pair.ok_or_else(|| {
        Error::token(
            "a mark",
            text,
            "give MARK or MARK/MASK, each in hexadecimal: 0x1f",
        )
    })
}

/// `MAJOR:MINOR`, both hexadecimal, with `0x` or without.
fn skbprio(text: &str) -> Result<u32, Error> {
    let half = |part: &str| -> Option<u32> {
        let digits = part.strip_prefix("0x").unwrap_or(part);
        let plain = digits.starts_with(|c: char| c.is_ascii_hexdigit());
        let half = u16::from_str_radix(digits, 16).ok().filter(|_| plain)?;
        Some(half.into())
    };
    text.split_once(':')
        .and_then(|(major, minor)| Some(half(major)? << 16 | half(minor)?))
        .ok_or_else(|| {
            Error::token(
                "a traffic class",
                text,
                "give MAJOR:MINOR, both hexadecimal and of 16 bits",
            )
        })
}
