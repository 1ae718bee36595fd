//! The links of the node, and service addresses on a link that others renamed.

use std::collections::{BTreeMap, BTreeSet};

use dummy_link::{AddressProtocol, Error, LinkName, NodeLinks};

/// Marks the addresses that are bound to kube-ipvs0 (`IFA_PROTO`, since Linux 5.18; `K` for Kubernetes), so that they are known on
/// whatever link they are. Others have no rule for choosing such numbers.
pub(crate) const MARK: AddressProtocol = AddressProtocol(b'K');

/// The links of the node, without the addresses that are ours on links other than `own`; and the names of these links.
///
/// A kube-ipvs0 that somebody renames keeps its addresses. Taken for the node's own they would have node ports served on every
/// cluster IP.
pub(crate) fn read(
    links: &mut dummy_link::Client,
    own: LinkName,
) -> Result<(NodeLinks, BTreeSet<LinkName>), Error> {
    // Links last: an address whose link is missing then went together with it.
    let bound = links.all_addresses()?;
    let all = links.links()?.into_iter();
    let names: BTreeMap<_, _> = all.map(|link| (link.index, link.name)).collect();
    let (mut node, mut renamed) = (NodeLinks::new(), BTreeSet::new());
    for name in names.values() {
        node.insert_link(*name);
    }
    for bound in bound {
        let Some(name) = names.get(&bound.index).copied() else {
            continue;
        };
        if bound.protocol == MARK && name != own {
            renamed.insert(name);
        } else {
            node.insert(name, bound.address);
        }
    }
    Ok((node, renamed))
}
