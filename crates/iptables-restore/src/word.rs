//! Words of a line: how the tools split a line, and how they quote.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

use crate::parse::Lines;
use crate::rule::{exact_option, glued_option, is_foreign_option};
use crate::text::joined;

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

/// Words that would be split or lost.
fn must_quote(text: &str) -> bool {
    text.is_empty() || text.contains([' ', '\t', '\n', '"'])
}

/// Options whose value is any text or name, and may thus be one of those above: a comment `-g` is printed without quotes.
const TEXT_OPTIONS: &[&str] = &[
    "--comment",
    "--log-prefix",
    "--nflog-prefix",
    "--ulog-prefix",
    "--helper",
    "--nfacct-name",
    "--string",
    "--hex-string",
    "--name",
    "--rateest-name",
    "--rateest1",
    "--rateest2",
    "--label",
    "--genre",
    "--selctx",
    "--object-pinned",
    "--hashlimit-name",
    "--led-trigger-id",
    "--path",
    "--match-set",
    "--add-set",
    "--del-set",
    "--map-set",
];

/// Walks over the options of a match or target, and distinguishes values from options.
#[derive(Default)]
pub(crate) struct OptionWalk {
    /// The next word is the value of an option that takes any text.
    in_value: bool,
    /// The next word may be the value of an option.
    after_option: bool,
    /// The next word is a pattern of `-m string`, which is printed in a way of its own.
    in_pattern: bool,
}

impl OptionWalk {
    /// True if the next word is a value whatever it is.
    pub(crate) fn is_in_value(&self) -> bool {
        self.in_value
    }

    /// True if `word` comes next and is an option of the rule itself, which ends the options of the extension: `-j`,
    /// `--jump`, and `-jACCEPT` where it cannot be a value.
    pub(crate) fn ends_at(&self, word: &Word) -> bool {
        const SHORT: &[&str] = &["-m", "-j", "-g", "-s", "-d", "-i", "-o", "-p", "-f", "-c"];
        !self.in_value
            && word.bare().is_some_and(|bare| {
                SHORT.contains(&bare)
                    || exact_option(bare).is_some()
                    || (!self.after_option && glued_option(bare).is_some())
            })
    }

    /// Goes past a word.
    pub(crate) fn pass(&mut self, word: &Word) {
        let option = word
            .bare()
            .filter(|bare| !self.in_value && bare.starts_with("--"));
        self.in_value = option.is_some_and(|option| TEXT_OPTIONS.contains(&option));
        self.after_option = option.is_some();
        self.in_pattern = option == Some("--string");
    }

    /// The words of the extension `name` such that they read back as they are: splits `--option=value`, and quotes
    /// those that would end its options, be another extension's, or take what follows them for their value.
    pub(crate) fn settle(name: &str, is_chain: bool, words: Vec<Word>) -> Vec<Word> {
        let mut walk = Self::default();
        let mut settled = Vec::with_capacity(words.len());
        for mut word in words {
            let option = word
                .bare()
                .filter(|bare| !walk.in_value && bare.starts_with("--"))
                .and_then(|bare| bare.split_once('='))
                .filter(|(option, _)| exact_option(option).is_none())
                .map(|(option, value)| (Word::bare_literal(option), Word::new(value)));
            if let Some((option, value)) = option {
                settled.push(walk.settled(name, is_chain, option));
                word = value;
            }
            settled.push(walk.settled(name, is_chain, word));
        }
        if let Some(last) = settled.last_mut() {
            last.quoted |= walk.in_value || last.text == "!";
        }
        settled
    }

    fn settled(&mut self, name: &str, is_chain: bool, mut word: Word) -> Word {
        if self.in_pattern && name == "string" {
            word = Word::pattern(word.text);
        }
        word.quoted |= self.ends_at(&word)
            || (!self.in_value && is_foreign_option(&word.text, name, is_chain));
        self.pass(&word);
        word
    }
}

/// Splits lines into words as iptables-restore does (`add_param_to_argv`, iptables 1.8.9, iptables/xshared.c): a double
/// quote opens and closes, a closing one ends the word, a backslash escapes inside quotes only.
///
/// A quote may stay open at the end of a line: `iptables -m comment` takes a newline and `iptables-save` prints it raw.
#[derive(Debug, Default)]
pub(crate) struct Splitter {
    words: Vec<Word>,
    text: String,
    /// What stands between the quotes so far, escapes included.
    written: String,
    started: bool,
    quote_open: bool,
    escaped: bool,
}

impl Splitter {
    /// The words of `start` and, while a quote is open, of the lines after it; `None` if it is still open at their end.
    pub(crate) fn of_line(start: &str, lines: &mut Lines<'_>) -> Option<Vec<Word>> {
        let mut splitter = Self::default();
        splitter.feed(start);
        while splitter.is_open() {
            if lines.is_empty() {
                return None;
            }
            splitter.feed(lines.next_line());
        }
        Some(splitter.into_words())
    }

    /// Takes the next line, without its newline.
    pub(crate) fn feed(&mut self, line: &str) {
        if self.quote_open {
            self.text.push('\n');
            self.written.push('\n');
            self.escaped = false;
        }
        for c in line.chars() {
            if self.quote_open {
                self.quoted(c);
                continue;
            }
            match c {
                '"' => {
                    // `--option="value"`
                    let option = self.text.strip_suffix('=');
                    if let Some(option) = option.filter(|option| option.starts_with("--")) {
                        self.words.push(Word::bare_literal(option));
                        self.text.clear();
                    }
                    self.quote_open = true;
                    self.written.clear();
                    self.written.push_str(&escaped(&self.text));
                }
                ' ' | '\t' => self.end_word(false),
                _ => {
                    self.text.push(c);
                    self.started = true;
                }
            }
        }
        if !self.quote_open {
            self.end_word(false);
        }
    }

    /// A character between quotes.
    fn quoted(&mut self, c: char) {
        if c == '"' && !self.escaped {
            self.quote_open = false;
            self.end_word(true);
            return;
        }
        self.written.push(c);
        if c == '\\' && !self.escaped {
            self.escaped = true;
        } else {
            self.text.push(c);
            self.escaped = false;
        }
    }

    /// True while the next line continues a quoted word.
    pub(crate) fn is_open(&self) -> bool {
        self.quote_open
    }

    /// The words.
    pub(crate) fn into_words(self) -> Vec<Word> {
        self.words
    }

    fn end_word(&mut self, quoted: bool) {
        if quoted || self.started {
            let text = joined(std::mem::take(&mut self.text));
            let written = joined(std::mem::take(&mut self.written));
            let written = (quoted && escaped(&text) != written).then(|| written.into());
            self.words.push(Word {
                text,
                quoted,
                written,
            });
        }
        self.started = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(line: &str) -> Vec<Word> {
        let mut splitter = Splitter::default();
        splitter.feed(line);
        assert!(!splitter.is_open());
        splitter.into_words()
    }

    #[test]
    fn splits_as_the_tools_do() {
        let bare = |text: &str| Word::bare_literal(text);
        assert_eq!(split("  -s\t1.2.3.4  "), [bare("-s"), bare("1.2.3.4")]);
        assert_eq!(
            split(r#""it\'s a \"test\" \\ x""#),
            [Word::quoted(r#"it's a "test" \ x"#)]
        );
        assert_eq!(
            split(r#""" a"b c"d"#),
            [Word::quoted(""), Word::quoted("ab c"), bare("d")]
        );
        assert_eq!(split(r"a\ b"), [bare(r"a\"), bare("b")]);
        assert_eq!(split("'a b'"), [bare("'a"), bare("b'")]);
    }

    /// A quote between two bytes of one character is not kept, so they are read as that character.
    #[test]
    fn bytes_that_a_quote_kept_apart_are_joined() {
        let line = crate::text::from_bytes(b"-m a\xca\"\x88 b\" \xca\"\\\x88\"").into_owned();
        let words = split(&line);
        assert_eq!(words[1].as_str(), "a\u{288} b");
        assert_eq!(words[2].as_str(), "\u{288}");
        let printed: Vec<_> = words.iter().map(ToString::to_string).collect();
        let printed = printed.join(" ");
        let again = crate::text::from_bytes(&crate::text::to_bytes(&printed)).into_owned();
        assert_eq!(split(&again), words);
    }

    #[test]
    fn a_quoted_word_may_span_lines() {
        let mut splitter = Splitter::default();
        splitter.feed("\"new");
        assert!(splitter.is_open());
        splitter.feed("line\"");
        assert!(!splitter.is_open());
        assert_eq!(splitter.into_words(), [Word::quoted("new\nline")]);
    }

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

    #[test]
    fn words_that_would_be_taken_for_structure_are_quoted() {
        let settled = |words: &[&str]| {
            let words =
                OptionWalk::settle("x", false, words.iter().copied().map(Word::from).collect());
            words
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(" ")
        };
        assert_eq!(
            settled(&["--x", "-j", "--comment", "-g", "-m"]),
            "--x \"-j\" --comment -g \"-m\""
        );
        assert_eq!(
            settled(&["--comment", "--comment", "-g"]),
            "--comment --comment \"-g\""
        );
        assert_eq!(settled(&["--x", "--comment"]), "--x \"--comment\"");
    }
}
