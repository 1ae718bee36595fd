//! The first lists of the cluster's objects.

use proxier::cluster::Change;

/// How many objects were listed first, of each kind that has been.
#[derive(Debug, Default)]
pub(super) struct Listed {
    services: Option<usize>,
    slices: Option<usize>,
    node: Option<bool>,
    logged: bool,
}

impl Listed {
    /// Logs once that everything is listed.
    pub(super) fn note(&mut self, change: &Change) {
        match change {
            Change::Services(all) => self.services = Some(all.len()),
            Change::Slices(all) => self.slices = Some(all.len()),
            Change::Nodes(all) => self.node = Some(!all.is_empty()),
            _ => return,
        }
        let (Some(services), Some(slices), Some(node)) = (self.services, self.slices, self.node)
        else {
            return;
        };
        if std::mem::replace(&mut self.logged, true) {
            return;
        }
        tracing::info!(
            target: "kube_proxier::status",
            services,
            endpoint_slices = slices,
            "everything is listed; syncing"
        );
        if !node {
            tracing::warn!(
            target: "kube_proxier::status",
                "the cluster has no Node of this name: its addresses, zone and pod networks are unknown; name the right \
                 one with --hostname-override or hostnameOverride"
            );
        }
    }
}
