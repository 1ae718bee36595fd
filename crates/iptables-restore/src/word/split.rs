//! Splits lines into words.

use super::{Word, escaped};
use crate::parse::Lines;
use crate::text::joined;

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
}
