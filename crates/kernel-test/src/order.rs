//! The order in which a test binary's tests run.

use std::env::VarError;
use std::fmt;

/// Environment: a number shuffles the tests, the same way each time; `reverse` runs the last one first.
const ORDER: &str = "PROXIER_KERNEL_TESTS_ORDER";

/// The order in which a test binary's tests run.
///
/// Tests share a guest, and with it the modules that are loaded there. A test that leans on what another has left there passes
/// in one order only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Order {
    /// As the binary lists them.
    #[default]
    Listed,
    /// The last one first.
    Reversed,
    /// The one that this seed gives.
    Shuffled(u64),
}

impl Order {
    /// The order that the environment asks for.
    ///
    /// # Errors
    /// A text, if the variable is invalid.
    pub(crate) fn from_environment() -> Result<Self, String> {
        match std::env::var(ORDER) {
            Err(VarError::NotPresent) => Ok(Self::Listed),
            other => other
                .as_deref()
                .ok()
                .and_then(Self::parse)
                .ok_or_else(|| format!("{ORDER} is {other:?}: expected a number, which shuffles the tests, or `reverse`")),
        }
    }

    fn parse(text: &str) -> Option<Self> {
        match text {
            "" => Some(Self::Listed),
            "reverse" => Some(Self::Reversed),
            seed => seed.parse().ok().map(Self::Shuffled),
        }
    }

    /// Puts a test binary's tests, which are as listed, in this order.
    pub(crate) fn apply<T>(self, tests: &mut [T]) {
        match self {
            Self::Listed => {}
            Self::Reversed => tests.reverse(),
            Self::Shuffled(seed) => fastrand::Rng::with_seed(seed).shuffle(tests),
        }
    }
}

/// The order and how to ask for it again, for the notice.
impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listed => f.write_str("as listed"),
            Self::Reversed => write!(f, "in reverse order ({ORDER}=reverse)"),
            Self::Shuffled(seed) => write!(f, "in the order of seed {seed} ({ORDER}={seed})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ordered(order: Order) -> Vec<usize> {
        let mut tests: Vec<_> = (0..50).collect();
        order.apply(&mut tests);
        tests
    }

    #[test]
    fn a_seed_gives_one_order_of_all_tests() {
        let listed = ordered(Order::Listed);
        assert!(listed.is_sorted());
        assert!(ordered(Order::Reversed).iter().rev().is_sorted());
        let seven = ordered(Order::Shuffled(7));
        assert_eq!(seven, ordered(Order::Shuffled(7)));
        assert_ne!(seven, ordered(Order::Shuffled(8)));
        assert_ne!(seven, listed);
        let mut sorted = seven;
        sorted.sort_unstable();
        assert_eq!(sorted, listed);
    }

    #[test]
    fn an_order_is_a_seed_or_reverse() {
        for (text, order) in [
            ("", Order::Listed),
            ("reverse", Order::Reversed),
            ("0", Order::Shuffled(0)),
            ("18446744073709551615", Order::Shuffled(u64::MAX)),
        ] {
            assert_eq!(Order::parse(text), Some(order), "{text}");
        }
        for text in ["random", "-1", "1.5", "1/3", " 7", "18446744073709551616"] {
            assert_eq!(Order::parse(text), None, "{text}");
        }
    }
}
