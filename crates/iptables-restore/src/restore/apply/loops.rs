//! Chains that jump to themselves, perhaps through others.

use std::collections::HashSet;

use super::ApplyErrorKind;
use super::work::{Work, targets};
use crate::ruleset::Chain;

/// Whether edits made a loop.
///
/// Both back ends follow jumps from the built-in chains when a table is committed. This finds what nft finds; the
/// legacy one (`mark_source_chains` in the kernel's ip_tables.c) looks no further than an unconditional verdict, so it
/// takes circles that no packet can reach.
pub(super) fn check(work: &Work<'_>) -> Result<(), ApplyErrorKind> {
    let mut done = HashSet::new();
    let mut jumps = work.jumps().iter();
    if jumps.all(|to| walk(work, work.get(to), &mut done).is_ok()) {
        return Ok(());
    }
    // Only what can be reached counts.
    let mut done = HashSet::new();
    work.chains()
        .filter(|chain| chain.policy.is_some())
        .try_for_each(|root| walk(work, Some(root), &mut done))
}

/// Follows all jumps from a chain; those that are done lead to no loop.
fn walk<'w>(
    work: &'w Work<'_>,
    root: Option<&'w Chain>,
    done: &mut HashSet<&'w str>,
) -> Result<(), ApplyErrorKind> {
    let Some(root) = root.filter(|root| !done.contains(root.name.as_str())) else {
        return Ok(());
    };
    let mut path = vec![(root, targets(root).collect::<Vec<_>>())];
    while let Some((chain, left)) = path.last_mut() {
        let chain: &Chain = chain;
        let Some(next) = left.pop() else {
            done.insert(chain.name.as_str());
            path.pop();
            continue;
        };
        if let Some((again, _)) = path.iter().find(|(on_path, _)| on_path.name == next) {
            return Err(ApplyErrorKind::Loop(again.name.clone()));
        }
        if let Some(chain) = work.get(next).filter(|_| !done.contains(next)) {
            path.push((chain, targets(chain).collect()));
        }
    }
    Ok(())
}
