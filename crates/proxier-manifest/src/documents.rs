//! Bytes to documents to values.

use serde_json::Value;

/// How many nodes aliases may add to a document at the most: a YAML document of a few lines can otherwise
/// stand for billions.
pub const MAX_ALIAS_EVENTS: usize = 100_000;

/// One document of a stream.
pub(super) enum Document {
    Value(Value),
    Unreadable(String),
}

/// Calls `found` with each document and its number, from 1. Empty documents do not count.
///
/// A stream is split at its `---` lines before anything is parsed, as kubectl does it, so that one broken
/// document leaves the others readable.
pub(super) fn each(bytes: &[u8], mut found: impl FnMut(usize, Document)) {
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text.strip_prefix('\u{feff}').unwrap_or(text),
        Err(error) => {
            let reason = format!("is not text: byte {} is not UTF-8", error.valid_up_to());
            return found(1, Document::Unreadable(reason));
        }
    };
    if text.trim_start().starts_with(['{', '[']) {
        return each_json(text, found);
    }
    let mut number = 0;
    for (first_line, part) in split(text) {
        // Comments and directives alone are no document.
        if part
            .lines()
            .map(str::trim_start)
            .all(|line| line.is_empty() || line.starts_with(['#', '%']))
        {
            continue;
        }
        number += 1;
        found(number, yaml(part, first_line));
    }
}

fn each_json(text: &str, mut found: impl FnMut(usize, Document)) {
    let values = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    for (index, value) in values.enumerate() {
        let document = match value {
            Ok(value) => Document::Value(value),
            // What is YAML in flow style, or JSON with comments, is still YAML.
            Err(_) if index == 0 => yaml(text, 1),
            Err(error) => Document::Unreadable(format!("is no JSON: {error}")),
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

fn yaml(text: &str, first_line: usize) -> Document {
    let budget = serde_saphyr::budget! {
        max_events: usize::MAX,
        max_nodes: usize::MAX,
        max_total_scalar_bytes: usize::MAX,
        max_depth: 64,
    };
    let options = serde_saphyr::options! {
        budget: budget,
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: MAX_ALIAS_EVENTS },
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
            Document::Unreadable(match line {
                Some(line) => format!("is no YAML: line {line}: {reason}"),
                None => format!("is no YAML: {reason}"),
            })
        }
    }
}

/// The items, if the value is a list of objects: kind `List`, or one such as `ServiceList`.
pub(super) fn into_items(value: Value) -> Result<Vec<Value>, Value> {
    let is_list = value
        .get("kind")
        .and_then(Value::as_str)
        .is_some_and(|kind| {
            kind.ends_with("List") && !matches!(value.get("items"), Some(Value::Object(_)))
        });
    match value {
        Value::Object(mut object) if is_list => Ok(match object.remove("items") {
            Some(Value::Array(items)) => items,
            _ => Vec::new(),
        }),
        other => Err(other),
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
        // Noise of letters may be a long word, but it is no object.
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
