//! What is wrong with which field.

use std::fmt;

use crate::text::printable;

/// A field and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct FieldError {
    /// The path of the field, such as `spec.ports[1].port` or `ipvs.scheduler`; empty for the whole.
    pub field: Box<str>,
    /// What is wrong with it.
    pub reason: Box<str>,
}

impl FieldError {
    /// An error of the field at a path. Both texts are cut and escaped as [`printable`] does it.
    pub fn new(field: impl AsRef<str>, reason: impl AsRef<str>) -> Self {
        Self {
            field: printable(field.as_ref()).into(),
            reason: printable(reason.as_ref()).into(),
        }
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.field.is_empty() {
            write!(f, "{}: ", self.field)?;
        }
        f.write_str(&self.reason)
    }
}

impl std::error::Error for FieldError {}

/// The errors of all fields found so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldErrors(Vec<FieldError>);

impl FieldErrors {
    /// Adds an error of the field at a path.
    pub fn add(&mut self, field: impl AsRef<str>, reason: impl AsRef<str>) {
        self.0.push(FieldError::new(field, reason));
    }

    /// The value, or its default after the error was added.
    pub fn take<T: Default, E: fmt::Display>(&mut self, field: &str, result: Result<T, E>) -> T {
        result.unwrap_or_else(|error| {
            self.add(field, error.to_string());
            T::default()
        })
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The errors, sorted by field.
    #[must_use]
    pub fn into_sorted(mut self) -> Vec<FieldError> {
        self.0.sort();
        self.0
    }
}
