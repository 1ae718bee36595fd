//! Which Service ports have which firewall mark.

use std::collections::{BTreeSet, HashMap};

use crate::cluster::{Family, ObjectName, PerFamily, Service};
use crate::layout::nftables::{MarkKey, Marks, Options, allocate};
use crate::translate::mark_keys;

/// The marks given, and the Service ports that want one: those of few Services in most clusters.
#[derive(Debug, Default)]
pub(super) struct MarkRegistry {
    by_service: HashMap<ObjectName, PerFamily<Vec<MarkKey>>>,
    keys: PerFamily<BTreeSet<MarkKey>>,
    given: PerFamily<Marks>,
}

impl MarkRegistry {
    /// The marks of a family.
    pub(super) const fn of(&self, family: Family) -> &Marks {
        self.given.get(family)
    }

    /// A Service is this, or gone. Returns for which families it wants other marks than before.
    pub(super) fn update(
        &mut self,
        name: &ObjectName,
        service: Option<&Service>,
    ) -> PerFamily<bool> {
        let keys = |family| service.into_iter().flat_map(move |s| mark_keys(s, family));
        let now = PerFamily::from_fn(|family| keys(family).collect::<Vec<_>>());
        let before = self.by_service.remove(name).unwrap_or_default();
        let changed = PerFamily::from_fn(|family| before.get(family) != now.get(family));
        for family in Family::ALL {
            let all = self.keys.get_mut(family);
            for key in before.get(family) {
                all.remove(key);
            }
            all.extend(now.get(family).iter().cloned());
        }
        if Family::ALL
            .iter()
            .any(|family| !now.get(*family).is_empty())
        {
            self.by_service.insert(name.clone(), now);
        }
        changed
    }

    /// Gives the marks of a family anew. Returns the Services that have another mark now, or none any more.
    pub(super) fn give(&mut self, family: Family, options: &Options) -> BTreeSet<ObjectName> {
        let new = allocate(options, self.keys.get(family).iter().cloned());
        let old = std::mem::replace(self.given.get_mut(family), new);
        let new = self.given.get(family);
        let differs = |key: &&MarkKey| old.get(*key) != new.get(*key);
        let differing = old.keys().chain(new.keys()).filter(differs);
        differing.map(|key| key.service.clone()).collect()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use std::num::NonZeroU16;

    use ipvs_netlink::Protocol;

    use super::*;
    use crate::cluster::{ServicePort, ServiceType, TrafficPolicy};

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
    fn only_services_whose_marks_move_are_concerned() {
        let options = Options {
            service_marks: 0x1,
            ..Options::default()
        };
        let mut registry = MarkRegistry::default();
        let [older, younger] = [service("b", 1), service("a", 2)];
        let changed = registry.update(&younger.name, Some(&younger));
        assert_eq!((changed.v4, changed.v6), (true, false));
        assert_eq!(
            registry.give(Family::V4, &options),
            BTreeSet::from([younger.name.clone()])
        );
        assert!(!registry.update(&younger.name, Some(&younger)).v4, "again");

        // The older one takes the only mark.
        assert!(registry.update(&older.name, Some(&older)).v4);
        let both = BTreeSet::from([older.name.clone(), younger.name.clone()]);
        assert_eq!(registry.give(Family::V4, &options), both);
        assert_eq!(registry.of(Family::V4).len(), 1);

        let mut cluster_wide = older.clone();
        cluster_wide.external_policy = TrafficPolicy::Cluster;
        assert!(registry.update(&older.name, Some(&cluster_wide)).v4);
        assert_eq!(registry.give(Family::V4, &options), both);
        assert!(registry.update(&younger.name, None).v4);
        assert_eq!(registry.give(Family::V4, &options).len(), 1);
        assert!(registry.by_service.is_empty() && registry.of(Family::V4).is_empty());
    }
}
