//! Words of a line, and how the tools quote them.

mod options;
mod split;

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

pub(crate) use self::options::OptionWalk;
pub(crate) use self::split::Splitter;

/// One argument of a rule, and whether it is written in double quotes.
///
/// Kept so that options this crate has no type for come out as they came in: `iptables-save` quotes the values of some
/// options whatever they hold (log prefixes, for one), and never those of others.
///
/// Two words are equal if their text is and both or neither are quoted; which characters are escaped inside the quotes
/// does not count.
#[derive(Debug, Clone)]
pub struct Word {
    text: String,
    quoted: bool,
    /// What stood between the quotes, where it is not what [`Word::quoted`] would print: `-m string` does not escape an
    /// apostrophe.
    written: Option<Box<str>>,
}

impl Word {
    /// A word that is quoted only if it could not be read back otherwise.
    pub fn new(text: impl Into<String>) -> Self {
        let text = text.into();
        let quoted = must_quote(&text);
        Self {
            text,
            quoted,
            written: None,
        }
    }

    /// A word in double quotes.
    pub fn quoted(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            quoted: true,
            written: None,
        }
    }

    /// A word quoted the way `iptables-save` quotes free text: unless it consists of letters, digits, `-` and `_` only.
    pub fn free_text(text: impl Into<String>) -> Self {
        let text = text.into();
        let safe = |b: u8| b.is_ascii_alphanumeric() || b"-_".contains(&b);
        let quoted = text.is_empty() || !text.bytes().all(safe);
        Self {
            text,
            quoted,
            written: None,
        }
    }

    /// The text without quotes and escapes.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// True if it is written in double quotes.
    pub fn is_quoted(&self) -> bool {
        self.quoted
    }

    /// The text if the word stands there without quotes: options, `!`.
    pub(crate) fn bare(&self) -> Option<&str> {
        (!self.quoted).then_some(self.text.as_str())
    }

    /// A word that stands there without quotes: `!`, an option.
    pub(crate) fn bare_literal(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            quoted: false,
            written: None,
        }
    }

    /// As libxt_string of iptables 1.8.9 prints a pattern: always in quotes, apostrophes not escaped.
    fn pattern(text: String) -> Self {
        let written = text
            .contains('\'')
            .then(|| escaped(&text).replace("\\'", "'").into());
        Self {
            text,
            quoted: true,
            written,
        }
    }

    fn key(&self) -> (&str, bool) {
        (&self.text, self.quoted)
    }
}

impl PartialEq for Word {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Word {}

impl PartialOrd for Word {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Word {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}

impl Hash for Word {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}

impl From<&str> for Word {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.quoted {
            return f.write_str(&self.text);
        }
        match &self.written {
            Some(written) => write!(f, "\"{written}\""),
            None => write!(f, "\"{}\"", escaped(&self.text)),
        }
    }
}

/// With the three characters escaped that xtables_save_string() escapes (iptables 1.8.9, libxtables/xtables.c).
fn escaped(text: &str) -> Cow<'_, str> {
    let special = ['"', '\\', '\''];
    if !text.contains(special) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if special.contains(&c) {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    Cow::Owned(escaped)
}

/// Words that would be split or lost, or whose end would pass for that of a line.
fn must_quote(text: &str) -> bool {
    text.is_empty() || text.contains([' ', '\t', '\n', '\r', '"'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_as_save_does() {
        assert_eq!(Word::free_text("abc-1_2").to_string(), "abc-1_2");
        assert_eq!(Word::free_text("").to_string(), "\"\"");
        assert_eq!(Word::free_text("a.b").to_string(), "\"a.b\"");
        assert_eq!(
            Word::free_text(r#"it's a "test" \ x"#).to_string(),
            r#""it\'s a \"test\" \\ x""#
        );
        assert_eq!(Word::new("5/sec").to_string(), "5/sec");
        assert_eq!(Word::new("a b").to_string(), "\"a b\"");
        assert_eq!(Word::free_text("-g").to_string(), "-g");
    }
}
