//! What can be wrong with received attributes.

/// Bytes that are not the message they should be. The kernel does not send such messages; a bug, a
/// truncated datagram or an unknown interface does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{attribute}: {problem}")]
#[non_exhaustive]
pub struct DecodeError {
    /// The kernel's name of the attribute at fault, or of the nest or message around it where the
    /// attribute has no known name.
    pub attribute: &'static str,
    /// What is wrong with it.
    pub problem: Problem,
}

/// What is wrong with an attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// The attribute is required and absent.
    #[error("the attribute is missing")]
    Missing,
    /// The value has another length than its type.
    #[error("the value has {found} bytes, expected {expected}")]
    Length {
        /// Bytes that a value of this type has.
        expected: usize,
        /// Bytes of the value received.
        found: usize,
    },
    /// The stated length reaches beyond the received bytes, or is shorter than a header.
    #[error("the stated length is {stated} bytes, {available} are left")]
    Truncated {
        /// The length that the header states, or that of a header where even that is cut off.
        stated: usize,
        /// Bytes from the start of the attribute to the end.
        available: usize,
    },
    /// The value is a number without a known meaning.
    #[error("the value {0} is unknown")]
    Unknown(u64),
    /// The value should be text and is not UTF-8.
    #[error("the value is not UTF-8 text")]
    NotUtf8,
    /// The value has the right type and breaks another rule.
    #[error("the value is not {expected}")]
    Invalid {
        /// What it should be, as in "a name of 1 to 15 bytes".
        expected: &'static str,
    },
}

impl Problem {
    /// The error about the attribute called `attribute`.
    #[must_use]
    pub const fn of(self, attribute: &'static str) -> DecodeError {
        DecodeError {
            attribute,
            problem: self,
        }
    }
}

/// What a reader of one attribute reports to [`walk`](crate::walk): a problem of the attribute itself,
/// which `walk` names, or an error from inside a nest, which has its name already.
///
/// The operator `?` makes it from either.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// A problem of this attribute.
    Here(Problem),
    /// An error from inside it.
    Within(DecodeError),
}

impl From<Problem> for Fault {
    fn from(problem: Problem) -> Self {
        Self::Here(problem)
    }
}

impl From<DecodeError> for Fault {
    fn from(error: DecodeError) -> Self {
        Self::Within(error)
    }
}

/// The value of an attribute that must be there.
///
/// # Errors
/// [`Problem::Missing`], naming `attribute`.
#[inline]
pub fn require<T>(value: Option<T>, attribute: &'static str) -> Result<T, DecodeError> {
    value.ok_or(Problem::Missing.of(attribute))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_name_the_attribute_and_the_problem() {
        let length = Problem::Length {
            expected: 4,
            found: 2,
        };
        let truncated = Problem::Truncated {
            stated: 12,
            available: 8,
        };
        let name = Problem::Invalid {
            expected: "a name of 1 to 15 bytes",
        };
        for (problem, text) in [
            (Problem::Missing, "CTA_ID: the attribute is missing"),
            (length, "CTA_ID: the value has 2 bytes, expected 4"),
            (
                truncated,
                "CTA_ID: the stated length is 12 bytes, 8 are left",
            ),
            (Problem::Unknown(9), "CTA_ID: the value 9 is unknown"),
            (Problem::NotUtf8, "CTA_ID: the value is not UTF-8 text"),
            (name, "CTA_ID: the value is not a name of 1 to 15 bytes"),
        ] {
            assert_eq!(problem.of("CTA_ID").to_string(), text);
        }
    }

    #[test]
    fn a_required_value_is_returned_or_named() {
        assert_eq!(require(Some(3), "CTA_ID"), Ok(3));
        assert_eq!(
            require(None::<u8>, "CTA_ID"),
            Err(Problem::Missing.of("CTA_ID"))
        );
    }
}
