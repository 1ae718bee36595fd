//! Which iptables.

use std::path::Path;

use iptables_restore::{Backend, Error, RestoreInput, TableName, ToolFinder, Tools};

use crate::OpenError;
use proxier::cluster::Family;

/// A chain that is made and deleted in one transaction to see whether that works.
const PROBE: &str = "KUBE-PROBE";

/// The tools that this machine's rules are kept with; where the kernel does not support what they need, those
/// of the other back end.
pub(crate) fn usable(family: Family) -> Result<Tools, OpenError> {
    let first = ToolFinder::new()
        .find_in_use(family)
        .map_err(|error| OpenError::Iptables(Box::new(error)))?;
    let Err(error) = probe(&first) else {
        return Ok(first);
    };
    [Backend::Nft, Backend::Legacy]
        .into_iter()
        .filter(|backend| *backend != first.backend())
        .filter_map(|backend| ToolFinder::new().backend(backend).find(family).ok())
        .find(|tools| probe(tools).is_ok())
        .ok_or_else(|| OpenError::Iptables(Box::new(error)))
}

/// Whether the kernel has IPv6.
pub(crate) fn has_ipv6(sysctls: &Path) -> bool {
    sysctls.join("net/ipv6").exists()
}

/// Those of IPv6; `None` where the kernel has no IPv6 or there are none, and only then: whatever else is wrong with
/// them must not pass for a machine without IPv6, which would lose what is programmed.
pub(crate) fn of_ipv6(sysctls: &Path) -> Result<Option<Tools>, OpenError> {
    // Also without it where it is switched off by `ipv6.disable=1`.
    if !sysctls.join("net/ipv6").exists() {
        return Ok(None);
    }
    match usable(Family::V6) {
        Ok(tools) => Ok(Some(tools)),
        Err(OpenError::Iptables(error)) if matches!(*error, Error::ToolsNotFound { .. }) => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

fn probe(tools: &Tools) -> Result<(), Error> {
    let mut input = RestoreInput::new();
    for table in [TableName::Nat, TableName::Filter] {
        input
            .table(table)
            .declare_chain(PROBE)?
            .delete_chain(PROBE)?;
    }
    tools.restore(&input)
}
