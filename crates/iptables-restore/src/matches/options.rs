//! Parsing the options of a match or target.

use crate::word::Word;

/// A cursor over the options of one match. Each step gives `None` for what is not understood; the match is then kept
/// word by word.
#[derive(Clone)]
pub(crate) struct Options<'a> {
    words: std::slice::Iter<'a, Word>,
}

impl<'a> Options<'a> {
    pub(crate) fn new(words: &'a [Word]) -> Self {
        Self {
            words: words.iter(),
        }
    }

    /// The next option and whether `!` stands before it.
    pub(crate) fn next_option(&mut self) -> Option<(bool, &'a str)> {
        let word = self.words.next()?.bare()?;
        let (negated, option) = if word == "!" {
            (true, self.words.next()?.bare()?)
        } else {
            (false, word)
        };
        option.starts_with("--").then_some((negated, option))
    }

    /// The value of the option just read.
    pub(crate) fn value(&mut self) -> Option<&'a str> {
        self.words.next().map(Word::as_str)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.words.len() == 0
    }

    /// `None` if anything is left over.
    pub(crate) fn finish(self) -> Option<()> {
        self.is_empty().then_some(())
    }
}

/// Puts a value in its place unless one is there: an option given twice is not understood.
pub(crate) fn put<T>(place: &mut Option<T>, value: T) -> Option<()> {
    place.is_none().then(|| *place = Some(value))
}
