//! The links of a node, from a file.

use std::collections::BTreeMap;

use dummy_link::NodeLinks;
use serde::Deserialize;

use super::documents::{self, Document};

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
/// A text with the file, the place in it and what is wrong there.
pub fn read_links(file: &str, bytes: &[u8]) -> Result<NodeLinks, String> {
    let mut found = None;
    documents::each(bytes, |_, document| {
        found.get_or_insert(document);
    });
    let value = match found {
        Some(Document::Value(value)) => value,
        Some(Document::Unreadable(reason)) => return Err(format!("{file}: {reason}")),
        None => {
            return Err(format!(
                "{file}: is empty; write `interfaces:` with the node's addresses"
            ));
        }
    };
    let nodes: NodeFile =
        serde_path_to_error::deserialize(value).map_err(|error| format!("{file}: {error}"))?;
    let mut links = NodeLinks::new();
    for (link, addresses) in &nodes.interfaces {
        let at = |reason: String| format!("{file}: interfaces.{link}: {reason}");
        let name = link.parse().map_err(|error| at(format!("{error}")))?;
        links.insert_link(name);
        for address in addresses.iter().flatten() {
            let address = address.parse().map_err(|_| {
                at(format!(
                    "{address:?} is not an address with a prefix length, such as 10.0.0.1/24"
                ))
            })?;
            links.insert(name, address);
        }
    }
    Ok(links)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_read_and_mistakes_named() {
        let links = read_links("n", b"interfaces:\n  eth0: [10.0.0.1/24]\n  eth1:\n").unwrap();
        assert!(links.has("eth0".parse().unwrap(), "10.0.0.1".parse().unwrap()));
        for (text, says) in [
            ("", "empty"),
            ("interfaces: {eth0: [x]}", "interfaces.eth0"),
            ("interfaces: {\"a b\": []}", "interfaces.a b"),
            ("interface: {}", "interface"),
        ] {
            let error = read_links("n", text.as_bytes()).unwrap_err();
            assert!(error.starts_with("n: ") && error.contains(says), "{error}");
        }
    }
}
