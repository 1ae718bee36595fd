//! The error of a configuration.

use std::fmt;

use crate::FieldError;

/// All that is wrong with a file: a configuration, or the links of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConfigError {
    /// The file, as it was named.
    pub file: Box<str>,
    /// What is wrong, each with its field.
    pub errors: Vec<FieldError>,
}

impl ConfigError {
    /// All that is wrong with a file.
    pub fn new(file: impl Into<Box<str>>, errors: impl Into<Vec<FieldError>>) -> Self {
        Self {
            file: file.into(),
            errors: errors.into(),
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, error) in self.errors.iter().enumerate() {
            if n > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{}: {error}", self.file)?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}
