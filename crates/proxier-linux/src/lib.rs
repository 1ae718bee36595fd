//! Carries out the plans of `proxier` on this machine's kernel: IPVS, ipset, links and addresses by netlink, rules by
//! `iptables-restore`, settings under `/proc/sys`.
//!
//! A tool that hangs is killed after 10 s and keeps only its own rules waiting.

mod backends;
mod error;
mod flows;
mod legacy;
mod links;
mod modules;
mod needs;
mod nftables;
mod observe;
mod open;
mod perform;
mod restore;
mod rules;
mod signs;
mod sockets;
mod sockopt;
mod tools;
mod traces;

pub use error::conntrack_error;
pub use flows::{stale_flows, untranslated_flows};
pub use nftables::probe as probe_nftables;
pub use open::{OpenError, load_ipvs};
pub use signs::{Parts, Signs, Touched};
pub use sockets::addresses_in_use;
pub use traces::Traces;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use dummy_link::LinkName;
use ipset_netlink::SetName;
use iptables_restore::{IncompleteTable, Tools};
use ipvs_netlink::VirtualServerId;
use kmod_probe::KernelVersion;
use proxier::cluster::{Host, PerFamily};
use proxier::kernel::{Applied, carry_out};
use proxier::{Kernel, KernelError, Layout, Observed, Plan, ServerConnections};

use crate::nftables::Nftables;
use crate::rules::Rules;
use crate::signs::Watch;

/// Where the kernel shows its settings.
const SYSCTLS: &str = "/proc/sys";

/// The kernel of this machine, in the network namespace that the calling thread is in when it is opened:
/// IPVS, ipset, links and addresses by netlink, rules by `iptables-restore`, settings under `/proc/sys`.
///
/// Where the kernel has no IPv6, or there is no ip6tables, it is one of IPv4 alone, and its [`Host`] says so.
///
/// Needs CAP_NET_ADMIN. Many operations go to the kernel in one system call; each has its own result.
pub struct LinuxKernel {
    layout: Layout,
    /// None in iptables mode where the kernel has none.
    ipvs: Option<ipvs_netlink::Client>,
    /// None where the layout does without and the kernel has none.
    ipset: Option<ipset_netlink::Client>,
    /// None where the kernel has none.
    nftables: Option<Nftables>,
    links: dummy_link::Client,
    /// Whether the kernel has IPv6, and tools for it if the layout takes any.
    ipv6: bool,
    /// `None` for a family without tools: IPv6 where the kernel lacks it, or both in a layout that needs no iptables.
    rules: PerFamily<Option<Rules>>,
    /// Why the last observation holds rules that were not read.
    unread_rules: Option<KernelError>,
    /// Whether the last observation lacks the rules of a family, since they have never been read. `None` where that is an
    /// error.
    lacks_rules: Option<PerFamily<bool>>,
    watch: Watch,
    /// Links that have addresses which were bound to ours.
    renamed: BTreeSet<LinkName>,
    version: KernelVersion,
    link: LinkName,
    /// `/proc/sys`.
    sysctls: PathBuf,
}

impl LinuxKernel {
    /// Nothing of other layouts is left: closes what only they need, so that no tool is run any more.
    pub fn release_unneeded(&mut self) {
        if self.layout == Layout::Nftables {
            self.ipset = None;
            self.rules = PerFamily { v4: None, v6: None };
        }
        if self.layout == Layout::Iptables {
            self.ipvs = None;
            self.ipset = None;
            self.nftables = None;
        }
    }

    /// The same without ipset and the iptables tools, whether or not they are there: what another layout has left is not
    /// found, and no program is run.
    #[must_use]
    pub fn without_tools(mut self) -> Self {
        self.ipset = None;
        self.rules = PerFamily { v4: None, v6: None };
        self.ipv6 = tools::has_ipv6(&self.sysctls);
        self
    }

    /// The same, but where tools hang from the start on, everything else is observed and changed: [`observe`](Kernel::observe)
    /// gives no rules then instead of an error, [`unread_rules`](Self::unread_rules) says why, and
    /// [`lacks_rules`](Self::lacks_rules) of which family. Rules are not changed until they are read.
    #[must_use]
    pub const fn without_waiting_for_rules(mut self) -> Self {
        self.lacks_rules = Some(PerFamily {
            v4: false,
            v6: false,
        });
        self
    }

    /// The port of the socket by which tables of nf_tables are changed, as notifications name it.
    #[must_use]
    pub fn nftables_port(&self) -> Option<u32> {
        self.nftables.as_ref().map(Nftables::port)
    }

    /// The iptables of each family. None for IPv6 where there is none, and for both while they hang as they are looked for.
    #[must_use]
    pub fn tools(&self) -> PerFamily<Option<&Tools>> {
        PerFamily::from_fn(|family| self.rules.get(family).as_ref().and_then(Rules::tools))
    }

    /// A table that the iptables tools could not show whole when they were found, since nft(8) made something in it. While it
    /// is like that no rules can be read.
    #[must_use]
    pub fn incomplete_table(&self) -> Option<&IncompleteTable> {
        let PerFamily { v4, v6 } = &self.rules;
        v4.iter().chain(v6).find_map(Rules::incomplete)
    }

    /// Links that were kube-ipvs0 until somebody renamed them, found when the [host](Self::host) was last read: the addresses
    /// that were bound there do not count as the node's. Before Linux 5.18 none is found.
    #[must_use]
    pub const fn renamed_links(&self) -> &BTreeSet<LinkName> {
        &self.renamed
    }

    /// Why the last observation holds rules as they are believed to be, rather than as they are: a tool hangs. Everything
    /// else in it was read, and rules are not changed until they are read again.
    #[must_use]
    pub const fn unread_rules(&self) -> Option<&KernelError> {
        self.unread_rules.as_ref()
    }

    /// Of which families the last observation has no rules, since they have never been read.
    #[must_use]
    pub fn lacks_rules(&self) -> PerFamily<bool> {
        self.lacks_rules.unwrap_or(PerFamily {
            v4: false,
            v6: false,
        })
    }

    /// Whether rules that could not be read in time can be read now, so that it is worth while to observe the kernel again.
    /// Does not wait; to be asked every now and then while there are [unread rules](Self::unread_rules).
    pub fn rules_answered(&mut self) -> bool {
        let PerFamily { v4, v6 } = &mut self.rules;
        let mut answered = false;
        for rules in v4.iter_mut().chain(v6) {
            answered |= rules.answered();
        }
        answered
    }

    /// How many rules and sets refer to each set.
    ///
    /// # Errors
    ///
    /// [`KernelError`] if the sets cannot be listed.
    pub fn set_references(&mut self) -> Result<BTreeMap<SetName, u32>, KernelError> {
        let Some(ipset) = &mut self.ipset else {
            return Ok(BTreeMap::new());
        };
        let infos = ipset.headers().map_err(error::failed)?;
        let references = infos.iter().filter_map(|info| {
            let references = info.usage.references?;
            Some((info.spec.name, references))
        });
        Ok(references.collect())
    }

    /// This machine, as [`translate`](proxier::translate()) wants to know it.
    ///
    /// # Errors
    ///
    /// [`KernelError`] if its links cannot be listed.
    pub fn host(&mut self, node_name: impl Into<Box<str>>) -> Result<Host, KernelError> {
        let (links, renamed) = links::read(&mut self.links, self.link).map_err(error::failed)?;
        self.renamed = renamed;
        let PerFamily { v4, v6 } = &self.rules;
        // Of tools that hang it is not known: all that came in the last years can do it.
        let mut tools = v4.iter().chain(v6).filter_map(Rules::tools);
        let mut host = Host::new(node_name);
        host.links = links;
        host.kernel = self.version;
        // Every kernel that has what this layout needs has that too; tools are there for what others left.
        host.random_fully =
            self.layout == Layout::Nftables || tools.all(|tools| tools.features().random_fully);
        host.ipv6 = self.ipv6;
        Ok(host)
    }
}

impl Kernel for LinuxKernel {
    fn observe(&mut self) -> Result<Observed, KernelError> {
        self.read()
    }

    fn connections(
        &mut self,
        servers: &[VirtualServerId],
    ) -> Result<Vec<ServerConnections>, KernelError> {
        self.read_connections(servers)
    }

    fn apply(&mut self, plan: &Plan) -> Applied {
        carry_out(plan, perform::together, |operations| {
            self.perform_all(operations)
        })
    }
}

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
