//! Selects a part of a test binary's tests, for runs that have no time for all of them.

/// Environment: `1/3` runs every third test, from the first; the others are reported as ignored. With a test binary before
/// it, `proxier-linux/nftables=1/3`, it is for that one; several words are for several binaries.
const PART: &str = "PROXIER_KERNEL_TESTS_PART";

/// `package/binary`, as cargo names them: it sets a variable for the one, and appends a hash to the other.
fn this_binary() -> String {
    let package = std::env::var("CARGO_PKG_NAME").unwrap_or_default();
    let program = std::env::args().next().unwrap_or_default();
    let file = program.rsplit('/').next().unwrap_or_default();
    let name = file.rsplit_once('-').map_or(file, |(name, _)| name);
    format!("{package}/{name}")
}

/// One of several parts of the same size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    /// Less than `of`.
    index: usize,
    of: usize,
}

impl Part {
    /// The part of this test binary that the environment asks for.
    ///
    /// # Errors
    /// A text, if the variable is invalid.
    pub(crate) fn from_environment() -> Result<Self, String> {
        match std::env::var(PART) {
            Err(std::env::VarError::NotPresent) => Ok(Self::ALL),
            other => other
                .as_deref()
                .ok()
                .and_then(|words| Self::of_binary(words, &this_binary()))
                .ok_or_else(|| {
                    format!(
                        "{PART} is {other:?}: expected `1/3`, or words like `package/binary=1/3`"
                    )
                }),
        }
    }

    /// The part of a test binary that the words ask for: all of one that they do not name.
    fn of_binary(words: &str, binary: &str) -> Option<Self> {
        let mut part = Self::ALL;
        for word in words.split_whitespace() {
            match word.split_once('=') {
                None => part = Self::parse(word)?,
                Some((name, text)) => {
                    let named = Self::parse(text)?;
                    if name == binary {
                        part = named;
                    }
                }
            }
        }
        Some(part)
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
    fn a_part_is_of_all_binaries_or_of_those_named() {
        let words = "proxier-linux/nftables=2/3 proxier-linux/kernel=1/2";
        let of = |words, binary| Part::of_binary(words, binary);
        let part = |index, of| Some(Part { index, of });
        assert_eq!(of(words, "proxier-linux/nftables"), part(1, 3));
        assert_eq!(of(words, "proxier-linux/kernel"), part(0, 2));
        assert_eq!(of(words, "ipvs-netlink/kernel"), part(0, 1));
        assert_eq!(of("3/3", "ipvs-netlink/kernel"), part(2, 3));
        assert_eq!(of("", "ipvs-netlink/kernel"), part(0, 1));
        assert_eq!(of("ipvs-netlink/kernel=3", "other/kernel"), None);
        assert_eq!(this_binary().split('/').next(), Some("kernel-test"));
    }

    #[test]
    fn other_texts_are_not_parts() {
        for text in ["", "3", "0/3", "4/3", "1/0", "a/3", "1/b", "1/3/5", "-1/3"] {
            assert_eq!(Part::parse(text), None, "{text}");
        }
    }
}
