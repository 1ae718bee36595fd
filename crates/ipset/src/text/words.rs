//! A line cut into words, as `ipset restore` cuts it.

use std::borrow::Cow;

use crate::Error;
use crate::model::{GlobalOption, parse_number};

/// The words of one line, without those that `ipset` takes as options wherever they stand (`-exist`,
/// `-quiet`, …).
///
/// Blanks separate words, but not between two `"`, which themselves are dropped: `a" b"c` is the word
/// `a bc`. A word with quotation marks is never such an option.
#[derive(Clone, Debug)]
pub(crate) struct Words<'a> {
    rest: &'a [u8],
    exist: bool,
}

/// A word without its quotation marks, and whether it had any.
type Cut<'a> = (Cow<'a, [u8]>, bool);

impl<'a> Words<'a> {
    pub(crate) fn new(line: &'a [u8]) -> Self {
        Self {
            rest: line,
            exist: false,
        }
    }

    /// Whether `-exist` was among the words so far.
    pub(crate) fn exist(&self) -> bool {
        self.exist
    }

    /// The next word, if there is one.
    pub(crate) fn next(&mut self) -> Result<Option<Cow<'a, [u8]>>, Error> {
        while let Some((word, quoted)) = self.cut()? {
            let option = GlobalOption::of(&word).filter(|_| !quoted);
            match option {
                None => return Ok(Some(word)),
                Some(GlobalOption::Exist) => self.exist = true,
                Some(GlobalOption::Output) => {}
                Some(GlobalOption::WithArgument) => {
                    return Err(Error::token(
                        "an option for a line of `ipset restore`",
                        String::from_utf8_lossy(&word),
                        "give it on the command line of `ipset`",
                    ));
                }
            }
        }
        Ok(None)
    }

    /// The next word, also one that is an option.
    fn cut(&mut self) -> Result<Option<Cut<'a>>, Error> {
        let blank = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
        let start = self.rest.iter().position(|byte| !blank(byte));
        let Some(line) = start.and_then(|start| self.rest.get(start..)) else {
            self.rest = &[];
            return Ok(None);
        };
        let (mut open, mut quoted) = (false, false);
        let end = line.iter().position(|byte| {
            if *byte == b'"' {
                (open, quoted) = (!open, true);
            }
            !open && blank(byte)
        });
        if open {
            return Err(Error::token(
                "a quoted text",
                String::from_utf8_lossy(line),
                "its closing `\"` is missing",
            ));
        }
        let (word, rest) = end
            .and_then(|end| line.split_at_checked(end))
            .unwrap_or((line, &[]));
        self.rest = rest;
        if !quoted {
            return Ok(Some((Cow::Borrowed(word), false)));
        }
        let inner = word
            .strip_prefix(b"\"")
            .and_then(|word| word.strip_suffix(b"\""))
            .filter(|inner| !inner.contains(&b'"'));
        let word = match inner {
            Some(inner) => Cow::Borrowed(inner),
            None => word.iter().copied().filter(|byte| *byte != b'"').collect(),
        };
        Ok(Some((word, true)))
    }

    /// The next word, which must be there.
    pub(crate) fn require(&mut self, expected: &'static str) -> Result<Cow<'a, [u8]>, Error> {
        self.next()?.ok_or(Error::Missing { expected })
    }

    /// The next word, which must be there and must be text.
    pub(crate) fn text(&mut self, expected: &'static str) -> Result<Cow<'a, str>, Error> {
        text(self.require(expected)?, expected)
    }

    /// The next word as a number.
    pub(crate) fn number<T>(&mut self, expected: &'static str) -> Result<T, Error>
    where
        T: TryFrom<u64>,
    {
        let word = self.text(expected)?;
        parse_number(&word)
            .and_then(|number| T::try_from(number).ok())
            .ok_or_else(|| {
                Error::token(
                    expected,
                    word,
                    "give a number that is not negative or too large",
                )
            })
    }

    /// That no word follows.
    pub(crate) fn end(&mut self) -> Result<(), Error> {
        match self.next()? {
            None => Ok(()),
            Some(word) => Err(Error::token(
                "expected",
                String::from_utf8_lossy(&word),
                "the line should end before it",
            )),
        }
    }
}

/// A word as text.
pub(crate) fn text<'a>(word: Cow<'a, [u8]>, expected: &'static str) -> Result<Cow<'a, str>, Error> {
    let not_utf8 =
        |bytes: &[u8]| Error::token(expected, String::from_utf8_lossy(bytes), "it is not UTF-8");
    match word {
        Cow::Borrowed(bytes) => std::str::from_utf8(bytes)
            .map(Cow::Borrowed)
            .map_err(|_| not_utf8(bytes)),
        Cow::Owned(bytes) => String::from_utf8(bytes)
            .map(Cow::Owned)
            .map_err(|error| not_utf8(error.as_bytes())),
    }
}

/// Takes the `--` off an option's name: `ipset` reads `--timeout` as `timeout`.
pub(crate) fn option_name(word: &[u8]) -> &[u8] {
    word.strip_prefix(b"--").unwrap_or(word)
}

/// Keeps the value of an option, which may be given once.
pub(crate) fn once<T>(slot: &mut Option<T>, option: &[u8], value: T) -> Result<(), Error> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(Error::token(
            "an option that can be given twice",
            String::from_utf8_lossy(option),
            "remove one of them",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &[u8]) -> Vec<Vec<u8>> {
        let mut words = Words::new(line);
        std::iter::from_fn(|| words.next().unwrap())
            .map(Cow::into_owned)
            .collect()
    }

    /// As tried with comments in ipset 7.17.
    #[test]
    fn quotation_marks_join_words_and_go() {
        for (line, expected) in [
            (&b"comment \"x y\""[..], &["comment", "x y"][..]),
            (b"comment x\"y z\"w", &["comment", "xy zw"]),
            (b"comment \"x\"\"y\"", &["comment", "xy"]),
            (b"\"a\" \"\" b", &["a", "", "b"]),
            (b" \ta\t b\r", &["a", "b"]),
            // Neither a form feed nor a vertical tab is a blank.
            (b"a\x0bb\x0cc", &["a\x0bb\x0cc"]),
            (b"", &[]),
        ] {
            let expected: Vec<_> = expected.iter().map(|word| word.as_bytes()).collect();
            assert_eq!(words(line), expected);
        }
        assert!(Words::new(b"x\"y").next().is_err());
    }

    #[test]
    fn options_of_ipset_may_stand_anywhere_but_in_quotation_marks() {
        let mut line = Words::new(b"-q a -! \"-exist\" b -exist");
        assert_eq!(line.require("").unwrap(), &b"a"[..]);
        assert!(!line.exist());
        assert_eq!(line.require("").unwrap(), &b"-exist"[..]);
        assert!(line.exist());
        assert_eq!(line.require("").unwrap(), &b"b"[..]);
        line.end().unwrap();
        assert!(Words::new(b"-file x").next().is_err());
        assert!(Words::new(b"a").end().is_err());
    }

    #[test]
    fn bytes_are_kept_until_text_is_asked_for() {
        assert_eq!(words(b"caf\xe9"), [b"caf\xe9"]);
        let error = Words::new(b"caf\xe9").text("a name").unwrap_err();
        assert!(error.to_string().contains("UTF-8"), "{error}");
    }
}
