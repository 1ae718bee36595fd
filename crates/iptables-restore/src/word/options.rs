//! The options of a match or target among the words of a rule: where they end, and what has to be quoted.

use super::Word;
use crate::rule::{exact_option, glued_option, is_foreign_option};

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
    /// The word before was `!`. Another `!` is then a value, not a negation.
    negated: bool,
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
        self.negated = !self.in_value && !self.negated && word.bare() == Some("!");
        self.in_value = option.is_some_and(|option| TEXT_OPTIONS.contains(&option));
        self.after_option = option.is_some();
        self.in_pattern = option == Some("--string");
    }

    /// The value that an equals sign joins to the option just passed. Alone it may look like an option or a negation; quotes
    /// keep it a value.
    pub(crate) fn joined_value(&self, value: impl Into<String>) -> Word {
        let mut word = Word::new(value);
        word.quoted |= !self.in_value && (word.text.starts_with("--") || word.text == "!");
        word
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
                .map(|(option, value)| (Word::bare_literal(option), value.to_owned()));
            if let Some((option, value)) = option {
                settled.push(walk.settled(name, is_chain, option));
                word = walk.joined_value(value);
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
        // At the end of a line it would pass for that of the line.
        word.quoted |= word.text.ends_with('\r');
        word.quoted |= self.negated && word.text == "!";
        word.quoted |= self.ends_at(&word)
            || (!self.in_value && is_foreign_option(&word.text, name, is_chain));
        self.pass(&word);
        word
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        assert_eq!(settled(&["--x=--y=z", "--v"]), "--x \"--y=z\" --v");
        assert_eq!(settled(&["--x=!", "--v"]), "--x \"!\" --v");
        assert_eq!(settled(&["--comment=--x"]), "--comment --x");
        assert_eq!(settled(&["--v", "!", "!", "--x"]), "--v ! \"!\" --x");
    }
}
