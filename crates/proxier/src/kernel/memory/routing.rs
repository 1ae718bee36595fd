//! Routing by mark.

use std::collections::BTreeSet;

use dummy_link::{LocalRoute, MarkRule};

use crate::kernel::{KernelError, KernelErrorKind, KernelPart};
use crate::layout::nftables::Routing;
use crate::plan::Operation;

/// The proxy's rules by mark and local routes.
#[derive(Clone, Debug, Default)]
pub(super) struct MemoryRouting {
    rules: BTreeSet<MarkRule>,
    routes: BTreeSet<LocalRoute>,
}

impl MemoryRouting {
    pub(super) fn of(routing: &Routing) -> Self {
        Self {
            rules: routing.rules.iter().copied().collect(),
            routes: routing.routes.iter().copied().collect(),
        }
    }

    pub(super) fn observed(&self) -> Routing {
        Routing {
            rules: self.rules.iter().copied().collect(),
            routes: self.routes.iter().copied().collect(),
        }
    }

    pub(super) fn perform(&mut self, operation: &Operation) -> Result<(), KernelError> {
        let (done, comes) = match operation {
            Operation::AddRoutingRule(rule) => (self.rules.insert(*rule), true),
            Operation::DeleteRoutingRule(rule) => (self.rules.remove(rule), false),
            Operation::AddRoute(route) => (self.routes.insert(*route), true),
            Operation::DeleteRoute(route) => (self.routes.remove(route), false),
            _ => (true, true),
        };
        let kind = match comes {
            true => KernelErrorKind::Exists,
            false => KernelErrorKind::Missing,
        };
        let what = match comes {
            true => "is there already",
            false => "is not there",
        };
        match done {
            true => Ok(()),
            false => Err(KernelError::new(
                KernelPart::Routing,
                kind,
                format!("{}: {what}", operation.summary()),
            )),
        }
    }
}
