//! Services that ask to be masqueraded with an address which this node does not have: the log says so, once each.

use std::collections::{BTreeMap, BTreeSet};

use proxier::cluster::{Change, ObjectName, Service, ServiceOption};
use proxier::unused_options;

use super::Syncer;
use crate::machine::Machine;

/// The Services that ask for an address.
#[derive(Debug, Default)]
pub(super) struct MasqueradeAddresses {
    /// Each with what was said last of why that has no effect.
    asking: BTreeMap<ObjectName, Option<String>>,
    /// Those to be looked at.
    pending: BTreeSet<ObjectName>,
}

impl MasqueradeAddresses {
    /// Notes the Services of a change that ask, or have asked.
    pub(super) fn note(&mut self, change: &Change) {
        let services = match change {
            Change::Service(service) => std::slice::from_ref(&**service),
            Change::Services(all) => {
                self.note_all();
                all
            }
            Change::ServiceGone(name) => return drop(self.asking.remove(name)),
            _ => return,
        };
        let asks = |service: &&Service| asks(service) || self.asking.contains_key(&service.name);
        let asking = services.iter().filter(asks);
        self.pending
            .extend(asking.map(|service| service.name.clone()));
    }

    /// All are to be looked at again: the machine may have other addresses.
    pub(super) fn note_all(&mut self) {
        self.pending.extend(self.asking.keys().cloned());
    }
}

fn asks(service: &Service) -> bool {
    let options = service.options.as_deref();
    options.is_some_and(|options| !options.masquerade_networks.is_empty())
}

impl<M: Machine> Syncer<M> {
    /// Says which Services get another address than they ask for, unless that was said.
    pub(super) fn tell_of_masquerade_addresses(&mut self) {
        for name in std::mem::take(&mut self.masquerade_addresses.pending) {
            let asking = &mut self.masquerade_addresses.asking;
            let service = self.engine.service(&name).filter(|service| asks(service));
            let Some(service) = service else {
                asking.remove(&name);
                continue;
            };
            let unused = unused_options(service, self.engine.host(), self.engine.config());
            let mut unused = unused.iter();
            let unused = unused.find(|unused| unused.option == ServiceOption::MasqueradeAddress);
            let text = unused.map(ToString::to_string);
            let said = asking.entry(name.clone()).or_default();
            if let Some(text) = text.as_ref().filter(|text| said.as_ref() != Some(text)) {
                tracing::info!(kind = "Service", object = %name, "{text}");
            }
            *said = text;
        }
    }
}
