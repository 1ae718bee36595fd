//! The links of a node, from a file.

use std::collections::BTreeMap;

use dummy_link::{LinkName, NodeLinks};
use serde::Deserialize;

use super::config::ConfigError;
use super::documents::{self, Document};
use super::field_error::{FieldError, FieldErrors};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NodeFile {
    interfaces: BTreeMap<String, Option<Vec<String>>>,
}

/// Reads the interfaces of a node and their addresses from YAML or JSON such as
/// `interfaces: {eth0: [192.168.10.10/24]}`. `file` is what errors call it.
///
/// # Errors
///
/// [`ConfigError`] with all that is wrong, each with its field.
pub fn read_links(file: &str, bytes: &[u8]) -> Result<NodeLinks, ConfigError> {
    let wrong =
        |field: &str, reason: &str| ConfigError::new(file, [FieldError::new(field, reason)]);
    let mut found = None;
    documents::each(bytes, |_, document| {
        found.get_or_insert(document);
    });
    let value = match found {
        Some(Document::Value(value)) => value,
        Some(Document::Unreadable(reason)) => return Err(wrong("", &reason)),
        None => {
            let reason = "is empty; write `interfaces:` with the node's addresses";
            return Err(wrong("", reason));
        }
    };
    let nodes: NodeFile = serde_path_to_error::deserialize(value).map_err(|error| {
        let path = error.path().to_string();
        // It is a point where the error is about the whole.
        let field = if path == "." { "" } else { &path };
        wrong(field, &error.inner().to_string())
    })?;
    let mut links = NodeLinks::new();
    let mut errors = FieldErrors::default();
    for (link, addresses) in &nodes.interfaces {
        let field = format!("interfaces.{link}");
        let name: LinkName = match link.parse() {
            Ok(name) => name,
            Err(error) => {
                errors.add(&field, error.to_string());
                continue;
            }
        };
        links.insert_link(name);
        for address in addresses.iter().flatten() {
            match address.parse() {
                Ok(address) => _ = links.insert(name, address),
                Err(_) => {
                    let usual = "is not an address with a prefix length, such as 10.0.0.1/24";
                    errors.add(&field, format!("{address:?} {usual}"));
                }
            }
        }
    }
    if errors.is_empty() {
        Ok(links)
    } else {
        Err(ConfigError::new(file, errors.into_sorted()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_read_and_mistakes_named() {
        let links = read_links("n", b"interfaces:\n  eth0: [10.0.0.1/24]\n  eth1:\n").unwrap();
        assert!(links.has("eth0".parse().unwrap(), "10.0.0.1".parse().unwrap()));
        let all = "interfaces: {eth0: [x, 10.0.0.1/24], \"a b\": [], eth1: [y]}";
        let error = read_links("n", all.as_bytes()).unwrap_err();
        let fields: Vec<_> = error.errors.iter().map(|error| &*error.field).collect();
        assert_eq!(
            fields,
            ["interfaces.a b", "interfaces.eth0", "interfaces.eth1"]
        );
        for (text, says) in [
            ("", "empty"),
            ("interfaces: {eth0: [x]}", "interfaces.eth0"),
            ("interfaces: {\"a b\": []}", "interfaces.a b"),
            ("interface: {}", "interface"),
        ] {
            let error = read_links("n", text.as_bytes()).unwrap_err().to_string();
            assert!(error.starts_with("n: ") && error.contains(says), "{error}");
        }
    }
}
