//! What the proxy left on this machine, seen without any tool and without loading a module.

use std::path::Path;

use dummy_link::LinkName;
use nftables_netlink::{Client, Name, TableFamily};
use proxier::LINK;
use proxier::cluster::{Family, PerFamily};
use proxier::nftables::Structure;

use crate::legacy;

/// How the names of the proxy's chains begin.
const CHAINS: &str = "KUBE-";

/// What a proxy may have made on this machine, of any layout.
///
/// What can be seen at once is enough to decide by: a look at the rules themselves runs tools and loads their modules.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Traces {
    /// There is a [`LINK`], which the layouts with ipset have.
    pub link: bool,
    /// IPVS is there, with virtual servers of whomever.
    pub servers: bool,
    /// ipset is in use, by whomever.
    pub sets: bool,
    /// There are chains with names like those of the proxy's, or tables of legacy iptables, whatever they hold.
    pub rules: PerFamily<bool>,
    /// There is a table of layout `nftables`.
    pub tables: PerFamily<bool>,
}

impl Traces {
    /// Whether a table of layout `nftables` is there.
    pub(crate) const fn has_tables(&self) -> bool {
        self.tables.v4 || self.tables.v6
    }

    /// Looks at the network namespace of the calling thread. What cannot be looked at shows no traces.
    #[must_use]
    pub fn look() -> Self {
        let mut nftables = Client::open().ok();
        let mut chains = PerFamily::<bool>::default();
        let mut tables = PerFamily::<bool>::default();
        if let Some(client) = &mut nftables {
            for family in Family::ALL {
                let of = TableFamily::from(family);
                let found = client.chains(of).unwrap_or_default();
                let mut names = found.iter().flat_map(|chain| &chain.name);
                let is_ours =
                    |name: &Name| name.as_str().is_some_and(|name| name.starts_with(CHAINS));
                *chains.get_mut(family) = names.any(is_ours);
                let found = client.tables(of).unwrap_or_default();
                *tables.get_mut(family) = found.iter().any(Structure::is_own);
            }
        }
        Self {
            link: has_link().unwrap_or(false),
            servers: Path::new("/proc/thread-self/net/ip_vs").exists(),
            // The module has parameters, so it shows where it is built in too.
            sets: Path::new("/sys/module/ip_set").exists(),
            rules: PerFamily {
                v4: chains.v4 || legacy::has_tables(Family::V4),
                v6: chains.v6 || legacy::has_tables(Family::V6),
            },
            tables,
        }
    }
}

fn has_link() -> Option<bool> {
    let link: LinkName = LINK.parse().ok()?;
    let mut links = dummy_link::Client::open().ok()?;
    Some(links.link(link).is_ok())
}
