//! A line cut into words, as `ipset restore` cuts it.

use crate::Error;

/// The words of one line. A word that starts with `"` runs to the next `"`.
#[derive(Clone)]
pub(crate) struct Tokens<'a> {
    rest: &'a str,
}

impl<'a> Tokens<'a> {
    pub(crate) fn new(line: &'a str) -> Self {
        Self { rest: line }
    }

    /// The next word, if there is one.
    pub(crate) fn next(&mut self) -> Result<Option<&'a str>, Error> {
        let rest = self.rest.trim_ascii_start();
        if rest.is_empty() {
            self.rest = rest;
            return Ok(None);
        }
        let Some(quoted) = rest.strip_prefix('"') else {
            let end = rest
                .find(|c: char| c.is_ascii_whitespace())
                .unwrap_or(rest.len());
            let (word, rest) = rest.split_at(end);
            self.rest = rest;
            return Ok(Some(word));
        };
        let (word, rest) = quoted
            .split_once('"')
            .ok_or_else(|| Error::token("quoted text", rest, "its closing `\"` is missing"))?;
        self.rest = rest;
        Ok(Some(word))
    }

    /// The next word, which has to be there.
    pub(crate) fn require(&mut self, expected: &'static str) -> Result<&'a str, Error> {
        self.next()?.ok_or(Error::Missing { expected })
    }

    /// The next word as a number up to `max`.
    pub(crate) fn number<T>(&mut self, expected: &'static str) -> Result<T, Error>
    where
        T: TryFrom<u64>,
    {
        let word = self.require(expected)?;
        let number = match word.strip_prefix("0x") {
            Some(digits) if !digits.starts_with('+') => u64::from_str_radix(digits, 16).ok(),
            Some(_) => None,
            None if word.starts_with('+') => None,
            None => word.parse().ok(),
        };
        number
            .and_then(|number| T::try_from(number).ok())
            .ok_or_else(|| Error::token(expected, word, "it is no number, or too large"))
    }
}
