//! Bytes to documents to values.

use std::borrow::Cow;

use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_saphyr::DuplicateKeyPolicy;

use crate::text::printable;

/// How many nodes aliases may add to a document at the most: a YAML document of a few lines can otherwise
/// stand for billions.
pub const MAX_ALIAS_EVENTS: usize = 100_000;
/// How deep a YAML document may nest.
const MAX_DEPTH: usize = 64;

/// One document of a stream.
pub(super) enum Document<T = Value> {
    Value(T),
    Unreadable(String),
}

/// Calls `found` with each document and its number, from 1. Empty documents do not count. A key that is
/// there twice makes a YAML document unreadable.
pub(super) fn each(bytes: &[u8], found: impl FnMut(usize, Document)) {
    each_with(bytes, DuplicateKeyPolicy::Error, found);
}

/// The same for documents of any type, and any way of dealing with a key that is there twice.
///
/// A stream is split at its `---` lines before anything is parsed, as kubectl does it, so that one broken
/// document leaves the others readable.
pub(super) fn each_with<T: DeserializeOwned>(
    bytes: &[u8],
    duplicate_keys: DuplicateKeyPolicy,
    mut found: impl FnMut(usize, Document<T>),
) {
    let text = match text(bytes) {
        Ok(text) => text,
        Err(reason) => return found(1, Document::Unreadable(reason)),
    };
    if text.trim_start().starts_with(['{', '[']) {
        return each_json(&text, duplicate_keys, found);
    }
    let mut number = 0;
    for (first_line, part) in split(&text) {
        // Comments and directives alone are not a document.
        if part
            .lines()
            .map(str::trim_start)
            .all(|line| line.is_empty() || line.starts_with(['#', '%']))
        {
            continue;
        }
        number += 1;
        found(number, yaml(part, first_line, duplicate_keys));
    }
}

/// The text without its byte order mark: UTF-8, or UTF-16 of either byte order, as PowerShell writes it when
/// output is redirected to a file.
fn text(bytes: &[u8]) -> Result<Cow<'_, str>, String> {
    let utf16 = |order: &str, bytes: &[u8], unit: fn([u8; 2]) -> u16| {
        let (pairs, rest) = bytes.as_chunks::<2>();
        if !rest.is_empty() {
            return Err(format!(
                "is not text: UTF-16 {order} with an odd number of bytes"
            ));
        }
        let units: Vec<u16> = pairs.iter().map(|pair| unit(*pair)).collect();
        String::from_utf16(&units)
            .map(Cow::Owned)
            .map_err(|_| format!("is not text: invalid UTF-16 {order}"))
    };
    if let Some(rest) = bytes.strip_prefix(&[0xff, 0xfe]) {
        return utf16("little-endian", rest, u16::from_le_bytes);
    }
    if let Some(rest) = bytes.strip_prefix(&[0xfe, 0xff]) {
        return utf16("big-endian", rest, u16::from_be_bytes);
    }
    match str::from_utf8(bytes) {
        Ok(text) => Ok(text.strip_prefix('\u{feff}').unwrap_or(text).into()),
        Err(error) => Err(format!(
            "is not text: byte {} is not UTF-8",
            error.valid_up_to()
        )),
    }
}

fn each_json<T: DeserializeOwned>(
    text: &str,
    duplicate_keys: DuplicateKeyPolicy,
    mut found: impl FnMut(usize, Document<T>),
) {
    let values = serde_json::Deserializer::from_str(text).into_iter::<T>();
    for (index, value) in values.enumerate() {
        let document = match value {
            Ok(value) => Document::Value(value),
            // What is YAML in flow style, or JSON with comments, is still YAML.
            Err(_) if index == 0 => yaml(text, 1, duplicate_keys),
            Err(error) => {
                let error = error.to_string();
                Document::Unreadable(format!("is not JSON: {}", printable(&error)))
            }
        };
        found(index + 1, document);
    }
}

/// The documents of a YAML stream, each with the number of its first line, from 1.
fn split(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut rest = Some(text);
    let mut line = 1;
    std::iter::from_fn(move || {
        let text = rest?;
        let first = line;
        let mut at = 0;
        for whole in text.split_inclusive('\n') {
            line += 1;
            if let Some(after) = separator(whole) {
                let (part, tail) = text.split_at(at);
                // What follows on the line of the separator belongs to the next document.
                rest = tail.get(after..);
                line -= 1;
                return Some((first, part));
            }
            at += whole.len();
        }
        rest = None;
        Some((first, text))
    })
}

/// How long the separator is that a line starts with, where it does.
fn separator(line: &str) -> Option<usize> {
    let after = line.strip_prefix("---")?;
    (after.is_empty() || after.starts_with([' ', '\t', '\r', '\n'])).then_some(3)
}

fn yaml<T: DeserializeOwned>(
    text: &str,
    first_line: usize,
    duplicate_keys: DuplicateKeyPolicy,
) -> Document<T> {
    let budget = serde_saphyr::budget! {
        max_events: usize::MAX,
        max_nodes: usize::MAX,
        max_total_scalar_bytes: usize::MAX,
        max_depth: MAX_DEPTH,
    };
    let options = serde_saphyr::options! {
        budget: budget,
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: MAX_ALIAS_EVENTS },
        duplicate_keys: duplicate_keys,
        with_snippet: false,
        // As kubectl has it, `y` is a name and not a truth.
        strict_booleans: true,
    };
    match serde_saphyr::from_str_with_options(text, options) {
        Ok(value) => Document::Value(value),
        Err(error) => {
            let line = error
                .location()
                .map(|at| first_line + usize::try_from(at.line()).unwrap_or(1).max(1) - 1);
            let reason = error.without_snippet().to_string();
            let reason = printable(&reason);
            Document::Unreadable(match line {
                Some(line) => format!("is not YAML: line {line}: {reason}"),
                None => format!("is not YAML: {reason}"),
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn documents(text: &str) -> Vec<Result<Value, String>> {
        let mut all = Vec::new();
        each(text.as_bytes(), |number, document| {
            assert_eq!(number, all.len() + 1);
            all.push(match document {
                Document::Value(value) => Ok(value),
                Document::Unreadable(reason) => Err(reason),
            });
        });
        all
    }

    #[test]
    fn streams_of_both_kinds_are_split() {
        let yaml = documents("# nothing\n---\na: 1\n---\n\n--- # c\nb: 2\n---\n");
        assert_eq!(
            yaml,
            [
                Ok(serde_json::json!({"a": 1})),
                Ok(serde_json::json!({"b": 2}))
            ]
        );
        let json = documents("{\"a\": 1}\n{\"b\": 2} ");
        assert_eq!(json, yaml);
        assert_eq!(
            documents("{a: 1} # flow"),
            [Ok(serde_json::json!({"a": 1}))]
        );
        assert_eq!(documents(""), []);
    }

    #[test]
    fn utf_16_of_both_byte_orders_is_read() {
        let text = "a: Grüße 世界 \u{1f600}\r\n---\r\nb: 2\r\n";
        let expected = documents(text);
        let units: Vec<u16> = "\u{feff}"
            .encode_utf16()
            .chain(text.encode_utf16())
            .collect();
        let orders: [fn(u16) -> [u8; 2]; 2] = [u16::to_le_bytes, u16::to_be_bytes];
        for order in orders {
            let mut bytes: Vec<u8> = units.iter().flat_map(|unit| order(*unit)).collect();
            let mut all = Vec::new();
            each(&bytes, |_, document| {
                if let Document::Value(value) = document {
                    all.push(Ok(value));
                }
            });
            assert_eq!(all, expected);
            bytes.pop();
            each(&bytes, |number, document| {
                assert!(number == 1 && matches!(document, Document::Unreadable(_)));
            });
        }
    }

    #[test]
    fn nesting_is_bounded() {
        for text in [
            "[".repeat(1 << 20),
            "{a: ".repeat(1 << 20),
            "- ".repeat(1 << 20),
        ] {
            let all = documents(&text);
            assert!(all.len() == 1 && all[0].is_err());
            assert!(all[0].as_ref().unwrap_err().len() < 1000);
        }
    }

    #[test]
    fn one_broken_document_leaves_the_others() {
        let all = documents("a: 1\n---\nb: [1,\n---\nc: 3\n");
        assert_eq!(all.len(), 3);
        assert!(
            all[1].as_ref().unwrap_err().contains("line"),
            "{:?}",
            all[1]
        );
        assert_eq!(all[2], Ok(serde_json::json!({"c": 3})));
    }

    #[test]
    fn an_exploding_document_is_refused() {
        let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
        for n in 1..12 {
            let uses = vec![format!("*a{}", n - 1); 9].join(", ");
            text += &format!("a{n}: &a{n} [{uses}]\n");
        }
        let all = documents(&text);
        assert!(all[0].is_err());
    }

    #[test]
    fn garbage_is_refused_whatever_its_size() {
        let mut seed = 1u32;
        let mut noise = || {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 24) as u8
        };
        let bytes: Vec<u8> = (0..1 << 20).map(|_| noise()).collect();
        let mut refused = 0;
        each(&bytes, |_, document| {
            refused += usize::from(matches!(document, Document::Unreadable(_)));
        });
        assert!(refused > 0);
        // Random letters may be a long word, but not an object.
        let text: String = (0..1 << 20)
            .map(|_| char::from(b' ' + noise() % 95))
            .collect();
        assert!(
            documents(&text)
                .iter()
                .all(|d| !matches!(d, Ok(Value::Object(_))))
        );
    }
}
