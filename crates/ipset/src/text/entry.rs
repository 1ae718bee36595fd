//! Entries from text.

use crate::model::parse_mark;
use crate::text::Tokens;
use crate::{Counters, Element, Entry, EntryOptions, Error, Position, SetName, SetType};

/// Reads what [`Entry`] prints, for a set of `set_type`.
pub(crate) fn parse(set_type: &SetType, tokens: &mut Tokens<'_>) -> Result<Entry, Error> {
    let mut element = Element::parse(set_type, tokens.require("an element")?)?;
    let mut options = EntryOptions::default();
    while let Some(word) = tokens.next()? {
        match word {
            "timeout" => options.timeout = Some(tokens.number("timeout in seconds")?),
            "nomatch" => options.nomatch = true,
            "wildcard" => match &mut element {
                Element::NetIface(_, interface) => interface.wildcard = true,
                _ => {
                    return Err(Error::token(
                        "option of this type",
                        word,
                        "only hash:net,iface has it",
                    ));
                }
            },
            "packets" => counters(&mut options).packets = tokens.number("number of packets")?,
            "bytes" => counters(&mut options).bytes = tokens.number("number of bytes")?,
            "comment" => options.comment = Some(tokens.require("a comment")?.into()),
            "skbmark" => {
                (options.skbinfo.mark, options.skbinfo.mark_mask) =
                    skbmark(tokens.require("a mark")?)?;
            }
            "skbprio" => options.skbinfo.priority = skbprio(tokens.require("a traffic class")?)?,
            "skbqueue" => options.skbinfo.queue = tokens.number("queue")?,
            "before" => {
                options.position = Some(Position::Before(SetName::new(tokens.require("a set")?)?));
            }
            "after" => {
                options.position = Some(Position::After(SetName::new(tokens.require("a set")?)?));
            }
            "-exist" | "-!" => {}
            _ => {
                return Err(Error::token(
                    "option of an entry",
                    word,
                    "see ipset(8) for those there are",
                ));
            }
        }
    }
    Ok(Entry::new(element).with_options(options))
}

fn counters(options: &mut EntryOptions) -> &mut Counters {
    options.counters.get_or_insert_default()
}

/// `MARK` or `MARK/MASK`.
fn skbmark(text: &str) -> Result<(u32, u32), Error> {
    match text.split_once('/') {
        Some((mark, mask)) => Ok((parse_mark(mark)?, parse_mark(mask)?)),
        None => Ok((parse_mark(text)?, u32::MAX)),
    }
}

/// `MAJOR:MINOR`, both hexadecimal.
fn skbprio(text: &str) -> Result<u32, Error> {
    let half = |digits: &str| -> Option<u32> {
        let plain = !digits.starts_with('+');
        plain
            .then(|| u16::from_str_radix(digits, 16).ok())
            .flatten()
            .map(u32::from)
    };
    text.split_once(':')
        .and_then(|(major, minor)| Some(half(major)? << 16 | half(minor)?))
        .ok_or_else(|| {
            Error::token(
                "traffic class",
                text,
                "give MAJOR:MINOR, both hexadecimal and 16 bits",
            )
        })
}
