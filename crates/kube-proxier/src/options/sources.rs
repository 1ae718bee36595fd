//! Where the configuration is from: a file, or else flags and the environment.

use std::fs;
use std::path::Path;

use proxier_manifest::ConfigDocument;
use serde_json::{Map, Value, json};

use super::{Error, Flags, Surroundings};
use crate::config::{self, ConfigReading};

/// What to log about the configuration, and where it came from.
#[derive(Default)]
pub(super) struct Notices {
    pub(super) source: String,
    pub(super) warnings: Vec<String>,
    pub(super) notes: Vec<String>,
    pub(super) mode_from_environment: bool,
}

/// Reads the configuration file.
pub(super) fn from_file(
    path: &Path,
    flags: &Flags,
    notices: &mut Notices,
) -> Result<ConfigReading, Error> {
    let bytes = fs::read(path).map_err(|error| Error::File {
        path: path.to_owned(),
        error,
    })?;
    from_bytes(path, &bytes, flags, notices)
}

/// Reads the content of the configuration file. Flags that a field stands for are ignored.
pub(super) fn from_bytes(
    path: &Path,
    bytes: &[u8],
    flags: &Flags,
    notices: &mut Notices,
) -> Result<ConfigReading, Error> {
    notices.source = path.display().to_string();
    let settings = flags.settings();
    let ignored: Vec<_> = settings
        .iter()
        .map(|setting| setting.flag)
        .chain(flags.servers.ports())
        .chain(flags.unused.in_file())
        .map(|flag| format!("--{flag}"))
        .collect();
    if !ignored.is_empty() {
        notices.warnings.push(format!(
            "ignored, because --config is given: {}",
            ignored.join(", ")
        ));
    }
    Ok(config::read(&ConfigDocument::read(
        &notices.source,
        bytes,
    )?)?)
}

/// Flags are turned into the file that has the same fields, and checked as that file.
pub(super) fn from_flags(
    flags: &Flags,
    around: &impl Surroundings,
    notices: &mut Notices,
) -> Result<ConfigReading, Error> {
    "the command line".clone_into(&mut notices.source);
    let settings = flags.settings();
    let mut raw = json!({
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
    });
    for setting in &settings {
        put(&mut raw, setting.field, setting.value.clone());
    }
    let mode = raw.get("mode").and_then(Value::as_str).unwrap_or_default();
    let mut variable = None;
    if mode.is_empty() {
        variable = ["KUBE_PROXY_MODE", "KUBEPROXY_MODE"]
            .into_iter()
            .filter_map(|name| Some((name, around.variable(name).filter(|mode| !mode.is_empty())?)))
            .next();
        if let Some((_, mode)) = &variable {
            put(&mut raw, "mode", json!(mode));
            notices.mode_from_environment = true;
        }
    }
    // Where a field was a flag, or a variable, the user knows it by that name.
    let document = ConfigDocument::from_value(&notices.source, raw);
    let reading = document.and_then(|document| config::read(&document));
    let reading = reading.map_err(|mut error| {
        for fault in &mut error.errors {
            let known = settings.iter().find(|setting| {
                fault
                    .field
                    .strip_prefix(setting.field)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('['))
            });
            if let Some(setting) = known {
                fault.field = format!("--{}", setting.flag).into();
            } else if let (Some((name, _)), "mode") = (&variable, &*fault.field) {
                fault.field = (*name).into();
            }
        }
        error
    });
    let mut reading = reading?;
    let of_other_modes: Vec<_> = settings
        .iter()
        .filter(|setting| reading.unused.iter().any(|field| **field == *setting.field))
        .map(|setting| format!("--{}", setting.flag))
        .collect();
    if !of_other_modes.is_empty() {
        reading.unused.clear();
        notices.notes.push(format!(
            "{}: without effect in {} mode: {}",
            notices.source,
            reading.config.layout.proxy_mode(),
            of_other_modes.join(", ")
        ));
    }
    notices
        .warnings
        .extend(flags.servers.settle(&mut reading.process));
    notices.warnings.extend(flags.servers.own_address());
    Ok(reading)
}

/// Sets a field, by its path.
fn put(raw: &mut Value, path: &str, value: Value) {
    let (head, rest) = match path.split_once('.') {
        Some((head, rest)) => (head, Some(rest)),
        None => (path, None),
    };
    let Value::Object(fields) = raw else { return };
    match rest {
        None => {
            fields.insert(head.to_owned(), value);
        }
        Some(rest) => {
            let inner = fields
                .entry(head)
                .or_insert_with(|| Value::Object(Map::new()));
            put(inner, rest, value);
        }
    }
}
