//! Texts from outside, made fit to be shown.

use std::borrow::Cow;
use std::fmt::Write;

/// How many bytes of a text from outside are shown.
const LIMIT: usize = 512;

/// Whether a character could forge a line or show a text in another order than it has: control characters, Unicode's
/// line separators and its marks of direction.
fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{2028}' | '\u{2029}' | '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}'
        )
}

/// A text from outside as it may be shown: in one line, with control characters and marks of direction escaped, and
/// cut after 512 bytes with a count of the rest.
#[must_use]
pub fn printable(text: &str) -> Cow<'_, str> {
    printable_within(text, LIMIT, &[])
}

/// The same, cut after `limit` bytes. The characters in `keep` are not escaped: the escape character, for one, in a text
/// that the program colours itself.
#[must_use]
pub fn printable_within<'a>(text: &'a str, limit: usize, keep: &[char]) -> Cow<'a, str> {
    let is_unsafe = |c: char| is_unsafe(c) && !keep.contains(&c);
    if text.len() <= limit && !text.contains(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::new();
    for (at, c) in text.char_indices() {
        if at + c.len_utf8() > limit {
            // Writing to a String does not fail.
            let _ = write!(shown, "… ({} bytes more)", text.len() - at);
            break;
        }
        match c {
            c if !is_unsafe(c) => shown.push(c),
            '\n' => shown.push_str("\\n"),
            '\r' => shown.push_str("\\r"),
            '\t' => shown.push_str("\\t"),
            c => shown.extend(c.escape_unicode()),
        }
    }
    Cow::Owned(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_and_marks_of_direction_are_escaped() {
        let text = "a\nb\rc\0d\u{202e}e\u{1b}[31mf\u{2028}g\u{85}h\u{2066}i\u{200f}";
        assert_eq!(
            printable(text),
            "a\\nb\\rc\\u{0}d\\u{202e}e\\u{1b}[31mf\\u{2028}g\\u{85}h\\u{2066}i\\u{200f}"
        );
        assert!(matches!(printable("Grüße, 世界"), Cow::Borrowed(_)));
        assert_eq!(
            printable_within("\u{1b}[31m\n", 1000, &['\u{1b}']),
            "\u{1b}[31m\\n"
        );
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        assert_eq!(printable_within("äöü", 3, &[]), "ä… (4 bytes more)");
        assert_eq!(printable_within("abc", 3, &[]), "abc");
        let shown = printable_within(&"x".repeat(40_000_000), 4096, &[]).into_owned();
        assert!(shown.len() < 4200, "{}", shown.len());
        let text = format!("{}äb", "x".repeat(511));
        assert_eq!(
            printable(&text),
            format!("{}… (3 bytes more)", "x".repeat(511))
        );
        let text = "y".repeat(512);
        assert_eq!(printable(&text), text);
        assert!(printable(&"\0".repeat(1 << 20)).len() < 4096);
    }
}
