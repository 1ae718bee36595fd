//! Words of a line: how the tools split a line, and how they quote.

use std::fmt;

/// One argument of a rule, and whether it is written in double quotes.
///
/// Kept so that options this crate has no type for come out as they came in: `iptables-save` quotes the values of some
/// options whatever they hold (log prefixes, for one), and never those of others.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Word {
    text: String,
    quoted: bool,
}

impl Word {
    /// A word that is quoted only if it could not be read back otherwise.
    pub fn new(text: impl Into<String>) -> Self {
        let text = text.into();
        let quoted = must_quote(&text);
        Self { text, quoted }
    }

    /// A word in double quotes.
    pub fn quoted(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            quoted: true,
        }
    }

    /// A word quoted the way `iptables-save` quotes free text: unless it consists of letters, digits, `-` and `_` only.
    pub fn free_text(text: impl Into<String>) -> Self {
        let text = text.into();
        let safe = |b: u8| b.is_ascii_alphanumeric() || b"-_".contains(&b);
        let quoted = text.is_empty() || !text.bytes().all(safe);
        Self { text, quoted }
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

    /// The word `!`, or an option that starts the next part of a rule.
    pub(crate) fn bare_literal(text: &'static str) -> Self {
        Self {
            text: text.to_owned(),
            quoted: false,
        }
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
        f.write_str("\"")?;
        let mut rest = self.text.as_str();
        // The three characters xtables_save_string() escapes (iptables 1.8.9, libxtables/xtables.c).
        while let Some((before, from)) = rest
            .find(['"', '\\', '\''])
            .and_then(|at| rest.split_at_checked(at))
        {
            f.write_str(before)?;
            f.write_str("\\")?;
            let mut chars = from.chars();
            if let Some(c) = chars.next() {
                write!(f, "{c}")?;
            }
            rest = chars.as_str();
        }
        f.write_str(rest)?;
        f.write_str("\"")
    }
}

/// Words that would be split or lost.
fn must_quote(text: &str) -> bool {
    text.is_empty() || text.contains([' ', '\t', '\n', '"'])
}

/// Options that end the options of a match or target.
///
/// Of the rule's own options the short ones only: extensions have long ones of the same name (`-m policy --proto esp`).
const STRUCTURE: &[&str] = &[
    "-m", "--match", "-j", "--jump", "-g", "--goto", "-s", "-d", "-i", "-o", "-p", "-f", "-c",
];

/// Options whose value is any text or name, and may thus be one of those above: a comment `-g` is printed without quotes.
const TEXT_OPTIONS: &[&str] = &[
    "--comment",
    "--log-prefix",
    "--nflog-prefix",
    "--ulog-prefix",
    "--helper",
    "--nfacct-name",
    "--string",
    "--name",
    "--hashlimit-name",
    "--led-trigger-id",
    "--path",
    "--match-set",
    "--add-set",
    "--del-set",
    "--map-set",
];

/// Walks over the options of a match or target and knows values from options.
#[derive(Default)]
pub(crate) struct OptionWalk {
    in_value: bool,
}

impl OptionWalk {
    /// True if `word` comes next and is no part of these options any more.
    pub(crate) fn ends_at(&self, word: &Word) -> bool {
        !self.in_value && word.bare().is_some_and(|bare| STRUCTURE.contains(&bare))
    }

    /// Goes past a word.
    pub(crate) fn pass(&mut self, word: &Word) {
        self.in_value =
            !self.in_value && word.bare().is_some_and(|bare| TEXT_OPTIONS.contains(&bare));
    }

    /// Quotes those words that would end the options when read back, or take what follows them for their value.
    pub(crate) fn settle(mut words: Vec<Word>) -> Vec<Word> {
        let mut walk = Self::default();
        for word in &mut words {
            word.quoted |= walk.ends_at(word);
            walk.pass(word);
        }
        if let Some(last) = words.last_mut() {
            last.quoted |= walk.in_value;
        }
        words
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
    started: bool,
    quote_open: bool,
    escaped: bool,
}

impl Splitter {
    /// Takes the next line, without its newline.
    pub(crate) fn feed(&mut self, line: &str) {
        if self.quote_open {
            self.text.push('\n');
            self.escaped = false;
        }
        for c in line.chars() {
            if self.quote_open {
                match c {
                    _ if self.escaped => {
                        self.text.push(c);
                        self.escaped = false;
                    }
                    '\\' => self.escaped = true,
                    '"' => {
                        self.quote_open = false;
                        self.end_word(true);
                    }
                    _ => self.text.push(c),
                }
            } else {
                match c {
                    '"' => self.quote_open = true,
                    ' ' | '\t' => self.end_word(false),
                    _ => {
                        self.text.push(c);
                        self.started = true;
                    }
                }
            }
        }
        if !self.quote_open {
            self.end_word(false);
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
            self.words.push(Word {
                text: std::mem::take(&mut self.text),
                quoted,
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
        let bare = |text: &str| Word {
            text: text.to_owned(),
            quoted: false,
        };
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
            let words = OptionWalk::settle(words.iter().copied().map(Word::from).collect());
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
