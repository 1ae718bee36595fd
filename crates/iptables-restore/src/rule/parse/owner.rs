//! Whose a long option is: of a match or target of the rule, or, abbreviated, one of the rule's own.

use super::{Extension, Kind, Parser};
use crate::protocol::Protocol;
use crate::rule::extensions;
use crate::rule::options::{self, Found};
use crate::target;

impl Extension {
    /// The options that it has, where they are known.
    fn known(&self) -> Option<&'static [&'static str]> {
        extensions::of_extension(&self.name)
    }
}

impl Parser {
    /// Whose option this is, in the order in which the tools search: of what is loaded, by the whole name and then as an
    /// abbreviation, and then in the same way of the match of the protocol, which they load for it.
    pub(super) fn owner(&mut self, name: &str) -> Option<Found> {
        let has = |extension: &Extension| {
            let known = extension.known()?;
            known.iter().copied().find(|option| *option == name)
        };
        let current = self
            .current
            .and_then(|at| Some((at, self.extensions.get(at)?)));
        if let Some((at, option)) = current.and_then(|(at, it)| Some((at, has(it)?))) {
            return Some(Found::Extension(at, option));
        }
        let of_protocol = self
            .rule
            .protocol
            .as_ref()
            .map(|protocol| protocol_match(&protocol.value))
            .filter(|name| self.extensions.iter().all(|loaded| loaded.name != *name));
        let has_protocol = of_protocol.as_deref().and_then(extensions::of_protocol);
        let by_protocol =
            has_protocol.and_then(|options| options.iter().copied().find(|option| *option == name));
        let unlisted = current.filter(|(_, extension)| extension.known().is_none());
        if let Some((_, extension)) = unlisted {
            // It takes anything. Only a chain, which no list of extensions has, takes nothing.
            let is_chain = extension.kind != Kind::Match && !target::is_extension(&extension.name);
            let option = by_protocol.filter(|_| is_chain)?;
            return Some(Found::Extension(self.load(of_protocol?), option));
        }
        let loaded = self.extensions.iter().enumerate().rev();
        if let Some(found) = loaded
            .filter_map(|(at, extension)| Some(Found::Extension(at, has(extension)?)))
            .next()
        {
            return Some(found);
        }
        let mut loaded: Vec<_> = self
            .extensions
            .iter()
            .map(|extension| extension.known().unwrap_or_default())
            .collect();
        let found = options::abbreviated(name, &loaded);
        if found.is_some() {
            return found;
        }
        if let (Some(protocol), Some(option)) = (&of_protocol, by_protocol) {
            return Some(Found::Extension(self.load(protocol.clone()), option));
        }
        loaded.push(has_protocol.unwrap_or_default());
        let found = options::abbreviated(name, &loaded);
        let is_new = matches!(found, Some(Found::Extension(at, _)) if at == self.extensions.len());
        if let Some(protocol) = of_protocol.filter(|_| is_new) {
            self.load(protocol);
        }
        found
    }

    /// Loads the match of the protocol and gives its place.
    pub(super) fn load(&mut self, name: String) -> usize {
        if let Some(at) = self.extensions.iter().position(|it| it.name == name) {
            return at;
        }
        self.extensions.push(Extension {
            kind: Kind::Match,
            name,
            options: Vec::new(),
        });
        self.extensions.len() - 1
    }
}

/// The match that brings the options of a protocol.
pub(super) fn protocol_match(protocol: &Protocol) -> String {
    match protocol.number() {
        Some(58) => "icmp6".to_owned(),
        Some(135) => "mh".to_owned(),
        _ => protocol.to_string(),
    }
}
