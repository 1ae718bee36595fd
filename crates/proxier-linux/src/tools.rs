//! Which iptables.

use std::path::Path;
use std::time::{Duration, Instant};

use iptables_restore::{Backend, Error, RestoreInput, TableName, ToolFinder, Tools};

use crate::OpenError;
use crate::rules::{Rules, is_passing};
use proxier::cluster::Family;

/// A chain that is made and deleted in one transaction to see whether that works.
const PROBE: &str = "KUBE-PROBE";

/// How long the tools are waited for as the kernel is opened. Those that hang longer are taken once they answer.
const WAIT: Duration = Duration::from_secs(7);

/// Until when the tools are waited for that are looked for from now on.
pub(crate) fn deadline() -> Instant {
    Instant::now() + WAIT
}

/// The rules of a family, by the tools that this machine's rules are kept with.
///
/// # Errors
///
/// [`OpenError::Iptables`] where there are none, or the kernel does not do what they need. Tools that hang are not an error.
pub(crate) fn rules(family: Family, deadline: Instant) -> Result<Rules, OpenError> {
    let opened = begin(family).and_then(|mut rules| {
        rules.wait_until_found(deadline)?;
        Ok(rules)
    });
    opened.map_err(|error| OpenError::Iptables(Box::new(error)))
}

fn begin(family: Family) -> Result<Rules, Error> {
    Rules::find(move || usable(family))
}

/// The tools that this machine's rules are kept with; where the kernel does not support what they need, those
/// of the other back end. Tools that hang, or wait for a lock, may do all that is needed: no others take their place.
fn usable(family: Family) -> Result<Tools, Error> {
    let first = ToolFinder::new().find_in_use(family)?;
    let error = match probe(&first) {
        Ok(()) => return Ok(first),
        Err(error) if is_passing(&error) => return Err(error),
        Err(error) => error,
    };
    [Backend::Nft, Backend::Legacy]
        .into_iter()
        .filter(|backend| *backend != first.backend())
        .filter_map(|backend| ToolFinder::new().backend(backend).find(family).ok())
        .find(|tools| probe(tools).is_ok())
        .ok_or(error)
}

/// Whether the kernel has IPv6.
pub(crate) fn has_ipv6(sysctls: &Path) -> bool {
    sysctls.join("net/ipv6").exists()
}

/// Those of IPv6; `None` where the kernel has no IPv6 or there are none, and only then: whatever else is wrong with
/// them must not pass for a machine without IPv6, which would lose what is programmed.
pub(crate) fn rules_of_ipv6(sysctls: &Path, deadline: Instant) -> Result<Option<Rules>, OpenError> {
    // Also without it where it is switched off by `ipv6.disable=1`.
    if !has_ipv6(sysctls) {
        return Ok(None);
    }
    match rules(Family::V6, deadline) {
        Ok(rules) => Ok(Some(rules)),
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
