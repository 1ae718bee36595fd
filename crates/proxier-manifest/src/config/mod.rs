//! kube-proxy's own configuration.

mod error;
mod fields;
mod interpret;
mod tracked;

use serde::Deserialize;
use serde_json::Value;
use serde_saphyr::DuplicateKeyPolicy;

pub use self::error::ConfigError;
pub use self::fields::{
    ClientConnectionConfiguration, ConntrackConfiguration, DetectLocalConfiguration,
    IptablesConfiguration, IpvsConfiguration, KubeProxyConfiguration, LoggingConfiguration,
};
use self::interpret::{interpret, warn_of_zeros};
use self::tracked::Tracked;
use super::documents::{self, Document};
use super::field_error::{FieldError, FieldErrors};
use proxier::Config;

/// A `KubeProxyConfiguration` whose fields have the right types; what they hold is not checked yet.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ConfigDocument {
    /// What errors call its source: the file, as it was named.
    pub source: Box<str>,
    /// The fields.
    pub fields: KubeProxyConfiguration,
    /// What is ignored, as kube-proxy does it: each field that there is not in a `KubeProxyConfiguration`, and
    /// all but the last of a field that is there several times.
    pub warnings: Vec<FieldError>,
}

/// Reads what a `KubeProxyConfiguration` (kubeproxy.config.k8s.io/v1alpha1) sets for Services. Fields for the
/// process are checked for their types alone; [`ConfigDocument`] has them. `file` is what errors call it.
///
/// # Errors
///
/// [`ConfigError`] with all that is wrong.
pub fn read_config(file: &str, bytes: &[u8]) -> Result<Config, ConfigError> {
    let document = ConfigDocument::read(file, bytes)?;
    let mut errors = FieldErrors::default();
    let config = document.config(&mut errors);
    document.conclude(config, errors)
}

impl ConfigDocument {
    /// Reads a file. `file` is what errors call it.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] where the text cannot be parsed, or a field has the wrong type.
    pub fn read(file: &str, bytes: &[u8]) -> Result<Self, ConfigError> {
        let mut errors = FieldErrors::default();
        let mut warnings = FieldErrors::default();
        let value = document(bytes, &mut errors, &mut warnings);
        Self::of(file, value, errors, warnings)
    }

    /// Reads a configuration that comes from elsewhere, such as a command line. `source` is what errors call it.
    ///
    /// # Errors
    ///
    /// As [`ConfigDocument::read`].
    pub fn from_value(source: &str, value: Value) -> Result<Self, ConfigError> {
        let nothing = FieldErrors::default();
        Self::of(source, Some(value), nothing.clone(), nothing)
    }

    fn of(
        source: &str,
        value: Option<Value>,
        mut errors: FieldErrors,
        mut warnings: FieldErrors,
    ) -> Result<Self, ConfigError> {
        let fields = value.and_then(|value| typed_fields(value, &mut errors, &mut warnings));
        if let Some(fields) = &fields {
            warn_of_zeros(fields, &mut warnings);
        }
        match fields {
            Some(fields) if errors.is_empty() => Ok(Self {
                source: source.into(),
                fields,
                warnings: warnings.into_sorted(),
            }),
            _ => Err(ConfigError::new(source, errors.into_sorted())),
        }
    }

    /// What it sets for Services. Adds what is wrong with it to `errors`.
    #[must_use]
    pub fn config(&self, errors: &mut FieldErrors) -> Config {
        interpret(&self.fields, errors)
    }

    /// Whether it names its mode, `ipvs` or `iptables`.
    #[must_use]
    pub fn names_mode(&self) -> bool {
        let mode = self.fields.mode.as_deref();
        mode.is_some_and(|mode| !mode.is_empty())
    }

    /// The value, if there are no errors.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] with all errors and this source.
    pub fn conclude<T>(&self, value: T, errors: FieldErrors) -> Result<T, ConfigError> {
        if errors.is_empty() {
            Ok(value)
        } else {
            Err(ConfigError::new(&*self.source, errors.into_sorted()))
        }
    }
}

/// The configuration among the documents of a file: kubeadm's has others beside it.
fn document(bytes: &[u8], errors: &mut FieldErrors, warnings: &mut FieldErrors) -> Option<Value> {
    let mut found = Vec::new();
    let policy = DuplicateKeyPolicy::LastWins;
    documents::each_with(bytes, policy, |number, document| match document {
        Document::Value(value) => found.push(value),
        Document::Unreadable(reason) => errors.add("", format!("document {number} {reason}")),
    });
    let alone = found.len() == 1;
    let is_config = |found: &Tracked| {
        let kind = found.value.get("kind");
        alone || kind.is_some_and(|kind| kind == "KubeProxyConfiguration")
    };
    let mut ours = found.into_iter().filter(is_config);
    let first = ours.next();
    if ours.next().is_some() {
        errors.add("", "holds more than one KubeProxyConfiguration");
    } else if first.is_none() && errors.is_empty() {
        errors.add("", "holds no KubeProxyConfiguration");
    }
    let Tracked { value, duplicates } = first?;
    for path in duplicates {
        warnings.add(path, "is there more than once; the last one counts");
    }
    Some(value)
}

/// Reads the fields. Unknown ones are warnings.
fn typed_fields(
    value: Value,
    errors: &mut FieldErrors,
    warnings: &mut FieldErrors,
) -> Option<KubeProxyConfiguration> {
    let mut track = serde_path_to_error::Track::new();
    let mut unknown = |path: serde_ignored::Path<'_>| {
        // Optional sections show up as `?` in such paths.
        let path = path.to_string().replace(".?", "");
        warnings.add(
            path,
            "there is no such field in a KubeProxyConfiguration; it is ignored",
        );
    };
    let tracked = serde_path_to_error::Deserializer::new(value, &mut track);
    let result = KubeProxyConfiguration::deserialize(serde_ignored::Deserializer::new(
        tracked,
        &mut unknown,
    ));
    match result {
        Ok(raw) => Some(raw),
        Err(error) => {
            errors.add(track.path().to_string(), error.to_string());
            None
        }
    }
}

#[cfg(test)]
mod tests;
