//! Which Services have which firewall marks and ranges of ports.

use std::collections::{BTreeSet, HashMap};

use crate::cluster::{Family, ObjectName, PerFamily, Service};
use crate::layout::Layout;
use crate::layout::nftables::{MarkKey, Options, allocate};
use crate::translate::{Grants, RangeClaim, mark_keys, range_claims, refused_ranges};

/// What is given to the Services that want any of it: few in most clusters.
#[derive(Debug, Default)]
pub(super) struct MarkRegistry {
    by_service: HashMap<ObjectName, PerFamily<Wants>>,
    keys: PerFamily<BTreeSet<MarkKey>>,
    ranges: PerFamily<BTreeSet<RangeClaim>>,
    given: PerFamily<Grants>,
}

/// What a Service wants.
#[derive(Debug, Default, PartialEq)]
struct Wants {
    marks: Vec<MarkKey>,
    ranges: Vec<RangeClaim>,
}

impl Wants {
    fn of(layout: Layout, service: Option<&Service>, family: Family) -> Self {
        let marks = service
            .into_iter()
            .flat_map(|service| mark_keys(layout, service, family));
        let ranges = service
            .into_iter()
            .flat_map(|service| range_claims(service, family));
        Self {
            marks: marks.collect(),
            ranges: ranges.collect(),
        }
    }
}

impl MarkRegistry {
    /// What is given to Services of a family.
    pub(super) const fn of(&self, family: Family) -> &Grants {
        self.given.get(family)
    }

    /// A Service is this, or gone. Returns for which families it wants other things than before.
    pub(super) fn update(
        &mut self,
        layout: Layout,
        name: &ObjectName,
        service: Option<&Service>,
    ) -> PerFamily<bool> {
        let now = PerFamily::from_fn(|family| Wants::of(layout, service, family));
        let before = self.by_service.remove(name).unwrap_or_default();
        let changed = PerFamily::from_fn(|family| before.get(family) != now.get(family));
        for family in Family::ALL {
            let (keys, ranges) = (self.keys.get_mut(family), self.ranges.get_mut(family));
            let (before, now) = (before.get(family), now.get(family));
            for key in &before.marks {
                keys.remove(key);
            }
            for claim in &before.ranges {
                ranges.remove(claim);
            }
            keys.extend(now.marks.iter().cloned());
            ranges.extend(now.ranges.iter().cloned());
        }
        if now != PerFamily::default() {
            self.by_service.insert(name.clone(), now);
        }
        changed
    }

    /// Gives the marks and ranges of a family anew. Returns the Services that have others now, or none any more.
    pub(super) fn give(&mut self, family: Family, options: &Options) -> BTreeSet<ObjectName> {
        let new = Grants {
            marks: allocate(options, self.keys.get(family).iter().cloned()),
            refused: refused_ranges(self.ranges.get(family)),
        };
        let old = std::mem::replace(self.given.get_mut(family), new);
        let new = self.given.get(family);
        let differs = |key: &&MarkKey| old.marks.get(*key) != new.marks.get(*key);
        let marks = old.marks.keys().chain(new.marks.keys()).filter(differs);
        let refused = old.refused.keys().chain(new.refused.keys());
        let refused = refused.filter(|range| old.refused.get(*range) != new.refused.get(*range));
        let of_marks = marks.map(|key| &key.service);
        of_marks
            .chain(refused.map(|(service, _)| service))
            .cloned()
            .collect()
    }
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]
mod tests {
    use std::num::NonZeroU16;

    use ipvs_netlink::Protocol;

    use super::*;
    use crate::cluster::{PortRange, ServiceOptions, ServicePort, ServiceType, TrafficPolicy};
    use crate::conflict::Holder;

    fn service(name: &str, created: i64) -> Service {
        let ip = "10.0.0.1".parse().unwrap();
        let mut service = Service::new(ObjectName::new("default", name), vec![ip]);
        service.created = Some(created);
        service.service_type = ServiceType::NodePort;
        service.external_policy = TrafficPolicy::Local;
        let port = ServicePort::new("", Protocol::TCP, NonZeroU16::new(80).unwrap());
        let port = port.with_node_port(NonZeroU16::new(30_080).unwrap());
        service.ports.push(port);
        service
    }

    #[test]
    fn a_service_whose_ranges_are_free_again_is_concerned() {
        let with_range = |name: &str, created: i64, first: u16| {
            let mut service = service(name, created);
            let [first, last] = [first, 200].map(|port| NonZeroU16::new(port).unwrap());
            let options = ServiceOptions {
                ports: vec![PortRange::new(Protocol::TCP, first, last).unwrap()],
                ..ServiceOptions::default()
            };
            service.options = Some(Box::new(options));
            service.external_ips = vec!["203.0.113.7".parse().unwrap()];
            service.cluster_ips = vec![format!("10.0.0.{created}").parse().unwrap()];
            service
        };
        let options = Options::default();
        let mut registry = MarkRegistry::default();
        let [older, younger] = [with_range("b", 1, 100), with_range("a", 2, 150)];
        let only = |service: &Service| BTreeSet::from([service.name.clone()]);
        registry.update(Layout::Nftables, &older.name, Some(&older));
        assert_eq!(registry.give(Family::V4, &options), only(&older));
        registry.update(Layout::Nftables, &younger.name, Some(&younger));
        assert_eq!(registry.give(Family::V4, &options), only(&younger));
        let refused: Vec<_> = registry.of(Family::V4).refused.iter().collect();
        let [((service, at), holder)] = &refused[..] else {
            panic!("{refused:?}");
        };
        assert_eq!(*service, younger.name);
        assert_eq!(at.to_string(), "203.0.113.7 . tcp . 150-200");
        assert_eq!(**holder, Holder::Service(older.name.clone()));

        registry.update(Layout::Nftables, &older.name, None);
        let both = BTreeSet::from([older.name.clone(), younger.name.clone()]);
        assert_eq!(registry.give(Family::V4, &options), both);
        assert!(registry.of(Family::V4).refused.is_empty());
    }

    #[test]
    fn only_services_whose_marks_move_are_concerned() {
        let options = Options {
            service_marks: 0x1,
            ..Options::default()
        };
        let mut registry = MarkRegistry::default();
        let [older, younger] = [service("b", 1), service("a", 2)];
        let changed = registry.update(Layout::Nftables, &younger.name, Some(&younger));
        assert_eq!((changed.v4, changed.v6), (true, false));
        assert_eq!(
            registry.give(Family::V4, &options),
            BTreeSet::from([younger.name.clone()])
        );
        assert!(
            !registry
                .update(Layout::Nftables, &younger.name, Some(&younger))
                .v4,
            "again"
        );

        // The older one takes the only mark.
        assert!(
            registry
                .update(Layout::Nftables, &older.name, Some(&older))
                .v4
        );
        let both = BTreeSet::from([older.name.clone(), younger.name.clone()]);
        assert_eq!(registry.give(Family::V4, &options), both);
        assert_eq!(registry.of(Family::V4).marks.len(), 1);

        let mut cluster_wide = older.clone();
        cluster_wide.external_policy = TrafficPolicy::Cluster;
        assert!(
            registry
                .update(Layout::Nftables, &older.name, Some(&cluster_wide))
                .v4
        );
        assert_eq!(registry.give(Family::V4, &options), both);
        assert!(registry.update(Layout::Nftables, &younger.name, None).v4);
        assert_eq!(registry.give(Family::V4, &options).len(), 1);
        assert!(registry.by_service.is_empty() && registry.of(Family::V4).marks.is_empty());
    }
}
