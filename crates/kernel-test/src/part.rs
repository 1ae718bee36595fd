//! Selects a part of a test binary's tests, for runs that have no time for all of them.

/// Environment: `1/3` runs every third test, from the first; the others are reported as ignored.
const PART: &str = "PROXIER_KERNEL_TESTS_PART";

/// One of several parts of the same size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    /// Less than `of`.
    index: usize,
    of: usize,
}

impl Part {
    /// The part that the environment asks for.
    ///
    /// # Errors
    /// A text, if the variable is invalid.
    pub(crate) fn from_environment() -> Result<Self, String> {
        match std::env::var(PART) {
            Err(std::env::VarError::NotPresent) => Ok(Self::ALL),
            Ok(text) if text.is_empty() => Ok(Self::ALL),
            other => other
                .as_deref()
                .ok()
                .and_then(Self::parse)
                .ok_or_else(|| format!("{PART} is {other:?}: expected `1/3` or the like")),
        }
    }

    const ALL: Self = Self { index: 0, of: 1 };

    fn parse(text: &str) -> Option<Self> {
        let (number, of) = text.split_once('/')?;
        let (number, of): (usize, usize) = (number.parse().ok()?, of.parse().ok()?);
        let index = number.checked_sub(1)?;
        (index < of).then_some(Self { index, of })
    }

    /// Why the test at this place is not run, if it is not.
    pub(crate) fn skips(self, place: usize) -> Option<String> {
        let Self { index, of } = self;
        (place % of != index).then(|| format!("not in part {} of {of}", index + 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_test_is_in_one_part() {
        let parts = ["1/3", "2/3", "3/3"].map(|text| Part::parse(text).unwrap());
        for place in 0..10 {
            let running = parts.iter().filter(|part| part.skips(place).is_none());
            assert_eq!(running.count(), 1, "{place}");
        }
        assert_eq!(parts[1].skips(1), None);
        assert_eq!(parts[1].skips(2).unwrap(), "not in part 2 of 3");
        assert_eq!(Part::ALL.skips(7), None);
    }

    #[test]
    fn other_texts_are_not_parts() {
        for text in ["", "3", "0/3", "4/3", "1/0", "a/3", "1/b", "1/3/5", "-1/3"] {
            assert_eq!(Part::parse(text), None, "{text}");
        }
    }
}
