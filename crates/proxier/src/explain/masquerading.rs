//! Whose packets are masqueraded.

use std::net::IpAddr;

use super::answer::{FrontendKind, Origin, Part};
use super::compare;
use super::path::Packet;
use super::range::is_local;
use crate::cluster::Masquerading;
use crate::layout::nftables::{Element, Kind};
use crate::layout::{Layout, Masqueraded, SetId};

impl Packet<'_> {
    /// What the Service asks for, as far as the kernel has what that takes.
    pub(super) fn asks_for(&self) -> Masquerading {
        if let Some(rules) = self.claim.rules() {
            return rules.spec.masquerading;
        }
        if let Some(range) = self.claim.marked() {
            return match range.masqueraded {
                Masqueraded::Node => Masquerading::Never,
                Masqueraded::Everybody => Masquerading::Always,
                Masqueraded::Nobody | Masqueraded::Others => Masquerading::Default,
            };
        }
        let mut own = self.of_source();
        let found = own.find(|(part, _)| part.is_present());
        found.map(|(_, asked)| asked).unwrap_or_default()
    }

    /// The parts without which a packet goes its way all the same, with another source.
    pub(super) fn of_source(&self) -> impl Iterator<Item = (Part, Masquerading)> {
        let (view, family) = (self.view, self.port.family);
        let elements = self.claim.elements().iter();
        let elements = elements.filter_map(move |element| {
            let asked = asked_by(element)?;
            let part = compare::element(view, family, *element)?;
            Some((part, asked))
        });
        let entries = self.claim.entries.iter();
        let entries = entries.filter_map(move |(set, entry)| {
            let asked = match set {
                SetId::SourceKept => Masquerading::Never,
                SetId::Masqueraded => Masquerading::Always,
                _ => return None,
            };
            let part = compare::member(view, family, *set, entry);
            Some((part, asked))
        });
        elements.chain(entries)
    }

    /// The source that the Service chooses for what is masqueraded, and by what.
    pub(super) fn chosen_source(&self) -> Option<(Part, IpAddr)> {
        let elements = self.claim.elements().iter();
        let mut chosen = elements.filter_map(|element| match element {
            Element::MasqueradeAddress(_, source) | Element::RangeMasqueradeAddress(_, source) => {
                Some((*element, *source))
            }
            _ => None,
        });
        let (element, source) = chosen.next()?;
        let part = compare::element(self.view, self.port.family, element)?;
        Some((part, source))
    }

    pub(super) fn is_masqueraded(&self) -> bool {
        let config = self.view.evidence.config;
        match self.asks_for() {
            Masquerading::Never => return self.from == Origin::Node,
            Masquerading::Always if self.kind == FrontendKind::ClusterIp => return true,
            Masquerading::Always | Masquerading::Default => {}
        }
        let source = &self.port.local_source;
        if self.kind == FrontendKind::ClusterIp {
            let by_source = match self.from {
                Origin::Node => true,
                Origin::Pod => false,
                Origin::Outside => source.is_some(),
            };
            let unknown = !config.layout.uses_ipvs() && source.is_none();
            return config.masquerade_all || (by_source && !unknown);
        }
        match config.layout {
            Layout::Nftables => {
                let local = self.kind_in_table().is_some_and(Kind::needs_mark)
                    || is_local(self.claim.elements());
                !local || self.from == Origin::Node
            }
            Layout::Iptables => !self.port.service.external_local() || self.from == Origin::Node,
            Layout::Current | Layout::Classic => {
                if let Some(range) = self.claim.marked() {
                    return range.masqueraded == Masqueraded::Everybody;
                }
                let spared =
                    |(set, _): &(SetId, _)| set.exempts() || *set == SetId::ExternalIpLocal;
                !self.claim.entries.iter().any(spared)
            }
        }
    }
}

/// What an element asks for, if it is about that.
const fn asked_by(element: &Element) -> Option<Masquerading> {
    match element {
        Element::SourceKept(_) | Element::NodePortSourceKept(_) | Element::RangeSourceKept(_) => {
            Some(Masquerading::Never)
        }
        Element::Masqueraded(_) | Element::RangeMasqueraded(_) => Some(Masquerading::Always),
        _ => None,
    }
}
