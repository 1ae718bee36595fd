//! Texts of others, as they may be shown: API servers, kernels, tools and manifests can put anything into them.

use std::borrow::Cow;
use std::fmt::Write;

/// Whether a character could forge a line, or show a text in another order than it has: control characters, the line
/// separators of Unicode, and its marks that change the direction of writing.
fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{2028}' | '\u{2029}' | '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        )
}

/// A text in one line of at most about `limit` bytes: what is unsafe is escaped, and what is too much cut off, with a
/// count. `keep` is left alone, such as the escape character where we colour the text ourselves.
pub(crate) fn printable<'a>(text: &'a str, limit: usize, keep: &[char]) -> Cow<'a, str> {
    let dangerous = |c: char| is_unsafe(c) && !keep.contains(&c);
    let (head, rest) = text.split_at(text.floor_char_boundary_at(limit));
    if rest.is_empty() && !text.contains(dangerous) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(head.len());
    for c in head.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            c if dangerous(c) => out.extend(c.escape_unicode()),
            c => out.push(c),
        }
    }
    if !rest.is_empty() {
        // A String takes whatever is written.
        let _ = write!(out, "… ({} bytes more)", rest.len());
    }
    Cow::Owned(out)
}

trait FloorCharBoundary {
    fn floor_char_boundary_at(&self, index: usize) -> usize;
}

impl FloorCharBoundary for str {
    /// The last boundary between two characters up to that byte.
    fn floor_char_boundary_at(&self, index: usize) -> usize {
        (0..=index.min(self.len()))
            .rev()
            .find(|at| self.is_char_boundary(*at))
            .unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_forge_a_line_is_escaped() {
        let shown = printable("a\nb\rc\0d\u{202e}e\u{1b}[31mf\u{2028}g\u{85}", 1000, &[]);
        assert_eq!(
            shown,
            "a\\nb\\rc\\u{0}d\\u{202e}e\\u{1b}[31mf\\u{2028}g\\u{85}"
        );
        assert_eq!(
            printable("\u{1b}[31m\n", 1000, &['\u{1b}']),
            "\u{1b}[31m\\n"
        );
        assert!(matches!(
            printable("Grüße, 世界", 1000, &[]),
            Cow::Borrowed(_)
        ));
    }

    #[test]
    fn what_is_too_long_is_cut_between_characters() {
        assert_eq!(printable("äöü", 3, &[]), "ä… (4 bytes more)");
        assert_eq!(printable("abc", 3, &[]), "abc");
        let shown = printable(&"x".repeat(40_000_000), 4096, &[]).into_owned();
        assert!(shown.len() < 4200, "{}", shown.len());
    }
}
